/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs that start from trained weights: which of them are taken, which stay, and that all of it
 * goes on after a stop. What fine-tuning computes is tested in tests/golden/torch/finetune.c.
 */
#include <stdio.h>
#include <string.h>

#include "format/model.h"
#include "tiny.h"

enum { PICTURES = 19, TESTS = 9, BATCHES = 5 };

/* A model of another net and other classes than `t`'s, or of its own, as a file. */
static const char *make_file(const tiny *t, const char *text, int classes, const char *name) {
  const vgg_arch_options options = {.input = {1, 8, 8}, .classes = classes, .hidden = TINY_HIDDEN};
  vgg_arch *arch;
  vgg_model *model;
  const char *path = tiny_path(t, name);
  assert_int_equal(vgg_arch_from_text(text, &options, &arch, NULL), VGG_OK);
  assert_int_equal(vgg_model_create(arch, 77, &model, NULL), VGG_OK);
  assert_int_equal(vgg_model_save(model, path, NULL), VGG_OK);
  vgg_model_close(model);
  vgg_arch_close(arch);
  return path;
}

static vgg_train_options options_from(const char *from) {
  vgg_train_options options = tiny_options(NULL);
  options.recipe = NULL;
  options.from = from;
  options.epochs = 3;
  options.run.batch = TINY_BATCH;
  return options;
}

static vgg_status try_create(const tiny *t, const vgg_arch *arch, vgg_train_options options,
                             const char *name, vgg_trainer **out, vgg_error *err) {
  options.out = tiny_path(t, name);
  return vgg_trainer_create(arch, t->train, t->test, &options, out, err);
}

static vgg_trainer *create(const tiny *t, const vgg_arch *arch, vgg_train_options options,
                           const char *name) {
  vgg_trainer *trainer = NULL;
  vgg_error err = {0};
  if (try_create(t, arch, options, name, &trainer, &err) != VGG_OK) fail_msg("%s", err.message);
  return trainer;
}

static void assert_says(const vgg_trainer *trainer, const char *what) {
  const char *note;
  for (size_t i = 0; (note = vgg_trainer_note(trainer, i)); i++)
    if (strstr(note, what)) return;
  fail_msg("no note says \"%s\"", what);
}

/* Of the parameters of layers for which `equal` says so, that they are those of the file; of all
 * others, that they are not. */
static void assert_equal_layers(const vgg_model *model, const char *file, const char *equal) {
  vgg_model *from;
  assert_int_equal(vgg_model_load(file, &from, NULL), VGG_OK);
  for (int i = 0; i < model->params.count; i++) {
    const net_param *p = &model->params.at[i];
    const char *layer = model->arch->layers[p->layer].name;
    const net_param *q = NULL;
    for (int k = 0; k < from->params.count; k++)
      if (strcmp(from->arch->layers[from->params.at[k].layer].name, layer) == 0 &&
          from->params.at[k].role == p->role && from->params.at[k].count == p->count)
        q = &from->params.at[k];
    const bool same = q && memcmp(model->values + p->offset, from->values + q->offset,
                                  p->count * sizeof(float)) == 0;
    if (same != (strstr(equal, layer) != NULL))
      fail_msg("%s is %s the file's", p->name, same ? "still" : "not");
  }
  vgg_model_close(from);
}

static void a_new_head_for_other_classes(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  const char *file = make_file(&t, "1x4,1x8", 7, "seven.safetensors");
  vgg_trainer *trainer = create(&t, NULL, options_from(file), "run");
  assert_says(trainer, "recipe: finetune");
  assert_says(trainer, "new: fc5 (classifier.6), for 10 classes in the place of 7");
  assert_equal_layers(vgg_trainer_model(trainer), file, "conv1_1 conv2_1 fc3 fc4");
  assert_string_equal(vgg_trainer_options(trainer)->freeze, "features");
  vgg_trainer_close(trainer);
  vgg_error err = {0};
  vgg_train_options options = options_from(file);
  options.head = "keep";
  assert_int_equal(try_create(&t, NULL, options, "kept", &trainer, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "has 7 classes, the data 10"));
  options.head = "perhaps";
  assert_int_equal(try_create(&t, NULL, options, "kept", &trainer, &err), VGG_BAD_VALUE);
  tiny_close(&t);
}

/* The names of tiny's classes are those that models have without others: 0, 1, ... */
static void the_head_of_the_same_classes_stays(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  const char *file = make_file(&t, "1x4,1x8", 10, "ten.safetensors");
  vgg_trainer *trainer = create(&t, NULL, options_from(file), "run");
  assert_says(trainer, "all weights from");
  assert_equal_layers(vgg_trainer_model(trainer), file, "conv1_1 conv2_1 fc3 fc4 fc5");
  vgg_trainer_close(trainer);
  vgg_train_options options = options_from(file);
  options.head = "new";
  trainer = create(&t, t.arch, options, "new");
  assert_equal_layers(vgg_trainer_model(trainer), file, "conv1_1 conv2_1 fc3 fc4");
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

/* As the paper starts its deeper nets from net A. */
static void a_deeper_net_takes_what_it_can(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  const char *file = make_file(&t, "2x4,3x8", 10, "shallow.safetensors");
  const vgg_arch_options net = {.input = {1, 8, 8}, .classes = 10, .hidden = TINY_HIDDEN};
  vgg_arch *deeper, *wider;
  assert_int_equal(vgg_arch_from_text("3x4,3x8", &net, &deeper, NULL), VGG_OK);
  assert_int_equal(vgg_arch_from_text("3x5,3x8", &net, &wider, NULL), VGG_OK);
  vgg_trainer *trainer = NULL;
  vgg_error err = {0};
  assert_int_equal(try_create(&t, deeper, options_from(file), "run", &trainer, &err), VGG_OK);
  /* The numbers of linear layers go on from the blocks, so these are the same. */
  assert_equal_layers(vgg_trainer_model(trainer), file,
                      "conv1_1 conv1_2 conv2_1 conv2_2 fc3 fc4 fc5");
  assert_says(trainer, "conv1_1 conv1_2 conv2_1 conv2_2 fc3 fc4 fc5; all other layers drawn by");
  vgg_trainer_close(trainer);
  assert_int_equal(try_create(&t, wider, options_from(file), "wide", &trainer, &err),
                   VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "its conv1_1 has no place of its shape"));
  vgg_arch_close(deeper);
  vgg_arch_close(wider);
  tiny_close(&t);
}

static void assert_frozen(const char *word, const char *layers) {
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  const char *file = make_file(&t, "1x4,1x8", 10, "ten.safetensors");
  vgg_train_options options = options_from(file);
  options.freeze = word;
  options.weight_decay = 0.1;
  options.clip_norm = 0.5;
  options.ema = 0.9;
  options.run.backend = NULL; /* what a user gets: there the update is fused */
  vgg_trainer *trainer = create(&t, NULL, options, "run");
  vgg_error err = {0};
  if (vgg_trainer_run(trainer, NULL, NULL, NULL, &err) != VGG_OK) fail_msg("%s", err.message);
  assert_equal_layers(vgg_trainer_model(trainer), file, layers);
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

/* Also where dropout behind a frozen layer makes it run in every step. */
static void frozen_layers_stay_others_move(void **state) {
  (void)state;
  assert_frozen("none", "");
  assert_frozen("conv1_1", "conv1_1");
  assert_frozen("features", "conv1_1 conv2_1");
  assert_frozen("pool2", "conv1_1 conv2_1");
  assert_frozen("classifier.0", "conv1_1 conv2_1 fc3");
  assert_frozen("drop4", "conv1_1 conv2_1 fc3 fc4");
}

static void what_cannot_be_frozen(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  static const char *const words[] = {"conv9_1", "", "fc5", "softmax"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    vgg_train_options options = tiny_options(NULL);
    options.freeze = words[i];
    vgg_trainer *trainer;
    vgg_error err = {0};
    assert_int_equal(try_create(&t, t.arch, options, "run", &trainer, &err), VGG_BAD_VALUE);
    assert_non_null(strstr(err.message, "freeze '"));
  }
  tiny_close(&t);
}

/* One step of a net whose last parameters, in their order, are statistics and not the head's. */
static void step_with_head_lr(const tiny *t, double head_lr, const char *name, const char *file,
                              const char *same_as_file) {
  const vgg_arch_options net = {
      .input = {1, 8, 8}, .classes = 10, .hidden = TINY_HIDDEN, .batch_norm = true};
  vgg_train_options options = tiny_options(NULL);
  options.head_lr = head_lr;
  options.max_steps = 1;
  vgg_arch *arch;
  vgg_error err = {0};
  assert_int_equal(vgg_arch_from_text("1x4,1x8", &net, &arch, NULL), VGG_OK);
  vgg_trainer *trainer = create(t, arch, options, name);
  if (vgg_trainer_run(trainer, NULL, NULL, NULL, &err) != VGG_OK) fail_msg("%s", err.message);
  const vgg_model *model = vgg_trainer_model(trainer);
  if (same_as_file)
    assert_equal_layers(model, file, same_as_file);
  else
    assert_int_equal(vgg_model_save(model, file, NULL), VGG_OK);
  vgg_trainer_close(trainer);
  vgg_arch_close(arch);
}

static void head_lr_is_the_last_layers(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  char file[288]; /* tiny_path's does not live so long */
  snprintf(file, sizeof file, "%s", tiny_path(&t, "lr.safetensors"));
  step_with_head_lr(&t, 0, "lr", file, NULL);
  step_with_head_lr(&t, 0.5, "head-lr", file, "conv1_1 bn1_1 conv2_1 bn2_1 fc3 fc4");
  tiny_close(&t);
}

/* With all that a run can have to remember. */
static void stopped_and_resumed(const char *schedule, const char *backend) {
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  char file[288]; /* tiny_path's does not live so long */
  snprintf(file, sizeof file, "%s", make_file(&t, "1x4,1x8", 7, "seven.safetensors"));
  vgg_train_options options = options_from(file);
  options.freeze = "classifier.0";
  options.schedule = schedule;
  options.warmup = 1.5;
  options.patience = 1;
  options.early_stop = 3;
  options.ema = 0.95;
  options.class_weights = "balanced";
  options.micro_batch = backend ? 3 : 0;
  options.run.backend = backend;
  tiny_train(create(&t, NULL, options, "straight"), UINT64_MAX);
  for (uint64_t step = 2; step <= 3 * BATCHES; step += 4) {
    char name[24];
    snprintf(name, sizeof name, "stopped-%d", (int)step);
    tiny_train(create(&t, NULL, options, name), step);
    tiny_train(tiny_resume(&t, name, NULL), UINT64_MAX);
    assert_same_run(&t, "straight", name);
  }
  vgg_trainer *trainer;
  vgg_error err = {0};
  const vgg_train_options other = {.freeze = "none"};
  assert_int_equal(
      vgg_trainer_resume(tiny_path(&t, "stopped-2"), t.train, t.test, &other, &trainer, &err),
      VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "freeze none: the run has classifier.0"));
  tiny_close(&t);
}

static void goes_on_after_a_stop(void **state) {
  (void)state;
  stopped_and_resumed("cosine", "reference");
  stopped_and_resumed("plateau", NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_head_for_other_classes),
      cmocka_unit_test(the_head_of_the_same_classes_stays),
      cmocka_unit_test(a_deeper_net_takes_what_it_can),
      cmocka_unit_test(frozen_layers_stay_others_move),
      cmocka_unit_test(what_cannot_be_frozen),
      cmocka_unit_test(head_lr_is_the_last_layers),
      cmocka_unit_test(goes_on_after_a_stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
