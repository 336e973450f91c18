/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

/* ---- data, engine and loaders ---------------------------------------------------------------- */

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

static vgg_status make_loader(const vgg_trainer *t, const vgg_dataset *data, bool shuffle,
                              loader **out, vgg_error *err) {
  const loader_options options = {.data = data,
                                  .rule = t->model->preprocess,
                                  .batch = t->config.batch,
                                  .shuffle = shuffle,
                                  .seed = t->config.seed,
                                  .max_bad = t->max_bad};
  return loader_create(&options, out, err);
}

static vgg_status make_loaders(vgg_trainer *t, vgg_error *err) {
  vgg_status status = check_data(t->model->arch, t->train_data, "training", err);
  if (status == VGG_OK) status = make_loader(t, t->train_data, true, &t->train, err);
  if (status != VGG_OK || !t->held_data) return status;
  status = check_data(t->model->arch, t->held_data, vgg_split_name(vgg_dataset_split(t->held_data)),
                      err);
  return status == VGG_OK ? make_loader(t, t->held_data, false, &t->held, err) : status;
}

static const char *used_or_asked(const run_choice *c) { return *c->used ? c->used : c->asked; }

/* A resumed run keeps the device and the precision that auto once chose: they belong to the
 * numbers. Backend and instruction set are asked for again, so that it can go on on another
 * processor. */
static vgg_run_options run_options(const run_config *c) {
  return (vgg_run_options){.device = used_or_asked(&c->device),
                           .backend = c->backend.asked,
                           .precision = used_or_asked(&c->precision),
                           .winograd = c->winograd.asked,
                           .isa = c->isa.asked,
                           .optimizer = c->optimizer,
                           .threads = c->threads,
                           .batch = c->batch};
}

vgg_status trainer_make_rule(vgg_trainer *t, vgg_error *err) {
  const size_t bytes = t->model->params.floats * sizeof(float);
  t->rule = op_rule_find(t->config.optimizer); /* the configuration was checked */
  for (int i = 0; i < t->rule->states; i++) {
    t->rule_states[i] = mem_alloc(bytes);
    if (!t->rule_states[i]) return err_no_memory(err, "optimizer", bytes);
    memset(t->rule_states[i], 0, bytes);
  }
  return VGG_OK;
}

vgg_status trainer_prepare(vgg_trainer *t, vgg_error *err) {
  vgg_status status = make_loaders(t, err);
  if (status != VGG_OK) return status;
  t->batches = (int)loader_batches(t->train);
  const vgg_run_options options = run_options(&t->config);
  plan *p;
  status = plan_create(t->model->arch, &options, PLAN_TRAINING, &p, err);
  if (status != VGG_OK) return status;
  config_note_plan(&t->config, p);
  status = engine_create(p, t->model->values, &t->engine, err);
  const vgg_preprocess *rule = &t->model->preprocess;
  if (status == VGG_OK && rule->std[0] > 0) engine_normalise(t->engine, rule->mean, rule->std);
  return status;
}

void trainer_fill_options(vgg_trainer *t) {
  const run_config *c = &t->config;
  t->options = (vgg_train_options){.recipe = c->recipe,
                                   .lr = c->lr,
                                   .momentum = c->momentum,
                                   .weight_decay = c->weight_decay,
                                   .clip_norm = c->clip_norm,
                                   .epochs = c->epochs,
                                   .seed = c->seed,
                                   .max_steps = c->max_steps,
                                   .save_seconds = c->save_seconds,
                                   .out = t->dir,
                                   .data = &t->config.data,
                                   .channels = t->model->preprocess.channels,
                                   .run = {.device = c->device.used,
                                           .backend = c->backend.asked,
                                           .precision = c->precision.used,
                                           .winograd = c->winograd.used,
                                           .isa = c->isa.used,
                                           .optimizer = c->optimizer,
                                           .threads = c->threads,
                                           .batch = c->batch}};
}

vgg_status trainer_save_config(vgg_trainer *t, vgg_error *err) {
  vgg_status status;
  char *path = path_join(t->dir, "config.json");
  json_t *json = config_to_json(&t->config, engine_plan(t->engine));
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

static vgg_status name_classes(vgg_trainer *t, vgg_error *err) {
  const int named = vgg_dataset_classes(t->train_data);
  const int classes = vgg_arch_get_options(t->model->arch)->classes;
  const char **names = malloc((size_t)classes * sizeof *names);
  if (!names) return err_no_memory(err, "class names", (size_t)classes * sizeof *names);
  for (int i = 0; i < classes; i++)
    names[i] =
        i < named ? vgg_dataset_class_name(t->train_data, i) : vgg_model_class_name(t->model, i);
  const vgg_status status = vgg_model_set_classes(t->model, names, err);
  free(names);
  return status;
}

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
  vgg_status status = config_from_options(options, arch, &t->config, err);
  if (status == VGG_OK) status = vgg_model_create(arch, t->config.seed, &t->model, err);
  if (status == VGG_OK) status = name_classes(t, err);
  if (status == VGG_OK)
    status = config_note_data(&t->config, options ? options->data : NULL, t->train_data,
                              t->held_data, err);
  if (status != VGG_OK) return status;
  t->model->preprocess.ignore_exif = t->config.data.ignore_exif;
  t->model->preprocess.channels = options ? options->channels : VGG_CHANNELS_LUMA;
  status = trainer_make_rule(t, err);
  if (status == VGG_OK) status = trainer_prepare(t, err);
  if (status != VGG_OK) return status;
  t->state.held_acc = t->state.held_loss = t->state.best_acc = NAN;
  t->unsaved = true;
  status = rundir_create(t, options ? options->out : NULL, err);
  if (status != VGG_OK) return status;
  trainer_fill_options(t);
  status = trainer_save_config(t, err);
  if (status == VGG_OK)
    status = metrics_open(&t->metrics, t->dir, t->config.epochs, t->config.data.held, NULL, 0, err);
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
  loader_close(t->train);
  loader_close(t->held);
  engine_close(t->engine);
  vgg_model_close(t->model);
  for (int i = 0; i < OP_RULE_MAX_STATES; i++) mem_free(t->rule_states[i]);
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
const char *vgg_trainer_note(const vgg_trainer *t) { return t->note; }

const char *vgg_trainer_bad(const vgg_trainer *t, vgg_split split, size_t i) {
  const loader *l = split == VGG_TRAIN ? t->train : split == t->config.data.held ? t->held : NULL;
  return l && i < loader_bad(l) ? loader_bad_line(l, i) : NULL;
}

size_t vgg_trainer_curve(const vgg_trainer *t, const vgg_curve_point **points) {
  *points = t->metrics.points;
  return t->metrics.count;
}
