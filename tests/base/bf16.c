/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bf16.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static float float_of(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static void every_bf16_comes_back(void **state) {
  (void)state;
  for (uint32_t x = 0; x <= 0xffff; x++) {
    const float f = bf16_to_float((bf16)x);
    const bf16 back = bf16_from_float(f);
    if (isnan(f))
      assert_true(isnan(bf16_to_float(back)) && back >> 15 == x >> 15);
    else
      assert_int_equal(back, x);
  }
}

static void ties_go_to_even(void **state) {
  (void)state;
  static const struct {
    uint32_t f, want;
  } cases[] = {
      {0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81},
      {0x3f818000, 0x3f82}, {0x3f817fff, 0x3f81}, {0xbf808000, 0xbf80}, {0xbf818000, 0xbf82},
      {0x00000001, 0x0000}, {0x00008001, 0x0001}, {0x80000000, 0x8000}, {0x007fffff, 0x0080},
      {0x7f7fffff, 0x7f80}, {0x7f7f7fff, 0x7f7f}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(bf16_from_float(float_of(cases[i].f)), cases[i].want);
}

static void nan_stays_nan(void **state) {
  (void)state;
  static const uint32_t nans[] = {0x7f800001, 0x7fffffff, 0x7f80ffff, 0xff800001, 0xffffffff};
  for (size_t i = 0; i < sizeof nans / sizeof nans[0]; i++)
    assert_true(isnan(bf16_to_float(bf16_from_float(float_of(nans[i])))));
}

/* The result is the nearest: no neighbour is nearer, in double, where differences are exact. */
static void nearest(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 200000; i++) {
    const uint32_t bits = i * 2654435761u & 0x7effffffu; /* finite, neighbours too */
    const float f = float_of(bits);
    const bf16 x = bf16_from_float(f);
    const double error = fabs((double)f - (double)bf16_to_float(x));
    assert_true(error <= fabs((double)f - (double)bf16_to_float((bf16)(x + 1))));
    if (x > 0) assert_true(error <= fabs((double)f - (double)bf16_to_float((bf16)(x - 1))));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_bf16_comes_back),
                                     cmocka_unit_test(ties_go_to_even),
                                     cmocka_unit_test(nan_stays_nan), cmocka_unit_test(nearest)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
