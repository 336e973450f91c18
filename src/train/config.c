/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json:
 *
 *   {"format": 5, "vgg": version,
 *    "arch":   {"title", "ratio", "input": [c, h, w], "classes", "hidden", "dropout",
 *               "batch_norm", "lrn", "head", "window"},
 *    "recipe": {"name", "from", "seed", "max_steps", "save_seconds", and settings.def's},
 *    "data":   {"spec", "class_order", "exif", "limit", "test_limit", "val_split",
 *               "train": {"count", "digest"}, "held": {"split", "count", "digest"} or null},
 *    "run":    {"device" | "backend" | "precision" | "winograd" | "isa": {"asked", "used"},
 *               "threads", "processor"},
 *    "stages": [{"layers", "backend", "kernels"}, ...]}
 */
#include "train/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "train/recipe.h"

enum { FORMAT = 5, MAX_CONFIG_BYTES = 1 << 20 };

/* ---- from options ---------------------------------------------------------------------------- */

static vgg_status check_numbers(const run_config *c, vgg_error *err) {
  const vgg_status status = settings_check(&c->settings, err);
  if (status != VGG_OK) return status;
  if (c->seed > INT64_MAX)
    return err_set(err, VGG_BAD_VALUE, "seed %" PRIu64 ": wanted at most %" PRId64, c->seed,
                   INT64_MAX);
  if (c->max_steps > INT64_MAX)
    return err_set(err, VGG_BAD_VALUE, "max-steps %" PRIu64 ": wanted at most %" PRId64,
                   c->max_steps, INT64_MAX);
  if (!(c->save_seconds > 0) || !isfinite(c->save_seconds))
    return err_set(err, VGG_BAD_VALUE, "save seconds %g: wanted a positive number",
                   c->save_seconds);
  return VGG_OK;
}

/* Words too long to be any choice are cut; the plan then refuses them by name. */
static void ask(run_choice *choice, const char *word) {
  snprintf(choice->asked, sizeof choice->asked, "%s", word ? word : "auto");
}

vgg_status config_from_options(const vgg_train_options *options, const vgg_arch *arch,
                               run_config *out, vgg_error *err) {
  static const vgg_train_options defaults;
  const vgg_train_options *o = options ? options : &defaults;
  const recipe *r;
  vgg_status status =
      recipe_find(o->recipe ? o->recipe : vgg_recipe_default(arch, o->from != NULL), &r, err);
  if (status != VGG_OK) return status;
  *out = (run_config){.seed = o->seed,
                      .max_steps = o->max_steps,
                      .save_seconds = settings_round(o->save_seconds != 0 ? o->save_seconds : 600),
                      .threads = o->run.threads};
  snprintf(out->recipe, sizeof out->recipe, "%s", r->name);
  if (o->from && (size_t)snprintf(out->from, sizeof out->from, "%s", o->from) >= sizeof out->from)
    return err_set(err, VGG_BAD_VALUE, "from: its name has %zu letters, wanted at most %zu",
                   strlen(o->from), sizeof out->from - 1);
  status = recipe_settings(r, arch, o, &out->settings, err);
  if (status != VGG_OK) return status;
  ask(&out->device, o->run.device);
  ask(&out->backend, o->run.backend);
  ask(&out->precision, o->run.precision);
  ask(&out->winograd, o->run.winograd);
  ask(&out->isa, o->run.isa);
  return check_numbers(out, err);
}

/* ---- resuming -------------------------------------------------------------------------------- */

static vgg_status same_number(const char *name, double given, double own, vgg_error *err) {
  if (given == 0 || settings_round(given) == own) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "%s %.9g: the run has %.9g and cannot change it", name, given,
                 own);
}

static vgg_status same_word(const char *name, const char *given, const char *asked,
                            const char *used, vgg_error *err) {
  if (!given || strcmp(given, asked) == 0 || strcmp(given, used) == 0) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "%s %s: the run has %s and cannot change it", name, given,
                 used);
}

static vgg_status same_choice(const char *name, const char *given, const run_choice *own,
                              vgg_error *err) {
  return same_word(name, given, own->asked, own->used, err);
}

vgg_status config_resume(run_config *config, const vgg_train_options *options, vgg_error *err) {
  if (!options) return VGG_OK;
  const vgg_train_options *o = options;
  vgg_status status = same_word("recipe", o->recipe, config->recipe, config->recipe, err);
  if (status == VGG_OK) status = same_word("from", o->from, config->from, config->from, err);
  if (status == VGG_OK) status = settings_same(&config->settings, o, err);
  if (status == VGG_OK && o->seed != 0 && o->seed != config->seed)
    status = err_set(err, VGG_BAD_VALUE,
                     "seed %" PRIu64 ": the run has %" PRIu64 " and cannot change it", o->seed,
                     config->seed);
  if (status == VGG_OK)
    status = same_number("save seconds", o->save_seconds, config->save_seconds, err);
  if (status == VGG_OK) status = same_choice("backend", o->run.backend, &config->backend, err);
  if (status == VGG_OK)
    status = same_choice("precision", o->run.precision, &config->precision, err);
  if (status == VGG_OK) status = same_choice("winograd", o->run.winograd, &config->winograd, err);
  if (status == VGG_OK) status = same_choice("isa", o->run.isa, &config->isa, err);
  if (status != VGG_OK) return status;
  if (o->epochs) config->settings.epochs = o->epochs;
  if (o->max_steps) config->max_steps = o->max_steps;
  if (o->run.threads) config->threads = o->run.threads;
  if (o->run.device) {
    ask(&config->device, o->run.device);
    *config->device.used = 0;
  }
  return check_numbers(config, err);
}

/* ---- what data and plan made of it ----------------------------------------------------------- */

static data_mark mark_of(const vgg_dataset *data) {
  return (data_mark){vgg_dataset_count(data), vgg_dataset_digest(data)};
}

/* The seed is the run's; a set that was opened some other way is the first pictures of its spec. */
vgg_status config_note_data(run_config *config, const vgg_run_data *opened,
                            const vgg_dataset *train, const vgg_dataset *held, vgg_error *err) {
  const char *spec = vgg_dataset_spec(train);
  if (strlen(spec) >= sizeof config->data.spec)
    return err_set(err, VGG_BAD_VALUE, "data: its name has %zu characters, wanted at most %zu",
                   strlen(spec), sizeof config->data.spec - 1);
  const bool plateau = strcmp(config->settings.schedule, "plateau") == 0;
  if (!held && (plateau || config->settings.early_stop > 0))
    return err_set(err, VGG_BAD_VALUE, "%s: needs a held-out set, found none",
                   plateau ? "schedule plateau" : "early stop");
  config->train = mark_of(train);
  if (held) config->held = mark_of(held);
  if (opened)
    config->data = *opened;
  else
    config->data = (vgg_run_data){.limit = config->train.count, .test_limit = config->held.count};
  strcpy(config->data.spec, spec);
  config->data.seed = config->seed;
  config->data.held = held ? vgg_dataset_split(held) : VGG_TRAIN;
  return VGG_OK;
}

static vgg_status same_data(const char *name, const vgg_dataset *data, const data_mark *own,
                            vgg_error *err) {
  const char *spec = vgg_dataset_spec(data);
  if (vgg_dataset_count(data) != own->count)
    return err_set(err, VGG_BAD_VALUE, "%s: %zu pictures, the run's %s set has %zu", spec,
                   vgg_dataset_count(data), name, own->count);
  if (vgg_dataset_digest(data) != own->digest)
    return err_set(err, VGG_BAD_VALUE,
                   "%s: the %s set has digest %016" PRIx64 ", the run's has %016" PRIx64, spec,
                   name, vgg_dataset_digest(data), own->digest);
  return VGG_OK;
}

vgg_status config_check_data(const run_config *config, const vgg_dataset *train,
                             const vgg_dataset *held, vgg_error *err) {
  const vgg_split own = config->data.held;
  const vgg_status status = same_data("training", train, &config->train, err);
  if (status != VGG_OK) return status;
  if (!held && own != VGG_TRAIN)
    return err_set(err, VGG_BAD_VALUE, "%s set: missing, the run has %zu pictures",
                   vgg_split_name(own), config->held.count);
  if (held && vgg_dataset_split(held) != own)
    return err_set(err, VGG_BAD_VALUE, "%s: a %s set, the run is evaluated on %s",
                   vgg_dataset_spec(held), vgg_split_name(vgg_dataset_split(held)),
                   own == VGG_TRAIN ? "none" : vgg_split_name(own));
  return held ? same_data(vgg_split_name(own), held, &config->held, err) : VGG_OK;
}

void config_note_plan(run_config *config, const plan *p) {
  const char *name = p->stages[0].impl->backend;
  for (int i = 1; i < p->num_stages; i++)
    if (strcmp(p->stages[i].impl->backend, name) != 0) name = "several";
  snprintf(config->backend.used, sizeof config->backend.used, "%s", name);
  snprintf(config->device.used, sizeof config->device.used, "%s", p->device);
  snprintf(config->precision.used, sizeof config->precision.used, "%s",
           p->env.bf16 ? "bf16" : "fp32");
  snprintf(config->winograd.used, sizeof config->winograd.used, "%s", config->winograd.asked);
  snprintf(config->isa.used, sizeof config->isa.used, "%s", cpu_isa_name(p->env.isa));
  config->threads = p->env.threads;
}

static void add_stages(json_t *stages, const plan *p) {
  for (int i = 0; i < p->num_stages; i++) {
    const plan_stage *st = &p->stages[i];
    const vgg_layer *first = &p->arch->layers[st->first_layer];
    const vgg_layer *last = first + st->num_layers - 1;
    char layers[2 * sizeof first->name + 4];
    snprintf(layers, sizeof layers, "%s%s%s", first->name, first == last ? "" : " .. ",
             first == last ? "" : last->name);
    json_array_append_new(stages, json_pack("{s:s, s:s, s:s}", "layers", layers, "backend",
                                            st->impl->backend, "kernels", st->impl->detail));
  }
}

json_t *config_stages(const plan *frozen, const plan *p) {
  const int count = (frozen ? frozen->num_stages : 0) + p->num_stages;
  json_t *stages = json_array();
  if (frozen) add_stages(stages, frozen);
  add_stages(stages, p);
  if (json_array_size(stages) == (size_t)count) return stages;
  json_decref(stages);
  return NULL;
}

/* ---- to JSON --------------------------------------------------------------------------------- */

static json_t *arch_json(const vgg_arch *arch) {
  const vgg_arch_options *o = &arch->options;
  return json_pack("{s:s, s:i, s:[iii], s:i, s:i, s:f, s:b, s:s, s:s, s:i}", "title", arch->title,
                   "ratio", o->ratio, "input", o->input.c, o->input.h, o->input.w, "classes",
                   o->classes, "hidden", o->hidden, "dropout", o->dropout, "batch_norm",
                   o->batch_norm, "lrn", vgg_lrn_name(o->lrn), "head", vgg_head_name(o->head),
                   "window", o->window);
}

json_t *config_recipe_json(const run_config *c) {
  json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:f}", "name", c->recipe, "from", c->from, "seed",
                           (json_int_t)c->seed, "max_steps", (json_int_t)c->max_steps,
                           "save_seconds", c->save_seconds);
  if (settings_to_json(&c->settings, json)) return json;
  json_decref(json);
  return NULL;
}

/* *split NULL: of the training set, which needs no name. */
static json_t *mark_json(const data_mark *m, const char *split) {
  if (m->count == 0) return json_null();
  char digest[20];
  snprintf(digest, sizeof digest, "%016" PRIx64, m->digest);
  return json_pack("{s:s*, s:I, s:s}", "split", split, "count", (json_int_t)m->count, "digest",
                   digest);
}

json_t *config_data_json(const run_config *c) {
  const vgg_run_data *d = &c->data;
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:o, s:o}", "spec", d->spec, "class_order",
                   *d->class_order ? d->class_order : "bytes", "exif",
                   d->ignore_exif ? "ignore" : "apply", "limit", (json_int_t)d->limit, "test_limit",
                   (json_int_t)d->test_limit, "val_split", d->val_split, "train",
                   mark_json(&c->train, NULL), "held",
                   mark_json(&c->held, vgg_split_name(d->held)));
}

static json_t *choice_json(const run_choice *c) {
  return json_pack("{s:s, s:s}", "asked", c->asked, "used", c->used);
}

static json_t *run_json(const run_config *c) {
  char processor[96];
  cpu_model_name(processor, sizeof processor);
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:s}", "device", choice_json(&c->device),
                   "backend", choice_json(&c->backend), "precision", choice_json(&c->precision),
                   "winograd", choice_json(&c->winograd), "isa", choice_json(&c->isa), "threads",
                   c->threads, "processor", processor);
}

json_t *config_to_json(const run_config *c, const plan *frozen, const plan *p) {
  return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o}", "format", FORMAT, "vgg", vgg_version(),
                   "arch", arch_json(p->arch), "recipe", config_recipe_json(c), "data",
                   config_data_json(c), "run", run_json(c), "stages", config_stages(frozen, p));
}

char *config_recipe_line(const run_config *config) {
  const vgg_run_data *d = &config->data;
  json_t *json = config_recipe_json(config);
  if (json) {
    json_object_set_new(json, "data", json_string(d->spec));
    json_object_set_new(json, "class_order",
                        json_string(*d->class_order ? d->class_order : "bytes"));
    json_object_set_new(json, "limit", json_integer((json_int_t)d->limit));
    json_object_set_new(json, "val_split", json_real(d->val_split));
    json_object_set_new(json, "chosen_by",
                        d->held == VGG_TRAIN ? json_null() : json_string(vgg_split_name(d->held)));
  }
  char *line = json ? json_dumps(json, 0) : NULL;
  json_decref(json);
  return line;
}

/* ---- from JSON ------------------------------------------------------------------------------- */

static bool take_word(char *out, size_t size, const char *word) {
  return (size_t)snprintf(out, size, "%s", word) < size;
}

static bool take_choice(json_t *run, const char *key, run_choice *out) {
  const char *asked, *used;
  return json_unpack(json_object_get(run, key), "{s:s, s:s}", "asked", &asked, "used", &used) ==
             0 &&
         take_word(out->asked, sizeof out->asked, asked) &&
         take_word(out->used, sizeof out->used, used);
}

static bool take_mark(json_t *json, data_mark *out) {
  const char *digest;
  json_int_t count;
  int end = 0;
  if (json_unpack(json, "{s:I, s:s}", "count", &count, "digest", &digest) != 0) return false;
  out->count = (size_t)count;
  return count > 0 && sscanf(digest, "%16" SCNx64 "%n", &out->digest, &end) == 1 &&
         digest[end] == 0;
}

static bool take_split(json_t *held, vgg_split *out) {
  const char *name = json_string_value(json_object_get(held, "split"));
  for (int s = 0; name && s < VGG_NUM_SPLITS; s++) {
    if (strcmp(name, vgg_split_name((vgg_split)s)) != 0) continue;
    *out = (vgg_split)s;
    return true;
  }
  return false;
}

static bool take_data(json_t *json, run_config *out) {
  vgg_run_data *d = &out->data;
  const char *spec, *order, *exif;
  json_int_t limit, test_limit;
  json_t *train, *held;
  if (json_unpack(json, "{s:s, s:s, s:s, s:I, s:I, s:F, s:o, s:o}", "spec", &spec, "class_order",
                  &order, "exif", &exif, "limit", &limit, "test_limit", &test_limit, "val_split",
                  &d->val_split, "train", &train, "held", &held) != 0)
    return false;
  d->ignore_exif = strcmp(exif, "ignore") == 0;
  d->limit = (size_t)limit;
  d->test_limit = (size_t)test_limit;
  d->seed = out->seed;
  if (limit < 0 || test_limit < 0 || !(d->val_split >= 0 && d->val_split < 1)) return false;
  if (!json_is_null(held) && !(take_split(held, &d->held) && take_mark(held, &out->held)))
    return false;
  return take_word(d->spec, sizeof d->spec, spec) &&
         take_word(d->class_order, sizeof d->class_order, order) && take_mark(train, &out->train);
}

static bool take_recipe(json_t *json, run_config *out) {
  const char *name, *from;
  json_int_t seed, max_steps;
  if (json_unpack(json, "{s:s, s:s, s:I, s:I, s:F}", "name", &name, "from", &from, "seed", &seed,
                  "max_steps", &max_steps, "save_seconds", &out->save_seconds) != 0)
    return false;
  out->seed = (uint64_t)seed;
  out->max_steps = (uint64_t)max_steps;
  return settings_from_json(json, &out->settings) &&
         take_word(out->recipe, sizeof out->recipe, name) &&
         take_word(out->from, sizeof out->from, from);
}

static bool take_all(json_t *json, run_config *out) {
  json_t *run = json_object_get(json, "run");
  int format;
  return json_unpack(json, "{s:i}", "format", &format) == 0 && format == FORMAT &&
         take_recipe(json_object_get(json, "recipe"), out) &&
         take_data(json_object_get(json, "data"), out) &&
         take_choice(run, "device", &out->device) && take_choice(run, "backend", &out->backend) &&
         take_choice(run, "precision", &out->precision) &&
         take_choice(run, "winograd", &out->winograd) && take_choice(run, "isa", &out->isa) &&
         json_unpack(run, "{s:i}", "threads", &out->threads) == 0;
}

static vgg_status read_from(const char *path, run_config *out, json_t **stages, vgg_error *err) {
  uint8_t *bytes = NULL;
  size_t size;
  vgg_status status = file_read(path, MAX_CONFIG_BYTES, &bytes, &size, err);
  if (status != VGG_OK) return status;
  json_error_t where;
  json_t *json = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &where);
  *out = (run_config){0};
  if (!json)
    status = err_set(err, VGG_BAD_CONTENT, "%s: line %d: %s", path, where.line, where.text);
  else if (!take_all(json, out) || !json_is_array(json_object_get(json, "stages")))
    status = err_set(err, VGG_BAD_CONTENT, "%s: is not a run's configuration in format %d", path,
                     FORMAT);
  else
    status = check_numbers(out, err);
  if (status == VGG_OK && stages) *stages = json_incref(json_object_get(json, "stages"));
  json_decref(json);
  free(bytes);
  return status;
}

vgg_status config_read(const char *dir, run_config *out, json_t **stages, vgg_error *err) {
  char *path = path_join(dir, "config.json");
  if (!path) return err_no_memory(err, dir, strlen(dir));
  const vgg_status status = read_from(path, out, stages, err);
  free(path);
  return status;
}

vgg_status vgg_run_data_read(const char *dir, vgg_run_data *out, vgg_error *err) {
  run_config config;
  const vgg_status status = config_read(dir, &config, NULL, err);
  if (status == VGG_OK) *out = config.data;
  return status;
}
