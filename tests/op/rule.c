/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of every instruction set give the bits of the portable ones, whose values the golden
 * test compares with PyTorch's.
 */
#include "op/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/philox.h"

enum { N = 77, STEPS = 3 }; /* whole vectors of every set, and a tail */

typedef struct run {
  float w[N], state[OP_RULE_MAX_STATES][N];
} run;

static float draw(uint32_t i) {
  uint32_t word[4];
  philox(0, PHILOX_DROPOUT, 0, 0, i, word);
  return (float)(int32_t)word[0] * 0x1p-31f;
}

static run run_at(const op_rule *rule, cpu_isa isa) {
  run r = {0};
  float *const state[] = {r.state[0], r.state[1]};
  for (int i = 0; i < N; i++) r.w[i] = draw((uint32_t)i);
  for (int step = 1; step <= STEPS; step++) {
    float g[N];
    for (int i = 0; i < N; i++) g[i] = draw((uint32_t)(N * step + i));
    const op_rule_args args = op_rule_args_at(.1, .9, .01, .7, step);
    op_rule_fastest(rule, isa)(r.w, g, state, N, &args);
  }
  return r;
}

static void every_set_gives_the_same_bits(void **state) {
  (void)state;
  for (size_t i = 0; op_rule_at(i); i++) {
    const run want = run_at(op_rule_at(i), CPU_BASE);
    for (int isa = CPU_BASE; isa <= (int)cpu_best_isa(); isa++) {
      const run got = run_at(op_rule_at(i), (cpu_isa)isa);
      assert_memory_equal(&got, &want, sizeof want);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_set_gives_the_same_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
