/* SPDX-License-Identifier: Apache-2.0 */
#include "data/loader.h"

#include "idx_files.h"

enum { COUNT = 37, SIDE_H = 5, SIDE_W = 7 };

typedef struct fixture {
  char dir[64];
  vgg_dataset *data;
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  char spec[80];
  vgg_error err;
  folder_fill(f->dir, COUNT, 3, SIDE_H, SIDE_W, false);
  snprintf(spec, sizeof spec, "idx:%s", f->dir);
  if (vgg_dataset_open(spec, VGG_TRAIN, 0, &f->data, &err) != VGG_OK) fail_msg("%s", err.message);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  vgg_dataset_close(f->data);
  folder_remove(f->dir);
  free(f);
  return 0;
}

static loader *create(loader_options options) {
  loader *l;
  vgg_error err;
  if (loader_create(&options, &l, &err) != VGG_OK) fail_msg("%s", err.message);
  return l;
}

static const loader_batch *next(loader *l) {
  const loader_batch *b;
  vgg_error err;
  assert_int_equal(loader_next(l, &b, &err), VGG_OK);
  return b;
}

/* Is `b` batch number `k` of the epoch, as made by vgg_preprocess_apply alone? */
static void assert_batch(const loader_options *o, uint32_t epoch, size_t k, const loader_batch *b) {
  uint32_t order[COUNT];
  uint8_t want[24 * 24];
  const vgg_shape s = o->rule.input;
  const size_t picture = (size_t)s.c * (size_t)s.h * (size_t)s.w, first = k * (size_t)o->batch;
  for (uint32_t i = 0; i < COUNT; i++) order[i] = i;
  if (o->shuffle) sampler_order(o->seed, epoch, order, COUNT);
  assert_non_null(b);
  assert_int_equal(b->n, COUNT - first < (size_t)o->batch ? COUNT - first : (size_t)o->batch);
  for (int i = 0; i < b->n; i++) {
    const uint32_t id = order[first + (size_t)i];
    const vgg_image image = {1, SIDE_H, SIDE_W, (uint8_t *)vgg_dataset_pixels(o->data, id)};
    assert_int_equal(b->ids[i], id);
    assert_int_equal(b->labels[i], vgg_dataset_label(o->data, id));
    assert_int_equal(vgg_preprocess_apply(&o->rule, &image, want, NULL), VGG_OK);
    assert_memory_equal(b->pixels + (size_t)i * picture, want, picture);
  }
}

static void whole_epochs(void **state) {
  const fixture *f = *state;
  static const int workers[] = {0, 1, 2, 5}, batches[] = {1, 7, COUNT, 64};
  static const vgg_shape inputs[] = {{1, 24, 24}, {1, SIDE_H, SIDE_W}, {1, 3, 11}};
  for (int c = 0; c < 4 * 4 * 3 * 2; c++) {
    const loader_options o = {.data = f->data,
                              .rule = {.input = inputs[c / 16 % 3], .invert = c % 2},
                              .batch = batches[c / 4 % 4],
                              .shuffle = c / 48,
                              .seed = 5,
                              .workers = workers[c % 4]};
    loader *l = create(o);
    const size_t count = loader_batches(l);
    assert_int_equal(count, (COUNT + o.batch - 1) / o.batch);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
      assert_int_equal(loader_start(l, epoch, 0, NULL), VGG_OK);
      for (size_t k = 0; k < count; k++) assert_batch(&o, epoch, k, next(l));
      assert_null(next(l));
      assert_null(next(l));
    }
    loader_close(l);
  }
}

static void from_the_middle(void **state) {
  const fixture *f = *state;
  const loader_options o = {
      .data = f->data, .rule = {.input = {1, 24, 24}}, .batch = 5, .shuffle = true, .workers = 2};
  loader *l = create(o);
  for (size_t first = 0; first <= 8; first++) {
    assert_int_equal(loader_start(l, 9, first, NULL), VGG_OK);
    for (size_t k = first; k < 8; k++) assert_batch(&o, 9, k, next(l));
    assert_null(next(l));
  }
  vgg_error err;
  assert_int_equal(loader_start(l, 9, 9, &err), VGG_BAD_VALUE);
  loader_close(l);
}

/* An epoch is dropped at any point, with batches lent, ready and under way. */
static void begun_anew_while_busy(void **state) {
  const fixture *f = *state;
  const loader_options o = {
      .data = f->data, .rule = {.input = {1, 24, 24}}, .batch = 4, .shuffle = true, .workers = 3};
  loader *l = create(o);
  for (uint32_t epoch = 0; epoch < 200; epoch++) {
    assert_int_equal(loader_start(l, epoch, epoch % 3, NULL), VGG_OK);
    for (size_t k = 0; k < epoch % 7; k++) assert_batch(&o, epoch, epoch % 3 + k, next(l));
  }
  loader_close(l);
}

static void closed_while_busy(void **state) {
  const fixture *f = *state;
  for (int i = 0; i < 60; i++) {
    loader *l = create((loader_options){.data = f->data,
                                        .rule = {.input = {1, 24, 24}, .invert = true},
                                        .batch = 3,
                                        .workers = 1 + i % 4});
    if (i % 3 > 0) loader_start(l, 0, 0, NULL);
    if (i % 3 > 1) next(l);
    loader_close(l);
  }
  loader_close(NULL);
}

/* What was lent stays as it is while the workers run on. */
static void lent_until_the_next_call(void **state) {
  const fixture *f = *state;
  const loader_options o = {
      .data = f->data, .rule = {.input = {1, 24, 24}}, .batch = 2, .workers = 3};
  loader *l = create(o);
  assert_int_equal(loader_start(l, 0, 0, NULL), VGG_OK);
  for (size_t k = 0; k < loader_batches(l); k++) {
    const loader_batch *b = next(l);
    usleep(1000);
    assert_batch(&o, 0, k, b);
  }
  loader_close(l);
}

static void refusals(void **state) {
  const fixture *f = *state;
  const loader_options good = {.data = f->data, .rule = {.input = {1, 24, 24}}, .batch = 2};
  const loader_batch *b;
  loader *l;
  vgg_error err;
  loader_options o = good;
  o.batch = 0;
  assert_int_equal(loader_create(&o, &l, &err), VGG_BAD_VALUE);
  o = good, o.workers = -1;
  assert_int_equal(loader_create(&o, &l, &err), VGG_BAD_VALUE);
  o = good, o.rule.input.c = 3;
  assert_int_equal(loader_create(&o, &l, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "grey"));
  o = good, o.rule.input.w = -4;
  assert_int_equal(loader_create(&o, &l, &err), VGG_BAD_VALUE);
  l = create(good);
  assert_int_equal(loader_next(l, &b, &err), VGG_BUG); /* no epoch was begun */
  loader_close(l);
}

static void byte_counts(void **state) {
  (void)state;
  const vgg_shape input = {1, 224, 224};
  const size_t slots = 3 * 128 * (224 * 224 + 4 + 4), order = 60000 * 4, bad = 60000;
  const size_t all = slots + order + bad;
  assert_in_range(loader_bytes(input, 128, 60000), all, all + 4096);
  assert_in_range(loader_bytes(input, 1 << 30, 2), 6 * 224 * 224, 6 * 224 * 224 + 4096);
  assert_int_equal(loader_bytes((vgg_shape){3, 1 << 30, 1 << 30}, 1 << 30, 1 << 30), SIZE_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_epochs),      cmocka_unit_test(from_the_middle),
      cmocka_unit_test(closed_while_busy), cmocka_unit_test(begun_anew_while_busy),
      cmocka_unit_test(refusals),          cmocka_unit_test(lent_until_the_next_call),
      cmocka_unit_test(byte_counts),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
