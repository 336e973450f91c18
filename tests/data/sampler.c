/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/loader.h"

/* From sampler_order.py, which has Philox and the shuffle in Python's integers. */
static void known_orders(void **state) {
  (void)state;
  static const struct {
    uint64_t seed;
    uint32_t epoch, order[12];
  } cases[] = {
      {0x0u, 0, {3, 0, 1, 6, 8, 4, 2, 5, 11, 9, 7, 10}},
      {0x2au, 3, {6, 1, 8, 0, 2, 4, 7, 3, 11, 5, 9, 10}},
      {0x123456789abcdef0u, 9, {0, 2, 9, 4, 11, 3, 1, 10, 5, 6, 7, 8}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint32_t order[12];
    sampler_order(cases[i].seed, cases[i].epoch, order, 12);
    assert_memory_equal(order, cases[i].order, sizeof order);
  }
}

static void is_a_permutation(void **state) {
  (void)state;
  enum { COUNT = 60000 };
  static uint32_t order[COUNT];
  static uint8_t seen[COUNT];
  sampler_order(1, 2, order, COUNT);
  size_t at_home = 0;
  for (uint32_t i = 0; i < COUNT; i++) {
    assert_in_range(order[i], 0, COUNT - 1);
    assert_false(seen[order[i]]++);
    at_home += order[i] == i;
  }
  assert_in_range(at_home, 0, 12); /* Poisson of mean 1: P(> 12) < 1e-10 */
  uint32_t one = 7;
  sampler_order(1, 2, &one, 1);
  assert_int_equal(one, 0);
}

static void seed_and_epoch_matter(void **state) {
  (void)state;
  enum { COUNT = 100 };
  static const struct {
    uint64_t seed;
    uint32_t epoch;
  } keys[] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {(uint64_t)1 << 32, 0}};
  enum { KEYS = sizeof keys / sizeof keys[0] };
  uint32_t order[KEYS][COUNT];
  for (size_t i = 0; i < KEYS; i++) {
    sampler_order(keys[i].seed, keys[i].epoch, order[i], COUNT);
    for (size_t k = 0; k < i; k++) assert_memory_not_equal(order[i], order[k], sizeof order[i]);
  }
}

/* All 24 orders of four are equally likely: chi-squared with 23 degrees of freedom exceeds 85 with
 * a probability below 1e-8. */
static void all_orders_are_equally_likely(void **state) {
  (void)state;
  enum { DRAWS = 24000 };
  double count[256] = {0}, chi2 = 0;
  int kinds = 0;
  for (uint32_t epoch = 0; epoch < DRAWS; epoch++) {
    uint32_t o[4];
    sampler_order(3, epoch, o, 4);
    count[o[0] << 6 | o[1] << 4 | o[2] << 2 | o[3]]++;
  }
  for (int i = 0; i < 256; i++) {
    if (count[i] == 0) continue;
    kinds++;
    chi2 += pow(count[i] - DRAWS / 24.0, 2) / (DRAWS / 24.0);
  }
  assert_int_equal(kinds, 24);
  assert_true(chi2 < 85);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_orders), cmocka_unit_test(is_a_permutation),
      cmocka_unit_test(seed_and_epoch_matter), cmocka_unit_test(all_orders_are_equally_likely)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
