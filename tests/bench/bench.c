/* SPDX-License-Identifier: Apache-2.0
 *
 * What the figures of `vgg bench` are made of: which rows there are, and that they fit together.
 * How large they are is nobody's promise.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bench/peak.h"
#include "bench/sample.h"
#include "net/engine.h"
#include "vgg/bench.h"

static vgg_arch *small_net(void) {
  vgg_arch *arch;
  const vgg_arch_options options = {.input = {1, 16, 16}, .hidden = 24};
  assert_int_equal(vgg_arch_from_text("1x16,1x32", &options, &arch, NULL), VGG_OK);
  return arch;
}

static vgg_bench_result *bench(bool training, bool layers) {
  vgg_arch *arch = small_net();
  const vgg_bench_options options = {.run = {.batch = 4, .threads = 2, .precision = "fp32"},
                                     .training = training,
                                     .layers = layers,
                                     .seconds = 0.01};
  vgg_bench_result *r;
  assert_int_equal(vgg_bench(arch, &options, &r, NULL), VGG_OK);
  vgg_arch_close(arch);
  return r;
}

/* Two convolutions and three linear layers; the picture's gradient is never taken. */
static void every_stage_and_direction_has_a_row(void **state) {
  (void)state;
  vgg_bench_result *r = bench(true, true);
  assert_int_equal(r->num_layers, 5 * 3 - 1);
  int passes[3] = {0};
  for (int i = 0; i < r->num_layers; i++) {
    const vgg_bench_layer *l = &r->layers[i];
    passes[l->pass]++;
    assert_true(l->us > 0 && l->spread >= 0 && l->gflops > 0 && l->gbytes > 0 && l->expected > 0);
    assert_true(l->backend && l->kernels[0]);
  }
  assert_int_equal(passes[VGG_BENCH_BACKWARD_DATA], 4);
  vgg_bench_free(r);
  r = bench(false, true);
  assert_int_equal(r->num_layers, 5);
  vgg_bench_free(r);
}

/* 16 16x16 pictures of 1 channel, 32 8x8 of 16; 512, 24, 24 and 10 units. The first layer has no
 * gradient of its input. */
static void flop_are_the_direct_products(void **state) {
  (void)state;
  const double first = 2. * 9 * 16 * 16 * 16, second = 2. * 9 * 16 * 32 * 8 * 8;
  const double linear = 2. * (512 * 24 + 24 * 24 + 24 * 10);
  vgg_bench_result *r = bench(true, false);
  const double images = 4 / r->step_median;
  assert_true(fabs(r->images_per_second - images) < 1e-9 * images);
  const double wanted = (2 * first + 3 * (second + linear)) * images * 1e-9;
  assert_true(fabs(r->gflops - wanted) < 1e-9 * wanted);
  assert_true(r->steps >= 5 && r->step_low <= r->step_median && r->step_median <= r->step_high);
  assert_true(r->peak_before > 0 && r->peak_after > 0);
  assert_int_equal(r->num_layers, 0);
  vgg_bench_free(r);
}

static void quantiles(void **state) {
  (void)state;
  sample s = {0};
  assert_float_equal(sample_median(&s), 0, 0);
  const double values[] = {5, 1, 4, 2, 3};
  for (int i = 0; i < 5; i++) sample_add(&s, values[i]);
  assert_float_equal(sample_median(&s), 3, 0);
  assert_float_equal(sample_quantile(&s, 0.25), 2, 0);
  assert_float_equal(sample_quantile(&s, 1), 5, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_stage_and_direction_has_a_row),
      cmocka_unit_test(flop_are_the_direct_products),
      cmocka_unit_test(quantiles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
