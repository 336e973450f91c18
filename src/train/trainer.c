/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/class_weights.h"

void trainer_say(vgg_trainer *t, const char *format, ...) {
  if (t->num_notes == TRAINER_MAX_NOTES) return;
  va_list args;
  va_start(args, format);
  vsnprintf(t->notes[t->num_notes++], sizeof t->notes[0], format, args);
  va_end(args);
}

/* ---- data, engines and feeds ----------------------------------------------------------------- */

static vgg_status check_data(const vgg_arch *arch, const vgg_dataset *data, const char *name,
                             vgg_error *err) {
  const int classes = vgg_arch_get_options(arch)->classes;
  if (vgg_dataset_count(data) == 0)
    return err_set(err, VGG_BAD_VALUE, "%s: the %s set is empty", vgg_dataset_spec(data), name);
  if (vgg_dataset_classes(data) > classes)
    return err_set(err, VGG_BAD_VALUE, "%s: the %s set has %d classes, the net %d",
                   vgg_dataset_spec(data), name, vgg_dataset_classes(data), classes);
  return VGG_OK;
}

static vgg_status check_sets(const vgg_trainer *t, vgg_error *err) {
  const vgg_status status = check_data(t->model->arch, t->train_data, "training", err);
  if (status != VGG_OK || !t->held_data) return status;
  return check_data(t->model->arch, t->held_data, vgg_split_name(vgg_dataset_split(t->held_data)),
                    err);
}

/* What is learnt from is shuffled, and changed at random (augment NULL: what is held out). */
static vgg_status make_feed(const vgg_trainer *t, const vgg_dataset *data,
                            const augmentation *augment, bool keep, feed **out, vgg_error *err) {
  const feed_options options = {.loader = {.data = data,
                                           .rule = t->model->preprocess,
                                           .batch = t->config.settings.batch,
                                           .shuffle = augment != NULL,
                                           .augment = augment ? *augment : (augmentation){0},
                                           .seed = t->config.seed,
                                           .max_bad = t->max_bad},
                                .frozen = t->below,
                                .engine = t->engine,
                                .keep = keep};
  return feed_create(&options, out, err);
}

/* The last layer before the cut that computes anything. */
static const char *last_frozen(const vgg_trainer *t) {
  const vgg_layer *layer = &t->model->arch->layers[t->frozen.cut - 1];
  return layer->type == VGG_LAYER_FLATTEN ? layer[-1].name : layer->name;
}

/* Whether the values of frozen layers are kept: where they leave half of the memory to others. */
static bool keep_rows(vgg_trainer *t, const augmentation *augment) {
  if (!t->below) return false;
  if (augment->any) {
    trainer_say(t, "%s .. %s: frozen, computed in each step, as pictures change at random",
                t->model->arch->layers[0].name, last_frozen(t));
    return false;
  }
  size_t rows = feed_row_bytes(t->below, t->train_data), more = 0;
  if (t->held_data) more = feed_row_bytes(t->below, t->held_data);
  const size_t half = (size_t)sysconf(_SC_PHYS_PAGES) / 2 * (size_t)sysconf(_SC_PAGESIZE);
  const bool keep = mem_add(rows, more, &rows) && rows <= half;
  trainer_say(t, "%s .. %s: frozen, %s: %.1f MiB", t->model->arch->layers[0].name, last_frozen(t),
              keep ? "computed once for each picture and kept"
                   : "computed in each step, too large to be kept",
              (double)rows / (1 << 20));
  return keep;
}

static vgg_status make_feeds(vgg_trainer *t, vgg_error *err) {
  augmentation augment;
  vgg_status status =
      augmentation_parse(t->config.settings.augment, t->model->preprocess.input, &augment, err);
  if (status != VGG_OK) return status;
  const bool keep = keep_rows(t, &augment);
  status = make_feed(t, t->train_data, &augment, keep, &t->train, err);
  if (status != VGG_OK) return status;
  t->batches = (int)feed_batches(t->train);
  return t->held_data ? make_feed(t, t->held_data, NULL, keep, &t->held, err) : VGG_OK;
}

static const char *used_or_asked(const run_choice *c) { return *c->used ? c->used : c->asked; }

/* A resumed run keeps the device and the precision that auto once chose: they belong to the
 * numbers. Backend and instruction set are asked for again, so that it can go on on another
 * processor. */
static vgg_run_options run_options(const run_config *c) {
  const settings *s = &c->settings;
  return (vgg_run_options){.device = used_or_asked(&c->device),
                           .backend = c->backend.asked,
                           .precision = used_or_asked(&c->precision),
                           .winograd = c->winograd.asked,
                           .isa = c->isa.asked,
                           .optimizer = s->optimizer,
                           .threads = c->threads,
                           .batch = s->micro_batch ? s->micro_batch : s->batch};
}

static vgg_status make_engine(vgg_trainer *t, plan_use use, const plan_part *part, engine **out,
                              vgg_error *err) {
  const vgg_run_options options = run_options(&t->config);
  plan *p;
  const vgg_status status = plan_create_part(t->model->arch, &options, use, part, &p, err);
  return status == VGG_OK ? engine_create(p, t->model->values, out, err) : status;
}

static vgg_status make_engines(vgg_trainer *t, vgg_error *err) {
  const plan_part below = {0, t->frozen.cut, 0};
  const plan_part rest = {t->frozen.cut, t->model->arch->num_layers, t->frozen.trained};
  const bool sums = t->config.settings.micro_batch > 0;
  vgg_status status = VGG_OK;
  if (t->frozen.cut > 0) status = make_engine(t, PLAN_INFERENCE, &below, &t->below, err);
  if (status == VGG_OK)
    status = make_engine(t, sums ? PLAN_GRADIENTS : PLAN_TRAINING, &rest, &t->engine, err);
  if (status != VGG_OK) return status;
  const plan *p = engine_plan(t->engine);
  config_note_plan(&t->config, p);
  const vgg_preprocess *rule = &t->model->preprocess;
  if (rule->std[0] > 0) engine_normalise(t->below ? t->below : t->engine, rule->mean, rule->std);
  if (sums && t->config.settings.micro_batch < t->config.settings.batch &&
      t->model->arch->options.batch_norm)
    trainer_say(t, "batch norm: means and variances are those of %d pictures at a time, not of %d",
                t->config.settings.micro_batch, t->config.settings.batch);
  if (sums) t->sums = mem_alloc(p->gradients);
  return sums && !t->sums ? err_no_memory(err, "sums of gradients", p->gradients) : VGG_OK;
}

/* The last layer may have a rate of its own. */
static vgg_status make_rates(vgg_trainer *t, vgg_error *err) {
  const net_params *params = &t->model->params;
  const settings *s = &t->config.settings;
  t->rates = malloc((size_t)params->count * sizeof *t->rates);
  if (!t->rates) return err_no_memory(err, "rates", (size_t)params->count * sizeof *t->rates);
  const int head = params->at[params->trained - 1].layer;
  for (int i = 0; i < params->count; i++)
    t->rates[i] = params->at[i].layer == head && s->head_lr > 0 ? s->head_lr / s->lr : 1;
  return VGG_OK;
}

vgg_status trainer_make_states(vgg_trainer *t, vgg_error *err) {
  const net_params *params = &t->model->params;
  const vgg_status status = freeze_find(t->model->arch, t->config.settings.freeze, &t->frozen, err);
  if (status != VGG_OK) return status;
  const size_t from = net_params_from(params, t->frozen.trained);
  t->trained = params->floats - from;
  const size_t bytes = t->trained * sizeof(float);
  t->rule = op_rule_find(t->config.settings.optimizer); /* the configuration was checked */
  for (int i = 0; i < t->rule->states; i++) {
    t->rule_states[i] = mem_alloc(bytes);
    if (!t->rule_states[i]) return err_no_memory(err, "optimizer", bytes);
    memset(t->rule_states[i], 0, bytes);
  }
  if (t->config.settings.ema == 0) return VGG_OK;
  t->ema = mem_alloc(bytes);
  if (!t->ema) return err_no_memory(err, "average of the weights", bytes);
  memcpy(t->ema, t->model->values + from, bytes);
  return VGG_OK;
}

vgg_status trainer_prepare(vgg_trainer *t, vgg_error *err) {
  vgg_status status = check_sets(t, err);
  if (status == VGG_OK)
    status = class_weights_make(t->config.settings.class_weights, t->train_data,
                                t->model->arch->options.classes, &t->class_weights, err);
  if (status == VGG_OK) status = make_rates(t, err);
  if (status == VGG_OK) status = make_engines(t, err);
  return status == VGG_OK ? make_feeds(t, err) : status;
}

void trainer_fill_options(vgg_trainer *t) {
  const run_config *c = &t->config;
  t->options = (vgg_train_options){.recipe = c->recipe,
                                   .from = *c->from ? c->from : NULL,
                                   .seed = c->seed,
                                   .max_steps = c->max_steps,
                                   .save_seconds = c->save_seconds,
                                   .out = t->dir,
                                   .data = &t->config.data,
                                   .channels = t->model->preprocess.channels,
                                   .reduced_jpeg = t->model->preprocess.reduced_jpeg,
                                   .run = {.device = c->device.used,
                                           .backend = c->backend.asked,
                                           .precision = c->precision.used,
                                           .winograd = c->winograd.used,
                                           .isa = c->isa.used,
                                           .threads = c->threads}};
  settings_to_options(&c->settings, &t->options);
}

vgg_status trainer_save_config(vgg_trainer *t, vgg_error *err) {
  vgg_status status;
  char *path = path_join(t->dir, "config.json");
  const plan *below = t->below ? engine_plan(t->below) : NULL;
  json_t *json = config_to_json(&t->config, below, engine_plan(t->engine));
  char *bytes = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
  free(t->model->recipe);
  t->model->recipe = config_recipe_line(&t->config);
  if (!path || !bytes || !t->model->recipe)
    status = err_no_memory(err, "config.json", sizeof t->config);
  else
    status = file_replace(path, bytes, strlen(bytes), err);
  json_decref(json);
  free(bytes);
  free(path);
  return status;
}

/* ---- a new run ------------------------------------------------------------------------------- */

/* A run that did not come to be leaves its directory free for the next try. */
static void give_directory_back(const vgg_trainer *t) {
  static const char *const files[] = {"metrics.jsonl", "metrics.csv", "curves.svg", "curves.png",
                                      "config.json"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char *path = path_join(t->dir, files[i]);
    if (path) unlink(path);
    free(path);
  }
}

static vgg_status start(vgg_trainer *t, const vgg_arch *arch, const vgg_train_options *options,
                        vgg_error *err) {
  vgg_status status = start_model(t, arch, options, err);
  if (status == VGG_OK)
    status = config_note_data(&t->config, options ? options->data : NULL, t->train_data,
                              t->held_data, err);
  if (status != VGG_OK) return status;
  t->model->preprocess.ignore_exif = t->config.data.ignore_exif;
  status = trainer_make_states(t, err);
  if (status == VGG_OK) status = trainer_prepare(t, err);
  if (status != VGG_OK) return status;
  t->state.held_acc = t->state.held_loss = t->state.best_acc = NAN;
  t->unsaved = true;
  status = rundir_create(t, options ? options->out : NULL, err);
  if (status != VGG_OK) return status;
  trainer_fill_options(t);
  status = trainer_save_config(t, err);
  if (status == VGG_OK)
    status = metrics_open(&t->metrics, t->dir, t->config.settings.epochs, t->config.data.held, NULL,
                          0, err);
  if (status != VGG_OK) give_directory_back(t);
  return status;
}

vgg_status vgg_trainer_create(const vgg_arch *arch, const vgg_dataset *train,
                              const vgg_dataset *held, const vgg_train_options *options,
                              vgg_trainer **out, vgg_error *err) {
  vgg_trainer *t = trainer_new(train, held, options);
  if (!t) return err_no_memory(err, "trainer", sizeof *t);
  const vgg_status status = start(t, arch, options, err);
  if (status != VGG_OK) {
    vgg_trainer_close(t);
    return status;
  }
  *out = t;
  return VGG_OK;
}

vgg_trainer *trainer_new(const vgg_dataset *train, const vgg_dataset *held,
                         const vgg_train_options *options) {
  vgg_trainer *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->train_data = train;
  t->held_data = held;
  t->max_bad = options ? options->max_bad : 0;
  t->lock = -1;
  return t;
}

void vgg_trainer_close(vgg_trainer *t) {
  if (!t) return;
  feed_close(t->train);
  feed_close(t->held);
  engine_close(t->below);
  engine_close(t->engine);
  vgg_model_close(t->model);
  for (int i = 0; i < OP_RULE_MAX_STATES; i++) mem_free(t->rule_states[i]);
  mem_free(t->ema);
  mem_free(t->sums);
  free(t->rates);
  free(t->class_weights);
  metrics_close(&t->metrics);
  if (t->lock >= 0) close(t->lock);
  free(t->dir);
  free(t);
}

/* ---- looking at a run ------------------------------------------------------------------------ */

const char *vgg_trainer_dir(const vgg_trainer *t) { return t->dir; }
const vgg_arch *vgg_trainer_arch(const vgg_trainer *t) { return t->model->arch; }
const vgg_train_options *vgg_trainer_options(const vgg_trainer *t) { return &t->options; }
const vgg_model *vgg_trainer_model(const vgg_trainer *t) { return t->model; }

const char *vgg_trainer_note(const vgg_trainer *t, size_t i) {
  return i < (size_t)t->num_notes ? t->notes[i] : NULL;
}

const char *vgg_trainer_bad(const vgg_trainer *t, vgg_split split, size_t i) {
  const feed *f = split == VGG_TRAIN ? t->train : split == t->config.data.held ? t->held : NULL;
  return f && i < feed_bad(f) ? feed_bad_line(f, i) : NULL;
}

size_t vgg_trainer_curve(const vgg_trainer *t, const vgg_curve_point **points) {
  *points = t->metrics.points;
  return t->metrics.count;
}
