/* SPDX-License-Identifier: Apache-2.0
 *
 * last.safetensors is a model file with some additions:
 *
 *   metadata "vgg.state"   run_state as one line of JSON; NaN is null
 *   metadata "vgg.data"    what the run learnt from, as config.json has it
 *   tensor "state.metrics" F64 [records][METRICS_COLUMNS], absent before the first record
 *   tensors "state.optimizer.0", ".1"  F32 [trained floats], as many as the rule has
 *   tensor "state.ema"     F32 [trained floats], where an average is kept
 *
 * All go into the file with the weights, so a run can never be resumed from a mixture.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "train/trainer.h"

typedef struct state_field {
  const char *key;
  size_t offset;
} state_field;

#define FIELD(name) \
  { #name, offsetof(run_state, name) }
static const state_field counters[] = {FIELD(epoch),      FIELD(batch), FIELD(step), FIELD(images),
                                       FIELD(best_epoch), FIELD(stale), FIELD(flat), FIELD(drops),
                                       FIELD(correct),    FIELD(seen)};
static const state_field reals[] = {
    FIELD(loss_sum),        FIELD(held_acc),          FIELD(held_loss),    FIELD(best_acc),
    FIELD(compute_seconds), FIELD(data_wait_seconds), FIELD(eval_seconds), FIELD(wall_seconds)};
#undef FIELD
enum {
  NUM_COUNTERS = sizeof counters / sizeof *counters,
  NUM_REALS = sizeof reals / sizeof *reals
};

static char *state_line(const run_state *s) {
  json_t *json = json_object();
  for (int i = 0; i < NUM_COUNTERS; i++) {
    int64_t value;
    memcpy(&value, (const char *)s + counters[i].offset, sizeof value);
    json_object_set_new(json, counters[i].key, json_integer(value));
  }
  for (int i = 0; i < NUM_REALS; i++) {
    double value;
    memcpy(&value, (const char *)s + reals[i].offset, sizeof value);
    json_object_set_new(json, reals[i].key, isfinite(value) ? json_real(value) : json_null());
  }
  char *line = json_dumps(json, JSON_REAL_PRECISION(17)); /* gives the same double back */
  json_decref(json);
  return line;
}

static bool state_parse(const char *line, run_state *s) {
  json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
  bool ok = json_is_object(json);
  for (int i = 0; i < NUM_COUNTERS; i++) {
    const json_t *found = json_object_get(json, counters[i].key);
    const int64_t value = json_integer_value(found);
    ok = ok && json_is_integer(found) && value >= 0;
    memcpy((char *)s + counters[i].offset, &value, sizeof value);
  }
  for (int i = 0; i < NUM_REALS; i++) {
    const json_t *found = json_object_get(json, reals[i].key);
    const double value = json_is_number(found) ? json_number_value(found) : NAN;
    ok = ok && (json_is_number(found) || json_is_null(found));
    memcpy((char *)s + reals[i].offset, &value, sizeof value);
  }
  json_decref(json);
  return ok;
}

static char *data_line(const run_config *config) {
  json_t *json = config_data_json(config);
  char *line = json ? json_dumps(json, JSON_REAL_PRECISION(15)) : NULL;
  json_decref(json);
  return line;
}

/* Weights of another run than config.json describes are not gone on with. */
static vgg_status check_data(const vgg_trainer *t, const st_file *file, const char *path,
                             vgg_error *err) {
  const char *found = st_metadata(file, "vgg.data");
  char *own = data_line(&t->config);
  vgg_status status = VGG_OK;
  if (!own)
    status = err_no_memory(err, path, sizeof t->config);
  else if (!found || strcmp(found, own) != 0)
    status = err_set(err, VGG_BAD_CONTENT, "%s: learnt from %.300s, but config.json says %.300s",
                     path, found ? found : "unknown data", own);
  free(own);
  return status;
}

/* An error if the two differ in `key`; a resume with other epochs or steps is no other run. */
static vgg_status same_setting(const char *path, const char *key, const json_t *found,
                               const json_t *own, vgg_error *err) {
  if (strcmp(key, "epochs") == 0 || strcmp(key, "max_steps") == 0 || json_equal(found, own))
    return VGG_OK;
  char *had = found ? json_dumps(found, JSON_ENCODE_ANY) : NULL;
  char *has = json_dumps(own, JSON_ENCODE_ANY);
  const vgg_status status =
      err_set(err, VGG_BAD_CONTENT, "%s: was trained with %s %s, but config.json says %s", path,
              key, had ? had : "unknown", has ? has : "another");
  free(had);
  free(has);
  return status;
}

/* Nor is a run gone on with by other settings, which only an editor can have put there. */
static vgg_status check_recipe(const vgg_trainer *t, const char *path, vgg_error *err) {
  json_t *own = config_recipe_json(&t->config);
  json_t *found = t->model->recipe ? json_loads(t->model->recipe, 0, NULL) : NULL;
  vgg_status status = own ? VGG_OK : err_no_memory(err, path, sizeof t->config);
  const char *key;
  json_t *value;
  json_object_foreach(own, key, value) {
    if (status == VGG_OK) status = same_setting(path, key, json_object_get(found, key), value, err);
  }
  json_decref(found);
  json_decref(own);
  return status;
}

enum { MAX_STATES = OP_RULE_MAX_STATES + 1, STATE_NAME = 32 };

/* An array that goes on from step to step, and how it is called in the file. */
typedef struct step_state {
  char name[STATE_NAME];
  float *values;
  size_t count;
} step_state;

static int list_states(const vgg_trainer *t, step_state list[MAX_STATES]) {
  int count = 0;
  for (; count < t->rule->states; count++) {
    list[count] = (step_state){.values = t->rule_states[count], .count = t->trained};
    snprintf(list[count].name, STATE_NAME, "state.optimizer.%d", count);
  }
  if (t->ema) list[count++] = (step_state){"state.ema", t->ema, t->trained};
  return count;
}

static vgg_status emit_records(const void *context, file_writer *w, vgg_error *err) {
  const metrics *m = context;
  return file_write(w, m->records, m->count * sizeof *m->records, err);
}

static vgg_status emit_floats(const void *context, file_writer *w, vgg_error *err) {
  const step_state *s = context;
  return file_write(w, s->values, s->count * sizeof *s->values, err);
}

vgg_status checkpoint_save(vgg_trainer *t, vgg_error *err) {
  const metrics *m = &t->metrics;
  st_output more[1 + MAX_STATES];
  step_state states[MAX_STATES];
  const int num_states = list_states(t, states);
  size_t count = 0;
  if (m->count > 0)
    more[count++] = (st_output){.name = "state.metrics",
                                .dtype = "F64",
                                .rank = 2,
                                .shape = {m->count, METRICS_COLUMNS},
                                .bytes = m->count * sizeof *m->records,
                                .emit = emit_records,
                                .context = m};
  for (int i = 0; i < num_states; i++)
    more[count++] = (st_output){.name = states[i].name,
                                .dtype = "F32",
                                .rank = 1,
                                .shape = {states[i].count},
                                .bytes = states[i].count * sizeof(float),
                                .emit = emit_floats,
                                .context = &states[i]};
  char *path = path_join(t->dir, "last.safetensors");
  char *line = state_line(&t->state), *data = data_line(&t->config);
  vgg_status status;
  if (!path || !line || !data) {
    status = err_no_memory(err, "checkpoint", sizeof t->state);
  } else {
    const st_pair pairs[] = {{"vgg.data", data}, {"vgg.state", line}};
    status = model_save_with(t->model, path, more, count, pairs, 2, err);
  }
  free(path);
  free(line);
  free(data);
  return status;
}

vgg_status checkpoint_save_best(vgg_trainer *t, vgg_error *err) {
  char *path = path_join(t->dir, "best.safetensors");
  if (!path) return err_no_memory(err, "checkpoint", strlen(t->dir));
  const vgg_status status = vgg_model_save(t->model, path, err);
  free(path);
  return status;
}

static vgg_status load_records(const st_file *file, const char *path, metrics_record **records,
                               size_t *count, vgg_error *err) {
  *records = NULL;
  *count = 0;
  const st_tensor *tensor = st_find(file, "state.metrics");
  if (!tensor) return VGG_OK;
  if (strcmp(tensor->dtype, "F64") != 0 || tensor->rank != 2 ||
      tensor->shape[1] != METRICS_COLUMNS || tensor->shape[0] != tensor->bytes / sizeof **records)
    return err_set(err, VGG_BAD_CONTENT, "%s: state.metrics: wanted F64 [records][%d]", path,
                   METRICS_COLUMNS);
  *records = malloc(tensor->bytes ? tensor->bytes : 1);
  if (!*records) return err_no_memory(err, path, tensor->bytes);
  memcpy(*records, tensor->data, tensor->bytes);
  *count = (size_t)tensor->shape[0];
  return VGG_OK;
}

static vgg_status load_states(vgg_trainer *t, const st_file *file, const char *path,
                              vgg_error *err) {
  const vgg_status status = trainer_make_states(t, err);
  if (status != VGG_OK) return status;
  step_state states[MAX_STATES];
  const int count = list_states(t, states);
  for (int i = 0; i < count; i++) {
    const step_state *s = &states[i];
    const st_tensor *tensor = st_find(file, s->name);
    if (!tensor || strcmp(tensor->dtype, "F32") != 0 || tensor->bytes != s->count * sizeof(float))
      return err_set(err, VGG_BAD_CONTENT, "%s: %s: %s, wanted F32 [%zu]", path, s->name,
                     tensor ? "of another size or type" : "missing", s->count);
    memcpy(s->values, tensor->data, tensor->bytes);
  }
  return VGG_OK;
}

vgg_status checkpoint_load(vgg_trainer *t, const char *dir, metrics_record **records, size_t *count,
                           vgg_error *err) {
  char *path = path_join(dir, "last.safetensors");
  if (!path) return err_no_memory(err, dir, strlen(dir));
  st_file *file = NULL;
  vgg_status status = model_load_with(path, &t->model, &file, err);
  if (status == VGG_OK) {
    const char *line = st_metadata(file, "vgg.state");
    if (!line || !state_parse(line, &t->state))
      status = err_set(err, VGG_BAD_CONTENT, "%s: holds no state to resume from (vgg.state)", path);
  }
  if (status == VGG_OK) status = check_data(t, file, path, err);
  if (status == VGG_OK) status = check_recipe(t, path, err);
  if (status == VGG_OK) status = load_states(t, file, path, err);
  if (status == VGG_OK) status = load_records(file, path, records, count, err);
  st_close(file);
  free(path);
  return status;
}
