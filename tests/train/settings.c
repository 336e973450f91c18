/* SPDX-License-Identifier: Apache-2.0
 *
 * What a recipe settles, one setting after the other: schedules, parts of a batch, the average of
 * the weights, early stop, class weights, the warning of a run that does not learn.
 */
#include "train/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/model.h"
#include "tiny.h"
#include "train/class_weights.h"
#include "train/recipe.h"
#include "train/schedule.h"

/* ---- recipes and schedules ------------------------------------------------------------------- */

static settings settings_of(const char *name, const vgg_train_options *options) {
  const recipe *r;
  settings s;
  vgg_error err = {0};
  assert_int_equal(recipe_find(name, &r, NULL), VGG_OK);
  if (recipe_settings(r, NULL, options, &s, &err) != VGG_OK) fail_msg("%s", err.message);
  return s;
}

static void options_change_a_recipe(void **state) {
  (void)state;
  settings s = settings_of("paper", NULL);
  assert_int_equal(s.batch, 256);
  assert_true(s.lr == .01 && s.momentum == .9 && s.weight_decay == 5e-4);
  assert_string_equal(s.schedule, "plateau");
  s = settings_of("paper", &(vgg_train_options){.weight_decay = -1, .lr = .3, .epochs = 7});
  assert_true(s.lr == .3 && s.weight_decay == 0 && s.epochs == 7 && s.batch == 256);
  /* Another rate takes the head's along, another optimizer both. */
  s = settings_of("finetune", &(vgg_train_options){.lr = .002});
  assert_true(s.lr == .002 && s.head_lr == .02);
  s = settings_of("finetune", &(vgg_train_options){.run = {.optimizer = "sgd"}});
  assert_true(s.lr == .05 && s.head_lr == .5 && s.momentum == 0);
  s = settings_of("d2l", &(vgg_train_options){.run = {.optimizer = "adamw"}});
  assert_true(s.lr == .001 && s.momentum == .9);
  const recipe *r;
  vgg_error err;
  assert_int_equal(recipe_find("d2l", &r, NULL), VGG_OK);
  assert_int_equal(recipe_settings(r, NULL, &(vgg_train_options){.momentum = .5}, &s, &err),
                   VGG_BAD_VALUE);
#define REFUSED(said, ...)                                                                \
  assert_int_equal(recipe_settings(r, NULL, &(vgg_train_options){__VA_ARGS__}, &s, &err), \
                   VGG_BAD_VALUE);                                                        \
  assert_non_null(strstr(err.message, said))
  REFUSED("schedule 'cosinus'", .schedule = "cosinus");
  REFUSED("init 'zeros'", .init = "zeros");
  REFUSED("class weights '1,x'", .class_weights = "1,x");
  REFUSED("views 'flop'", .views = "flop");
  REFUSED("ema 1", .ema = 1);
  REFUSED("lr gamma 2", .lr_gamma = 2);
  REFUSED("micro batch 129", .micro_batch = 129);
  REFUSED("patience 0: wanted 1 or more", .patience = -3);
#undef REFUSED
}

/* What a recipe has for this net and not for others. */
static settings settings_for(const char *name, const char *net, const vgg_arch_options *options) {
  const recipe *r;
  settings s;
  vgg_arch *arch;
  assert_int_equal(vgg_arch_from_text(net, options, &arch, NULL), VGG_OK);
  assert_int_equal(recipe_find(name, &r, NULL), VGG_OK);
  assert_int_equal(recipe_settings(r, arch, NULL, &s, NULL), VGG_OK);
  vgg_arch_close(arch);
  return s;
}

static void recipes_look_at_the_net(void **state) {
  (void)state;
  const vgg_arch_options colour = {.input = {3, 224, 224}}, grey = {.input = {1, 224, 224}};
  const vgg_arch_options norms = {.batch_norm = true};
  assert_true(settings_for("d2l", "vgg11", NULL).lr == .05);
  assert_true(settings_for("d2l", "alexnet", NULL).lr == .01);
  assert_true(settings_for("torchvision", "vgg19", NULL).lr == .01);
  assert_true(settings_for("torchvision", "vgg19_bn", NULL).lr == .1);
  assert_true(settings_for("torchvision", "1x8,1x8", &norms).lr == .1);
  assert_string_equal(settings_for("torchvision", "vgg19", &colour).augment, "crop,flip");
  assert_string_equal(settings_for("paper", "D", &colour).augment, "jitter,flip,pca");
  assert_string_equal(settings_for("paper", "D", &grey).augment, "jitter,flip");
  vgg_arch_options own;
  assert_null(vgg_recipe_net("paper", &own));
  assert_null(vgg_recipe_net("cake", &own));
  assert_string_equal(vgg_recipe_net("best-fashion", &own), "2x64,2x128,2x256");
  assert_true(own.batch_norm && own.input.h == 28 && own.hidden == 512 && own.dropout < 0);
}

static const char *default_for(const char *net, bool from) {
  vgg_arch *arch;
  assert_int_equal(vgg_arch_from_text(net, NULL, &arch, NULL), VGG_OK);
  const char *name = vgg_recipe_default(arch, from);
  vgg_arch_close(arch);
  return name;
}

static void which_recipe_without_a_word(void **state) {
  (void)state;
  assert_string_equal(default_for("vgg11", false), "d2l");
  assert_string_equal(default_for("alexnet", false), "d2l");
  assert_string_equal(default_for("((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))", false), "d2l");
  assert_string_equal(default_for("1x16,1x32,2x64", false), "torchvision");
  assert_string_equal(default_for("1x16,1x32,2x64,2x128,2x128,1x64", false), "torchvision");
  assert_string_equal(default_for("vgg11_bn", false), "torchvision");
  assert_string_equal(default_for("vgg11_lrn", false), "torchvision");
  assert_string_equal(default_for("vgg13", false), "torchvision");
  assert_string_equal(default_for("vgg16", false), "torchvision");
  assert_string_equal(default_for("vgg19", false), "torchvision");
  assert_string_equal(default_for("vgg11", true), "finetune");
}

/* Warm-up and cosine are compared with PyTorch's in tests/golden. */
static void schedules(void **state) {
  (void)state;
  settings s = settings_of("torchvision", NULL); /* times .1 every 30 epochs */
  const double rates[] = {1, 1, .1, .1, .01}, epochs[] = {0, 29.9, 30, 59.9, 60};
  for (int i = 0; i < 5; i++) {
    const schedule_place place = {(int64_t)lround(epochs[i] * 10), 10, 0};
    assert_true(fabs(schedule_factor(&s, &place) - rates[i]) < 1e-12);
  }
  s = settings_of("paper", NULL);
  for (int drops = 0; drops < 4; drops++) {
    const schedule_place place = {123, 10, drops};
    assert_true(fabs(schedule_factor(&s, &place) - pow(.1, drops)) < 1e-12);
  }
  s = settings_of("d2l", &(vgg_train_options){.warmup = .5});
  for (int step = 0; step < 10; step++) {
    const schedule_place place = {step, 8, 0}; /* 4 steps */
    assert_true(schedule_factor(&s, &place) == (step < 4 ? (step + 1) / 4. : 1));
  }
  /* Longer than the cosine that was planned: nothing moves any more. */
  s = settings_of("finetune", &(vgg_train_options){.epochs = 4});
  assert_true(schedule_factor(&s, &(schedule_place){50, 10, 0}) == 0);
}

/* ---- parts of a batch ------------------------------------------------------------------------ */

static void assert_close_models(const vgg_model *a, const vgg_model *b) {
  for (int i = 0; i < a->params.count; i++) {
    const net_param *p = &a->params.at[i];
    double most = 0, worst = 0;
    for (size_t k = p->offset; k < p->offset + p->count; k++) {
      most = fmax(most, fabs(a->values[k]));
      worst = fmax(worst, fabs((double)a->values[k] - b->values[k]));
    }
    if (worst > 1e-5 * most) fail_msg("%s: %g of %g apart", p->name, worst, most);
  }
}

/* Dropout, class weights and clipping are the batch's, however it is taken. */
static void parts_of_a_batch(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 23, 9);
  vgg_train_options options = tiny_options(NULL);
  options.run.batch = 7;
  options.max_steps = 6;
  options.class_weights = "balanced";
  options.clip_norm = 1;
  vgg_trainer *whole = tiny_create(&t, "whole", options);
  vgg_train_state a, b;
  assert_int_equal(vgg_trainer_run(whole, NULL, NULL, &a, NULL), VGG_OK);
  const int parts[] = {1, 2, 3, 7};
  for (int i = 0; i < 4; i++) {
    char name[16];
    snprintf(name, sizeof name, "parts-%d", parts[i]);
    options.micro_batch = parts[i];
    vgg_trainer *trainer = tiny_create(&t, name, options);
    assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &b, NULL), VGG_OK);
    assert_close_models(vgg_trainer_model(whole), vgg_trainer_model(trainer));
    assert_true(fabs(a.train_loss - b.train_loss) <= 1e-5 * a.train_loss);
    assert_true(a.train_acc == b.train_acc && a.held_acc == b.held_acc);
    vgg_trainer_close(trainer);
  }
  vgg_trainer_close(whole);
  tiny_close(&t);
}

/* The statistics of batch norms are not the batch's then, which is said. */
static void parts_with_batch_norm(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 23, 9);
  const vgg_arch_options net = {
      .input = {1, 8, 8}, .classes = 10, .hidden = TINY_HIDDEN, .batch_norm = true};
  vgg_arch *plain = t.arch;
  assert_int_equal(vgg_arch_from_text("1x4,1x8", &net, &t.arch, NULL), VGG_OK);
  for (int parts = 0; parts < 3; parts++) {
    vgg_train_options options = tiny_options(NULL);
    options.micro_batch = parts < 2 ? 2 * parts : TINY_BATCH;
    vgg_trainer *trainer = tiny_create(&t, (const char *[]){"all", "two", "four"}[parts], options);
    const char *note = vgg_trainer_note(trainer, 0);
    if (parts == 1)
      assert_string_equal(
          note, "batch norm: means and variances are those of 2 pictures at a time, not of 4");
    else
      assert_null(note);
    vgg_trainer_close(trainer);
  }
  vgg_arch_close(t.arch);
  t.arch = plain;
  tiny_close(&t);
}

/* ---- the average of the weights -------------------------------------------------------------- */

typedef struct follower {
  const vgg_trainer *trainer;
  double *mean;
} follower;

static bool follow(const vgg_train_state *s, void *user) {
  const follower *f = user;
  const vgg_model *m = vgg_trainer_model(f->trainer);
  if (s->when != VGG_AFTER_STEP) return false;
  const double step = (double)s->step, kept = fmin(.8, step / (9 + step));
  for (size_t i = 0; i < m->params.floats; i++)
    f->mean[i] = kept * f->mean[i] + (1 - kept) * m->values[i];
  return false;
}

static void average_of_the_weights(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 43, 9);
  vgg_train_options options = tiny_options(NULL);
  options.epochs = 1;
  options.ema = .8;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  const vgg_model *m = vgg_trainer_model(trainer);
  follower f = {trainer, calloc(m->params.floats, sizeof(double))};
  for (size_t i = 0; i < m->params.floats; i++) f.mean[i] = m->values[i];
  assert_int_equal(vgg_trainer_run(trainer, follow, &f, NULL, NULL), VGG_OK);
  vgg_model *best, *last;
  assert_int_equal(vgg_model_load(tiny_path(&t, "run"), &best, NULL), VGG_OK);
  assert_int_equal(vgg_model_load(tiny_path(&t, "run/last.safetensors"), &last, NULL), VGG_OK);
  assert_memory_equal(last->values, m->values, m->params.floats * sizeof(float));
  double worst = 0, apart = 0;
  for (size_t i = 0; i < m->params.floats; i++) {
    worst = fmax(worst, fabs(best->values[i] - f.mean[i]));
    apart = fmax(apart, fabs((double)best->values[i] - m->values[i]));
  }
  assert_true(worst < 1e-6 && apart > 1e-4);
  free(f.mean);
  vgg_model_close(best);
  vgg_model_close(last);
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

/* ---- by the test accuracy -------------------------------------------------------------------- */

static bool note_rates(const vgg_train_state *s, void *user) {
  double *rates = user;
  if (s->when == VGG_AFTER_STEP) rates[s->epoch] = s->lr;
  return false;
}

/* So low a rate that no answer ever changes: the first epoch stays the best one. */
static vgg_train_options hopeless(void) {
  vgg_train_options options = tiny_options(NULL);
  options.lr = 1e-12;
  options.epochs = 8;
  return options;
}

static void plateau(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 8, 9);
  vgg_train_options options = hopeless();
  options.schedule = "plateau";
  options.patience = 2;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  double rates[8] = {0};
  assert_int_equal(vgg_trainer_run(trainer, note_rates, rates, NULL, NULL), VGG_OK);
  /* Two epochs after the best one the rate falls, and two epochs after that again. */
  const int falls[8] = {0, 0, 0, 1, 1, 2, 2, 3};
  for (int i = 0; i < 8; i++) assert_true(fabs(rates[i] / 1e-12 - pow(.1, falls[i])) < 1e-9);
  vgg_trainer_close(trainer);
  /* Stopped after each epoch it counts on. */
  tiny_train(tiny_create(&t, "stopped", options), 4);
  for (uint64_t step = 6; step <= 14; step += 2) tiny_train(tiny_resume(&t, "stopped", NULL), step);
  tiny_train(tiny_resume(&t, "stopped", NULL), UINT64_MAX);
  assert_same_run(&t, "run", "stopped");
  vgg_error err;
  options.out = tiny_path(&t, "blind");
  assert_int_equal(vgg_trainer_create(t.arch, t.train, NULL, &options, &trainer, &err),
                   VGG_BAD_VALUE);
  tiny_close(&t);
}

static void early_stop(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 8, 9);
  vgg_train_options options = hopeless();
  options.early_stop = 3;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  vgg_train_state final;
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &final, NULL), VGG_OK);
  assert_int_equal(final.epoch + 1, 4);
  const char *said = NULL;
  for (size_t i = 0; vgg_trainer_note(trainer, i); i++) said = vgg_trainer_note(trainer, i);
  assert_non_null(strstr(said, "ended early: 3 epochs"));
  vgg_trainer_close(trainer);
  trainer = tiny_resume(&t, "run", NULL); /* it has ended */
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &final, NULL), VGG_OK);
  assert_int_equal(final.epoch + 1, 4);
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

/* ---- class weights --------------------------------------------------------------------------- */

static void balanced_weights(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 50, 4);
  int count[10] = {0}, present = 0;
  for (size_t i = 0; i < 50; i++) count[vgg_dataset_label(t.train, i)]++;
  for (int k = 0; k < 10; k++) present += count[k] > 0;
  float *weights;
  assert_int_equal(class_weights_make("balanced", t.train, 12, &weights, NULL), VGG_OK);
  double sum = 0;
  for (int k = 0; k < 10; k++) {
    const double want = count[k] ? 50. / present / count[k] : 0;
    assert_true(fabs(weights[k] - want) <= 1e-6 * want);
    sum += (double)count[k] * weights[k];
  }
  assert_true(fabs(sum - 50) < 1e-4 && weights[10] == 0 && weights[11] == 0);
  free(weights);
  assert_int_equal(class_weights_make("none", t.train, 10, &weights, NULL), VGG_OK);
  assert_null(weights);
  vgg_error err;
  assert_int_equal(class_weights_make("1,2", t.train, 10, &weights, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "2 numbers, the data has 10 classes"));
  static const char *const wrong[] = {"", "1,", ",1", "1,,2", "-1,2", "0,0", "nan", "1 2", "1e99"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(class_weights_check(wrong[i], NULL), VGG_BAD_VALUE);
  assert_int_equal(class_weights_check("0,1.5,2e-3", NULL), VGG_OK);
  tiny_close(&t);
}

/* ---- a run that does not learn --------------------------------------------------------------- */

static bool warns(const tiny *t, const char *name, vgg_train_options options) {
  vgg_trainer *trainer = tiny_create(t, name, options);
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, NULL, NULL), VGG_OK);
  int warnings = 0;
  for (size_t i = 0; vgg_trainer_note(trainer, i); i++)
    warnings += strstr(vgg_trainer_note(trainer, i), "it does not learn") != NULL;
  assert_in_range(warnings, 0, 1);
  vgg_trainer_close(trainer);
  return warnings == 1;
}

/* Tiny weights make all answers equally likely: the loss is ln(10). */
static void stall(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 100, 9);
  vgg_train_options options = tiny_options(NULL);
  options.init = "gauss";
  options.lr = 1e-9;
  assert_true(warns(&t, "stalled", options));
  options.max_steps = 24; /* not a whole epoch */
  assert_false(warns(&t, "short", options));
  tiny_close(&t);
  tiny_open(&t, 40, 9);
  options.max_steps = 0;
  options.epochs = 1; /* a whole one, but the first 10 steps of a run */
  assert_false(warns(&t, "few", options));
  options.epochs = 2;
  assert_true(warns(&t, "enough", options));
  tiny_close(&t);
  tiny_open(&t, 1000, 9);
  assert_false(warns(&t, "learning", tiny_options(NULL)));
  tiny_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_change_a_recipe),
      cmocka_unit_test(recipes_look_at_the_net),
      cmocka_unit_test(which_recipe_without_a_word),
      cmocka_unit_test(schedules),
      cmocka_unit_test(parts_of_a_batch),
      cmocka_unit_test(parts_with_batch_norm),
      cmocka_unit_test(average_of_the_weights),
      cmocka_unit_test(plateau),
      cmocka_unit_test(early_stop),
      cmocka_unit_test(balanced_weights),
      cmocka_unit_test(stall),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
