/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical parameters: names, places, order in files, initial values.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/net.h"

static void params_of(const char *text, const vgg_arch_options *options, net_params *out) {
  vgg_arch *arch = NULL;
  assert_int_equal(vgg_arch_from_text(text, options, &arch, NULL), VGG_OK);
  net_params_of(arch, out);
  size_t floats = 0;
  for (int i = 0; i < out->count; i++) floats += out->at[i].count;
  assert_int_equal(floats, vgg_arch_params(arch));
  vgg_arch_close(arch);
}

static void test_places(void **state) {
  (void)state;
  static net_params p;
  const vgg_arch_options options = {.input = {3, 8, 12}, .hidden = 5, .classes = 7};
  params_of("1x4,2x6", &options, &p);
  static const struct {
    const char *name;
    int layer, rank, shape[4];
    size_t count, fan_in, fan_out;
  } rows[] = {
      {"features.0.weight", 0, 4, {4, 3, 3, 3}, 108, 27, 36},
      {"features.0.bias", 0, 1, {4}, 4, 27, 36},
      {"features.3.weight", 3, 4, {6, 4, 3, 3}, 216, 36, 54},
      {"features.3.bias", 3, 1, {6}, 6, 36, 54},
      {"features.5.weight", 5, 4, {6, 6, 3, 3}, 324, 54, 54},
      {"features.5.bias", 5, 1, {6}, 6, 54, 54},
      {"classifier.0.weight", 9, 2, {5, 36}, 180, 36, 5}, /* from 6 x 2 x 3 */
      {"classifier.0.bias", 9, 1, {5}, 5, 36, 5},
      {"classifier.3.weight", 12, 2, {5, 5}, 25, 5, 5},
      {"classifier.3.bias", 12, 1, {5}, 5, 5, 5},
      {"classifier.6.weight", 15, 2, {7, 5}, 35, 5, 7},
      {"classifier.6.bias", 15, 1, {7}, 7, 5, 7},
  };
  assert_int_equal(p.count, sizeof rows / sizeof rows[0]);
  size_t end = 0;
  for (int i = 0; i < p.count; i++) {
    const net_param *at = &p.at[i];
    assert_string_equal(at->name, rows[i].name);
    assert_int_equal(at->layer, rows[i].layer);
    assert_int_equal(at->rank, rows[i].rank);
    assert_int_equal(at->role, rows[i].rank == 1 ? NET_BIAS : NET_WEIGHT);
    assert_memory_equal(at->shape, rows[i].shape, sizeof at->shape);
    assert_int_equal(at->count, rows[i].count);
    assert_int_equal(at->fan_in, rows[i].fan_in);
    assert_int_equal(at->fan_out, rows[i].fan_out);
    assert_int_equal(at->offset, (end + 15) / 16 * 16); /* close together, at cache lines */
    end = at->offset + at->count;
    const bool first_linear = at->rank == 2 && at->layer == 9;
    assert_int_equal(at->map.c, first_linear ? 6 : 0);
    assert_int_equal(at->map.h, first_linear ? 2 : 0);
    assert_int_equal(at->map.w, first_linear ? 3 : 0);
  }
  assert_int_equal(p.floats, (end + 15) / 16 * 16);
}

/* A dense head's convolutions have the parameters of the linear layers, in memory and in files. */
static void test_dense_head(void **state) {
  (void)state;
  static net_params flat, dense;
  vgg_arch_options options = {.input = {3, 8, 8}, .hidden = 5};
  params_of("1x4,2x6", &options, &flat);
  options.head = VGG_HEAD_DENSE;
  params_of("1x4,2x6", &options, &dense);
  assert_int_equal(dense.count, flat.count);
  for (int i = 0; i < flat.count; i++) {
    const net_param *a = &flat.at[i], *b = &dense.at[i];
    assert_string_equal(a->name, b->name);
    assert_true(a->role == b->role && a->rank == b->rank && a->offset == b->offset);
    assert_true(a->fan_in == b->fan_in && a->fan_out == b->fan_out);
    assert_memory_equal(a->shape, b->shape, sizeof a->shape);
    assert_memory_equal(&a->map, &b->map, sizeof a->map);
  }
}

/* Running statistics stand behind all that is trained, under torchvision's names. */
static void test_batch_norm(void **state) {
  (void)state;
  static net_params p;
  const vgg_arch_options options = {.input = {3, 8, 8}, .hidden = 5, .batch_norm = true};
  vgg_arch *arch = NULL;
  assert_int_equal(vgg_arch_from_text("1x4,1x6", &options, &arch, NULL), VGG_OK);
  net_params_of(arch, &p);
  static const struct {
    int at;
    const char *name;
    net_role role;
    int channels;
  } rows[] = {
      {1, "features.0.bias", NET_BIAS, 4},          {2, "features.1.weight", NET_SCALE, 4},
      {3, "features.1.bias", NET_SHIFT, 4},         {4, "features.4.weight", NET_WEIGHT, 6},
      {7, "features.5.bias", NET_SHIFT, 6},         {8, "classifier.0.weight", NET_WEIGHT, 5},
      {14, "features.1.running_mean", NET_MEAN, 4}, {15, "features.1.running_var", NET_VARIANCE, 4},
      {16, "features.5.running_mean", NET_MEAN, 6},
  };
  assert_int_equal(p.trained, 14);
  assert_int_equal(p.count, 18);
  uint64_t trained = 0;
  for (int i = 0; i < p.trained; i++) trained += p.at[i].count;
  assert_int_equal(trained, vgg_arch_params(arch));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_string_equal(p.at[rows[i].at].name, rows[i].name);
    assert_int_equal(p.at[rows[i].at].role, rows[i].role);
    assert_int_equal(p.at[rows[i].at].shape[0], rows[i].channels);
  }
  float *values = malloc(p.floats * sizeof *values);
  assert_non_null(values);
  net_init_d2l(&p, 1, values);
  for (int i = 0; i < p.count; i++)
    if (p.at[i].role >= NET_SCALE)
      assert_true(values[p.at[i].offset] ==
                  (p.at[i].role == NET_SCALE || p.at[i].role == NET_VARIANCE));
  free(values);
  vgg_arch_close(arch);
}

/* Where the pools leave one pixel, both orders agree. */
static void test_no_map_for_one_pixel(void **state) {
  (void)state;
  static net_params p;
  const vgg_arch_options options = {.input = {1, 4, 4}, .hidden = 5};
  params_of("1x4,1x6", &options, &p);
  assert_string_equal(p.at[4].name, "classifier.0.weight");
  assert_int_equal(p.at[4].map.c, 0);
}

/* Element by element, after the definition of both orders. */
static void test_orders(void **state) {
  (void)state;
  static net_params p;
  const vgg_arch_options options = {.input = {3, 8, 12}, .hidden = 5};
  params_of("1x4,2x6", &options, &p);
  for (int t = 0; t < p.count; t++) {
    const net_param *at = &p.at[t];
    float *canonical = malloc(at->count * sizeof *canonical);
    float *file = malloc(at->count * sizeof *file), *back = malloc(at->count * sizeof *back);
    assert_true(canonical && file && back);
    for (size_t i = 0; i < at->count; i++) canonical[i] = (float)i;
    net_param_to_file(at, canonical, file);
    const size_t K = (size_t)at->shape[0], C = (size_t)at->shape[1], R = 3, S = 3;
    const size_t mc = (size_t)at->map.c, mh = (size_t)at->map.h, mw = (size_t)at->map.w;
    size_t seen = 0;
    if (at->rank == 4)
      for (size_t k = 0; k < K; k++)
        for (size_t c = 0; c < C; c++)
          for (size_t r = 0; r < R; r++)
            for (size_t s = 0; s < S; s++, seen++)
              assert_true(file[((k * C + c) * R + r) * S + s] ==
                          canonical[((k * R + r) * S + s) * C + c]);
    else if (mc)
      for (size_t k = 0; k < K; k++)
        for (size_t c = 0; c < mc; c++)
          for (size_t y = 0; y < mh; y++)
            for (size_t x = 0; x < mw; x++, seen++)
              assert_true(file[((k * mc + c) * mh + y) * mw + x] ==
                          canonical[((k * mh + y) * mw + x) * mc + c]);
    else
      for (; seen < at->count; seen++) assert_true(file[seen] == canonical[seen]);
    assert_int_equal(seen, at->count);
    net_param_from_file(at, file, back);
    assert_memory_equal(back, canonical, at->count * sizeof *back);
    free(canonical);
    free(file);
    free(back);
  }
}

static const vgg_arch_options small = {.ratio = 4, .hidden = 64};

static float *init(const net_params *p, uint64_t seed) {
  float *values = malloc(p->floats * sizeof *values);
  assert_non_null(values);
  for (size_t i = 0; i < p->floats; i++) values[i] = NAN; /* all must be written */
  net_init_d2l(p, seed, values);
  return values;
}

/* Bounds, mean and variance of every tensor. With n draws from U(-a, a) the mean has standard
 * deviation a / sqrt(3n), the mean square a^2 sqrt(4 / (45 n)); five of them are allowed. */
static void test_distribution(void **state) {
  (void)state;
  static net_params p;
  params_of("vgg11", &small, &p);
  float *values = init(&p, 1);
  size_t checked = 0;
  for (int t = 0; t < p.count; t++) {
    const net_param *at = &p.at[t];
    const double a = at->role == NET_BIAS ? 1 / sqrt((double)at->fan_in)
                                          : sqrt(6.0 / (double)(at->fan_in + at->fan_out));
    const double n = (double)at->count;
    double sum = 0, squares = 0;
    for (; checked < at->offset; checked++) assert_true(values[checked] == 0); /* padding */
    for (size_t i = 0; i < at->count; i++, checked++) {
      const double v = values[at->offset + i];
      if (!(fabs(v) <= (double)(float)a)) fail_msg("%s: %g, bound %g", at->name, v, a);
      sum += v;
      squares += v * v;
    }
    assert_true(fabs(sum / n) <= 5 * a / sqrt(3 * n));
    assert_true(fabs(squares / n - a * a / 3) <= 5 * a * a * sqrt(4 / (45 * n)));
  }
  for (; checked < p.floats; checked++) assert_true(values[checked] == 0);
  free(values);
}

/* The values that init_golden.py prints for seed (7 << 32) + 42. */
static void test_golden(void **state) {
  (void)state;
  static const struct {
    int tensor;
    size_t element;
    float value;
  } rows[] = {
      {0, 0, -0x1.3d9e92p-5f},  {0, 1, 0x1.69f422p-5f},   {0, 2, -0x1.d93958p-6f},
      {0, 3, -0x1.660fa6p-4f},  {0, 143, 0x1.9e5b32p-5f}, {1, 0, -0x1.32818p-2f},
      {1, 15, -0x1.e726d6p-4f}, {16, 0, 0x1.c667fcp-6f},  {16, 401407, 0x1.ed4b58p-7f},
      {21, 0, -0x1.dac44p-5f},  {21, 9, 0x1.997cp-8f},
  };
  static net_params p;
  params_of("vgg11", &small, &p);
  float *values = init(&p, (7ull << 32) + 42);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    assert_true(values[p.at[rows[i].tensor].offset + rows[i].element] == rows[i].value);
  free(values);
}

static void test_seeds(void **state) {
  (void)state;
  static net_params p;
  const vgg_arch_options options = {.input = {1, 4, 4}, .hidden = 64};
  params_of("1x8,1x8", &options, &p);
  float *a = init(&p, 5), *again = init(&p, 5), *b = init(&p, 6),
        *high = init(&p, 5 + (1ull << 32));
  assert_memory_equal(a, again, p.floats * sizeof *a);
  size_t equal_b = 0, equal_high = 0, weights = 0;
  for (int t = 0; t < p.count; t++)
    for (size_t i = p.at[t].offset; i < p.at[t].offset + p.at[t].count; i++, weights++) {
      equal_b += a[i] == b[i];
      equal_high += a[i] == high[i];
    }
  assert_true(equal_b < weights / 100 && equal_high < weights / 100);
  free(a);
  free(again);
  free(b);
  free(high);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_places),     cmocka_unit_test(test_batch_norm),
      cmocka_unit_test(test_dense_head), cmocka_unit_test(test_no_map_for_one_pixel),
      cmocka_unit_test(test_orders),     cmocka_unit_test(test_distribution),
      cmocka_unit_test(test_golden),     cmocka_unit_test(test_seeds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
