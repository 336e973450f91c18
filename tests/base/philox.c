/* SPDX-License-Identifier: Apache-2.0 */
#include "base/philox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Published with Random123 (its file kat_vectors), counter and key lowest word first. */
static void known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], want[4];
  } cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const uint32_t *c = cases[i].counter;
    const uint64_t seed = (uint64_t)cases[i].key[1] << 32 | cases[i].key[0];
    uint32_t out[4];
    philox(seed, (philox_purpose)c[3], c[2], c[1], c[0], out);
    assert_memory_equal(out, cases[i].want, sizeof out);
  }
}

static void units_are_below_one(void **state) {
  (void)state;
  assert_true(philox_unit(0) == 0.0f);
  assert_true(philox_unit(0xff) == 0.0f);
  assert_true(philox_unit(0x100) == 0x1p-24f);
  assert_true(philox_unit(0x80000000u) == 0.5f);
  assert_true(philox_unit(0xffffffffu) == 1.0f - 0x1p-24f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers),
                                     cmocka_unit_test(units_are_below_one)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
