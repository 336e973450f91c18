/* SPDX-License-Identifier: Apache-2.0
 *
 * Stopped and resumed = never stopped.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "format/model.h"
#include "tiny.h"

enum { PICTURES = 19, TESTS = 9, BATCHES = 5, EPOCHS = 2, STEPS = EPOCHS * BATCHES };

static bool every_step;

static void assert_stops_well(const tiny *t, uint64_t step) {
  char name[24];
  snprintf(name, sizeof name, "stopped-%d", (int)step);
  tiny_train(tiny_create(t, name, tiny_options(NULL)), step);
  tiny_train(tiny_resume(t, name, NULL), UINT64_MAX);
  assert_same_run(t, "straight", name);
}

/* Mid-epoch, and after an epoch's last step: its evaluation then falls to the second part. With an
 * argument, at every step. */
static void at_any_step(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "straight", tiny_options(NULL)), UINT64_MAX);
  for (uint64_t step = 1; step <= STEPS; step++)
    if (every_step || step == BATCHES + 2 || step == STEPS) assert_stops_well(&t, step);
  tiny_close(&t);
}

static void many_parts(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "straight", tiny_options(NULL)), UINT64_MAX);
  tiny_train(tiny_create(&t, "parts", tiny_options(NULL)), 1);
  const uint64_t stride = every_step ? 1 : 4;
  for (uint64_t step = 2; step <= STEPS; step += stride)
    tiny_train(tiny_resume(&t, "parts", NULL), step);
  tiny_train(tiny_resume(&t, "parts", NULL), UINT64_MAX);
  assert_same_run(&t, "straight", "parts");
  tiny_close(&t);
}

/* The backend, precision and threads that a user gets unasked. */
static void as_auto_chooses(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_train_options options = tiny_options(NULL);
  options.run = (vgg_run_options){.threads = 2, .batch = TINY_BATCH};
  tiny_train(tiny_create(&t, "straight", options), UINT64_MAX);
  tiny_train(tiny_create(&t, "stopped", options), BATCHES + 2);
  vgg_trainer *trainer = tiny_resume(&t, "stopped", NULL);
  assert_null(vgg_trainer_note(trainer, 0));
  tiny_train(trainer, UINT64_MAX);
  assert_same_run(&t, "straight", "stopped");
  tiny_close(&t);
}

static bool in_evaluation(const vgg_train_state *s, void *user) {
  (void)user;
  return s->when == VGG_DURING_EVAL && s->epoch == 0 && s->eval_done > TINY_BATCH;
}

static void in_the_middle_of_an_evaluation(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "straight", tiny_options(NULL)), UINT64_MAX);
  vgg_trainer *trainer = tiny_create(&t, "stopped", tiny_options(NULL));
  vgg_train_state final;
  assert_int_equal(vgg_trainer_run(trainer, in_evaluation, NULL, &final, NULL), VGG_STOPPED);
  assert_int_equal(final.step, BATCHES);
  vgg_trainer_close(trainer);
  tiny_train(tiny_resume(&t, "stopped", NULL), UINT64_MAX);
  assert_same_run(&t, "straight", "stopped");
  tiny_close(&t);
}

/* Running statistics go on from where they were, also those of the parts of a batch. */
static void with_batch_norm(void **state) {
  (void)state;
  for (int part = 0; part < 3; part += 2) {
    tiny t;
    tiny_open(&t, PICTURES, TESTS);
    const vgg_arch_options net = {
        .input = {1, 8, 8}, .classes = 10, .hidden = 24, .batch_norm = true};
    vgg_arch_close(t.arch);
    assert_int_equal(vgg_arch_from_text("1x4,1x8", &net, &t.arch, NULL), VGG_OK);
    vgg_train_options options = tiny_options(NULL);
    options.micro_batch = part;
    options.lr = 0.01;
    tiny_train(tiny_create(&t, "straight", options), UINT64_MAX);
    tiny_train(tiny_create(&t, "stopped", options), 3);
    tiny_train(tiny_resume(&t, "stopped", NULL), UINT64_MAX);
    assert_same_run(&t, "straight", "stopped");
    vgg_model *model;
    assert_int_equal(vgg_model_load(tiny_path(&t, "stopped/last.safetensors"), &model, NULL),
                     VGG_OK);
    for (int i = model->params.trained; i < model->params.count; i++)
      assert_true(model->values[model->params.at[i].offset] !=
                  (float)(model->params.at[i].role == NET_VARIANCE)); /* as they began */
    vgg_model_close(model);
    tiny_close(&t);
  }
}

/* What the optimiser keeps from step to step goes on, too. */
static void with_every_optimizer(void **state) {
  (void)state;
  static const char *const names[] = {"momentum", "nesterov", "caffe", "adamw"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    tiny t;
    tiny_open(&t, PICTURES, TESTS);
    vgg_train_options options = tiny_options(NULL);
    options.run.optimizer = names[i];
    if (i % 2) options.run.backend = NULL; /* what a user gets: there the update is fused */
    options.weight_decay = 0.01;
    options.clip_norm = 0.5;
    tiny_train(tiny_create(&t, "straight", options), UINT64_MAX);
    tiny_train(tiny_create(&t, "stopped", options), 3);
    tiny_train(tiny_resume(&t, "stopped", NULL), UINT64_MAX);
    assert_same_run(&t, "straight", "stopped");
    vgg_error err = {0};
    vgg_trainer *trainer = NULL;
    const vgg_train_options other = {.run = {.optimizer = "sgd"}};
    assert_int_equal(
        vgg_trainer_resume(tiny_path(&t, "stopped"), t.train, t.test, &other, &trainer, &err),
        VGG_BAD_VALUE);
    assert_non_null(strstr(err.message, "optimizer sgd: the run has "));
    tiny_close(&t);
  }
}

/* Epochs and max_steps may change, and the longer run is that which was long from the start. */
static void longer_than_planned(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "straight", tiny_options(NULL)), UINT64_MAX);
  vgg_train_options options = tiny_options(NULL);
  options.epochs = 1;
  tiny_train(tiny_create(&t, "epochs", options), UINT64_MAX);
  tiny_train(tiny_resume(&t, "epochs", &(vgg_train_options){.epochs = EPOCHS}), UINT64_MAX);
  assert_same_run(&t, "straight", "epochs");
  options = tiny_options(NULL);
  options.max_steps = 7;
  tiny_train(tiny_create(&t, "steps", options), UINT64_MAX);
  tiny_train(tiny_resume(&t, "steps", &(vgg_train_options){.max_steps = 1000}), UINT64_MAX);
  assert_same_run(&t, "straight", "steps");
  tiny_close(&t);
}

static void nothing_left_to_do(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_trainer *trainer = tiny_create(&t, "run", tiny_options(NULL));
  vgg_train_state first, again;
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &first, NULL), VGG_OK);
  vgg_trainer_close(trainer);
  char *before = tiny_read(&t, "run", "metrics.csv");
  trainer = tiny_resume(&t, "run", NULL);
  assert_null(vgg_trainer_note(trainer, 0));
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &again, NULL), VGG_OK);
  assert_int_equal(again.step, first.step);
  assert_int_equal(again.epoch, first.epoch);
  assert_true(again.train_loss == first.train_loss && again.train_acc == first.train_acc);
  assert_true(again.held_acc == first.held_acc && again.held_loss == first.held_loss);
  assert_true(again.compute_seconds == first.compute_seconds);
  vgg_trainer_close(trainer);
  char *after = tiny_read(&t, "run", "metrics.csv");
  assert_string_equal(before, after);
  free(before);
  free(after);
  tiny_close(&t);
}

static void assert_refused(const tiny *t, const vgg_train_options *options,
                           const vgg_dataset *train, const vgg_dataset *test, const char *what,
                           const char *own) {
  vgg_trainer *trainer = NULL;
  vgg_error err = {0};
  assert_int_equal(vgg_trainer_resume(tiny_path(t, "run"), train, test, options, &trainer, &err),
                   VGG_BAD_VALUE);
  assert_null(trainer);
  if (!strstr(err.message, what) || !strstr(err.message, own))
    fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.message, what, own);
}

/* What may not change is refused with both values; what is said again is not. */
static void what_may_not_change(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "run", tiny_options(NULL)), 5);
  char *before = tiny_read(&t, "run", "config.json");
#define REFUSED(own, ...) \
  assert_refused(&t, &(vgg_train_options){__VA_ARGS__}, t.train, t.test, "", own)
  REFUSED("0.05", .lr = .06);
  REFUSED("seed 6: the run has 5", .seed = 6);
  REFUSED("batch 5: the run has 4", .run = {.batch = 5});
  REFUSED("precision bf16: the run has fp32", .run = {.precision = "bf16"});
  REFUSED("backend onednn: the run has reference", .run = {.backend = "onednn"});
  REFUSED("recipe paper: the run has d2l", .recipe = "paper");
  REFUSED("600", .save_seconds = 5);
  REFUSED("stays there", .out = "/tmp/elsewhere");
#undef REFUSED
  assert_refused(&t, NULL, t.test, t.test, "9 pictures", "19");
  assert_refused(&t, NULL, t.train, NULL, "missing", "9");
  char *after = tiny_read(&t, "run", "config.json");
  assert_string_equal(before, after);
  free(before);
  free(after);
  vgg_train_options same = tiny_options(NULL);
  vgg_trainer_close(tiny_resume(&t, "run", &same));
  tiny_close(&t);
}

static void other_data_of_the_same_size(void **state) {
  (void)state;
  tiny t, other;
  tiny_open(&t, PICTURES, TESTS);
  tiny_open(&other, TESTS, PICTURES);
  tiny_train(tiny_create(&t, "run", tiny_options(NULL)), 5);
  assert_refused(&t, NULL, other.test, t.test, "digest", "training");
  tiny_close(&other);
  tiny_close(&t);
}

static void other_threads_are_noted(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "run", tiny_options(NULL)), 5);
  vgg_trainer *trainer = tiny_resume(&t, "run", &(vgg_train_options){.run = {.threads = 2}});
  assert_non_null(strstr(vgg_trainer_note(trainer, 0), "2 threads, had 1"));
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

static vgg_status try_resume(const tiny *t, const char *name, vgg_error *err) {
  vgg_trainer *trainer;
  return vgg_trainer_resume(tiny_path(t, name), t->train, t->test, NULL, &trainer, err);
}

static void put(const tiny *t, const char *name, const char *text) {
  assert_int_equal(file_replace(tiny_path(t, name), text, strlen(text), NULL), VGG_OK);
}

static void broken_runs(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_error err = {0};
  assert_int_equal(try_resume(&t, "none", &err), VGG_NO_INPUT);
  tiny_train(tiny_create(&t, "run", tiny_options(NULL)), 5);
  char *config = tiny_read(&t, "run", "config.json");
  put(&t, "run/config.json", "{\"format\": 5");
  assert_int_equal(try_resume(&t, "run", &err), VGG_BAD_CONTENT);
  put(&t, "run/config.json", "{\"format\": 4}");
  assert_int_equal(try_resume(&t, "run", &err), VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "format 5"));
  put(&t, "run/config.json", config);
  assert_int_equal(rename(tiny_path(&t, "run/last.safetensors"), tiny_path(&t, "kept")), 0);
  assert_int_equal(try_resume(&t, "run", &err), VGG_NO_INPUT);
  assert_non_null(strstr(err.message, "last.safetensors"));
  assert_int_equal(
      rename(tiny_path(&t, "run/best.safetensors"), tiny_path(&t, "run/last.safetensors")), 0);
  assert_int_equal(try_resume(&t, "run", &err), VGG_BAD_CONTENT); /* a model, not a checkpoint */
  assert_non_null(strstr(err.message, "no state"));
  free(config);
  tiny_close(&t);
}

/* Settings that an editor changed under a run are refused with both values. */
static void edited_settings(void **state) {
  (void)state;
  static const struct {
    const char *was, *is, *message;
  } edits[] = {{"\"seed\": 5", "\"seed\": 6", "trained with seed 5, but config.json says 6"},
               {"\"lr\": 0.05", "\"lr\": 0.06", "trained with lr 0.0"},
               {"\"label_smoothing\": 0.0", "\"label_smoothing\": 0.1", "trained with label_smo"}};
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_run_data data = {.val_split = 1 / 3.0}; /* more digits than config.json has are no edit */
  vgg_train_options options = tiny_options(NULL);
  options.data = &data;
  tiny_train(tiny_create(&t, "run", options), 5);
  char *config = tiny_read(&t, "run", "config.json");
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    char *place = strstr(config, edits[i].was), now[8192];
    vgg_error err = {0};
    assert_non_null(place);
    assert_true(strlen(config) + 1 < sizeof now);
    snprintf(now, sizeof now, "%.*s%s%s", (int)(place - config), config, edits[i].is,
             place + strlen(edits[i].was));
    put(&t, "run/config.json", now);
    assert_int_equal(try_resume(&t, "run", &err), VGG_BAD_CONTENT);
    if (!strstr(err.message, edits[i].message)) fail_msg("%s", err.message);
  }
  put(&t, "run/config.json", config);
  tiny_train(tiny_resume(&t, "run", NULL), UINT64_MAX);
  free(config);
  tiny_close(&t);
}

/* Files that were lost or cut off by a crash come back from the checkpoint. */
static void metrics_come_from_the_checkpoint(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "straight", tiny_options(NULL)), UINT64_MAX);
  tiny_train(tiny_create(&t, "run", tiny_options(NULL)), 7);
  put(&t, "run/metrics.jsonl", "{\"step\": 1, \"epo");
  assert_int_equal(remove(tiny_path(&t, "run/metrics.csv")), 0);
  assert_int_equal(remove(tiny_path(&t, "run/curves.svg")), 0);
  tiny_train(tiny_resume(&t, "run", NULL), UINT64_MAX);
  assert_same_run(&t, "straight", "run");
  tiny_close(&t);
}

int main(int argc, char **argv) {
  (void)argv;
  every_step = argc > 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(at_any_step),
      cmocka_unit_test(many_parts),
      cmocka_unit_test(as_auto_chooses),
      cmocka_unit_test(in_the_middle_of_an_evaluation),
      cmocka_unit_test(with_batch_norm),
      cmocka_unit_test(with_every_optimizer),
      cmocka_unit_test(longer_than_planned),
      cmocka_unit_test(nothing_left_to_do),
      cmocka_unit_test(what_may_not_change),
      cmocka_unit_test(other_data_of_the_same_size),
      cmocka_unit_test(other_threads_are_noted),
      cmocka_unit_test(broken_runs),
      cmocka_unit_test(edited_settings),
      cmocka_unit_test(metrics_come_from_the_checkpoint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
