/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: where the points of the curves lie, what the state says, which model is best, and how
 * a run ends.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/file.h"
#include "format/model.h"
#include "tiny.h"

/* One epoch of so many batches; the last one has a picture less than the others. */
static size_t curve_of(int batches, double *x, size_t max) {
  tiny t;
  tiny_open(&t, batches * TINY_BATCH - 1, 5);
  vgg_train_options options = tiny_options(NULL);
  options.epochs = 1;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, NULL, NULL), VGG_OK);
  const vgg_curve_point *points;
  const size_t count = vgg_trainer_curve(trainer, &points);
  assert_in_range(count, 2, max);
  for (size_t i = 0; i < count; i++) {
    const bool last = i == count - 1; /* the test point */
    x[i] = points[i].x;
    assert_true(isnan(points[i].train_loss) == last && isnan(points[i].train_acc) == last);
    assert_true(isnan(points[i].held_acc) == !last);
  }
  vgg_trainer_close(trainer);
  tiny_close(&t);
  return count;
}

static void assert_points(int batches, const int *at, size_t count) {
  double x[16];
  assert_int_equal(curve_of(batches, x, 16), count + 1);
  for (size_t i = 0; i < count; i++) assert_true(x[i] == (double)at[i] / batches);
  assert_true(x[count] == 1);
}

static void points_of_the_curves(void **state) {
  (void)state;
  assert_points(1, (int[]){1}, 1);
  assert_points(4, (int[]){1, 2, 3, 4}, 4); /* batches / 5 is 0 */
  assert_points(5, (int[]){1, 2, 3, 4, 5}, 5);
  assert_points(7, (int[]){1, 2, 3, 4, 5, 6, 7}, 7);
  assert_points(13, (int[]){2, 4, 6, 8, 10, 12, 13}, 7);
  assert_points(469, (int[]){93, 186, 279, 372, 465, 469}, 6);
}

static void assert_near(double a, double b, double bound) { assert_true(fabs(a - b) <= bound); }

typedef struct seen {
  int steps, epochs, evals;
  vgg_train_state last;
} seen;

static bool watch(const vgg_train_state *s, void *user) {
  seen *w = user;
  assert_int_equal(s->epochs, 2);
  assert_int_equal(s->batches, 6);
  assert_int_equal(s->steps, 12);
  assert_int_equal(s->step, s->epoch * s->batches + s->batch);
  assert_int_equal(s->images, s->epoch * 23 + (s->batch == 6 ? 23 : 4 * s->batch));
  assert_true(s->lr == .05);
  if (s->when == VGG_AFTER_STEP) {
    w->steps++;
    if (s->batch == 1) assert_near(s->step_loss, s->train_loss, 1e-12);
  } else if (s->when == VGG_AFTER_EPOCH) {
    w->epochs++;
    assert_int_equal(s->batch, 6);
    assert_true(s->held_acc >= 0 && s->held_acc <= 1 && s->held_loss > 0);
  } else {
    w->evals++;
    assert_int_equal(s->eval_total, 9);
    assert_in_range(s->eval_done, 1, 9);
  }
  assert_true(s->compute_seconds + s->data_wait_seconds + s->eval_seconds <= s->wall_seconds);
  assert_true(s->seconds_left >= 0);
  w->last = *s;
  return false;
}

static void what_the_callback_sees(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 23, 9);
  vgg_trainer *trainer = tiny_create(&t, "run", tiny_options(NULL));
  seen w = {0};
  vgg_train_state final;
  assert_int_equal(vgg_trainer_run(trainer, watch, &w, &final, NULL), VGG_OK);
  assert_int_equal(w.steps, 12);
  assert_int_equal(w.epochs, 2);
  assert_int_equal(w.evals, 2 * 3);
  assert_int_equal(final.epoch, 1);
  assert_int_equal(final.images, 46);
  assert_true(final.held_acc == w.last.held_acc && final.train_loss == w.last.train_loss);
  assert_true(final.examples_per_sec == 46 / final.compute_seconds);
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

/* Which epoch's weights does best.safetensors hold? Told by their test loss. */
typedef struct best_watch {
  const tiny *t;
  double acc, loss; /* of the best epoch so far */
  int ties;
} best_watch;

static double loss_of_best(const tiny *t) {
  const vgg_train_options same = tiny_options(NULL);
  vgg_model *model;
  vgg_predictor *predictor;
  vgg_evaluation *e;
  assert_int_equal(vgg_model_load(tiny_path(t, "run"), &model, NULL), VGG_OK);
  assert_int_equal(vgg_predictor_create(model, &same.run, &predictor, NULL), VGG_OK);
  assert_int_equal(vgg_evaluate(predictor, t->test, NULL, NULL, &e, NULL), VGG_OK);
  const double loss = e->loss;
  vgg_evaluation_free(e);
  vgg_predictor_close(predictor);
  vgg_model_close(model);
  return loss;
}

static bool watch_best(const vgg_train_state *s, void *user) {
  best_watch *w = user;
  if (s->when != VGG_AFTER_EPOCH) return false;
  w->ties += s->held_acc == w->acc;
  if (s->held_acc > w->acc) {
    w->acc = s->held_acc;
    w->loss = s->held_loss;
  }
  assert_near(loss_of_best(w->t), w->loss, 1e-6);
  return false;
}

/* Four pictures for a test, so that ties are sure. */
static void best_is_the_first_on_ties(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 40, 4);
  vgg_train_options options = tiny_options(NULL);
  options.run.batch = 40;
  options.epochs = 8;
  options.lr = .005;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  best_watch w = {.t = &t, .acc = -1};
  assert_int_equal(vgg_trainer_run(trainer, watch_best, &w, NULL, NULL), VGG_OK);
  vgg_trainer_close(trainer);
  assert_true(w.ties > 0);
  tiny_close(&t);
}

static void without_evaluation(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 20, 4);
  vgg_train_options options = tiny_options(tiny_path(&t, "run"));
  vgg_trainer *trainer;
  assert_int_equal(vgg_trainer_create(t.arch, t.train, NULL, &options, &trainer, NULL), VGG_OK);
  vgg_train_state final;
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &final, NULL), VGG_OK);
  assert_true(isnan(final.held_acc));
  const vgg_curve_point *points;
  assert_int_equal(vgg_trainer_curve(trainer, &points), 10);
  vgg_model *best;
  assert_int_equal(vgg_model_load(tiny_path(&t, "run"), &best, NULL), VGG_OK);
  vgg_model_close(best);
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

static void max_steps_ends_there(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 20, 4);
  vgg_train_options options = tiny_options(NULL);
  options.max_steps = 7;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  vgg_train_state final;
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &final, NULL), VGG_OK);
  assert_int_equal(final.step, 7);
  assert_int_equal(final.steps, 7);
  vgg_trainer_close(trainer);
  options.max_steps = 3; /* before any epoch's end there is a model to use all the same */
  trainer = tiny_create(&t, "short", options);
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &final, NULL), VGG_OK);
  assert_int_equal(final.step, 3);
  vgg_trainer_close(trainer);
  assert_true(path_exists(tiny_path(&t, "short/best.safetensors")));
  tiny_close(&t);
}

/* The infinite learning rate of a mistyped exponent: the second step's loss is no number. */
static void divergence_stops_the_run(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 20, 4);
  vgg_train_options options = tiny_options(NULL);
  options.lr = 1e30;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  vgg_error err = {0};
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, NULL, &err), VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "step 2, lr 1e+30: the loss is not finite"));
  vgg_trainer_close(trainer);
  vgg_model *last;
  assert_int_equal(vgg_model_load(tiny_path(&t, "run/last.safetensors"), &last, NULL), VGG_OK);
  vgg_model_close(last);
  tiny_close(&t);
}

static void scale(const net_params *params, float *values, const char *name, double factor) {
  for (int p = 0; p < params->count; p++)
    for (size_t i = 0; i < params->at[p].count && strcmp(params->at[p].name, name) == 0; i++) {
      float *v = &values[params->at[p].offset + i];
      *v = (float)(*v * factor);
    }
}

/* What one layer makes small and the next one large again leaves the loss as it was, but the
 * gradient in between is beyond a float. No weight may have changed then. */
static void a_gradient_stops_the_run(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 20, 4);
  vgg_trainer *trainer = tiny_create(&t, "run", tiny_options(NULL));
  const vgg_model *model = vgg_trainer_model(trainer);
  const size_t bytes = model->params.floats * sizeof(float);
  scale(&model->params, model->values, "features.3.weight", 1e-39);
  scale(&model->params, model->values, "features.3.bias", 0);
  scale(&model->params, model->values, "classifier.0.weight", 1.5e39);
  scale(&model->params, model->values, "classifier.6.weight", 30);
  float *before = malloc(bytes);
  assert_non_null(before);
  memcpy(before, model->values, bytes);
  vgg_error err = {0};
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, NULL, &err), VGG_BAD_CONTENT);
  if (!strstr(err.message, "step 1, lr 0.05: a gradient of conv")) fail_msg("%s", err.message);
  assert_memory_equal(before, model->values, bytes);
  free(before);
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

/* Data order, dropout and weights hang on the seed alone. */
static void threads_do_not_show(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 23, 9);
  static const char *const names[] = {"one", "two", "five"};
  static const int threads[] = {1, 2, 5};
  for (int i = 0; i < 3; i++) {
    vgg_train_options options = tiny_options(NULL);
    options.epochs = 1;
    options.run.threads = threads[i];
    tiny_train(tiny_create(&t, names[i], options), UINT64_MAX);
    assert_same_run(&t, names[0], names[i]);
  }
  tiny_close(&t);
}

/* The same weights, bit for bit, after 50 steps of our own kernels, also with more threads than
 * there are tiles: 32x32 to 8x8 pictures, odd channels, batches of several sizes. */
static void own_kernels_do_not_show_threads(void **state) {
  (void)state;
  if (!backend_find("native") || cpu_best_isa() < CPU_AVX2) skip();
  tiny t;
  tiny_open(&t, 23, 9);
  vgg_arch_close(t.arch);
  const vgg_arch_options net = {.input = {1, 32, 32}, .hidden = 70};
  assert_int_equal(vgg_arch_from_text("1x16,1x35,2x40", &net, &t.arch, NULL), VGG_OK);
  static const char *const names[] = {"one", "two", "three", "four"};
  for (int i = 0; i < 4; i++) {
    vgg_train_options options = tiny_options(NULL);
    options.max_steps = 50;
    options.epochs = 50;
    options.run.backend = "native";
    options.run.batch = 12;
    options.run.threads = i + 1;
    tiny_train(tiny_create(&t, names[i], options), UINT64_MAX);
    assert_same_run(&t, names[0], names[i]);
  }
  tiny_close(&t);
}

static void it_learns(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 1000, 100);
  vgg_train_options options = tiny_options(NULL);
  options.epochs = 2;
  vgg_trainer *trainer = tiny_create(&t, "run", options);
  vgg_train_state final;
  assert_int_equal(vgg_trainer_run(trainer, NULL, NULL, &final, NULL), VGG_OK);
  assert_true(final.held_acc > .3); /* guessing gets .1, give or take .03 */
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(points_of_the_curves),
      cmocka_unit_test(what_the_callback_sees),
      cmocka_unit_test(best_is_the_first_on_ties),
      cmocka_unit_test(without_evaluation),
      cmocka_unit_test(max_steps_ends_there),
      cmocka_unit_test(divergence_stops_the_run),
      cmocka_unit_test(a_gradient_stops_the_run),
      cmocka_unit_test(threads_do_not_show),
      cmocka_unit_test(own_kernels_do_not_show_threads),
      cmocka_unit_test(it_learns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
