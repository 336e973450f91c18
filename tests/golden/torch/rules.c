/* SPDX-License-Identifier: Apache-2.0
 *
 * Every optimiser rule against PyTorch's in double (make_rules.py), step by step.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/safetensors.h"
#include "op/rule.h"

enum { N = 37, STEPS = 6 };
static const double lr = 0.05, momentum = 0.9;

static void read_doubles(const st_file *file, const char *name, size_t count, double *out) {
  const st_tensor *t = st_find(file, name);
  if (!t || t->bytes != count * sizeof *out) fail_msg("%s: missing or of another size", name);
  memcpy(out, t->data, t->bytes);
}

static double largest(size_t count, const double *x) {
  double most = 0;
  for (size_t i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
  return most;
}

/* The weights after each step. A step rounds a weight and its gradient some ten times, each time by
 * 2^-24 of the weight or of ten steps' way (momentum .9 adds up ten gradients), and carries the
 * errors of the steps before along. */
static void check(const st_file *file, const op_rule *rule, const char *kind, double decay,
                  double clip) {
  double w0[N], g[STEPS][N], want[STEPS][N];
  float w[N], v[OP_RULE_MAX_STATES][N] = {{0}}, *const states[] = {v[0], v[1]};
  char name[32];
  snprintf(name, sizeof name, "%s%s", rule->name, kind);
  read_doubles(file, "w", N, w0);
  read_doubles(file, "g", STEPS * N, &g[0][0]);
  read_doubles(file, name, STEPS * N, &want[0][0]);
  const double way = largest(N, w0) + 10 * lr * largest(STEPS * N, &g[0][0]);
  for (int i = 0; i < N; i++) w[i] = (float)w0[i];
  for (int step = 0; step < STEPS; step++) {
    double norm2 = 0;
    float row[N];
    for (int i = 0; i < N; i++) {
      row[i] = (float)g[step][i];
      norm2 += g[step][i] * g[step][i];
    }
    const double scale = clip > 0 ? fmin(1, clip / (sqrt(norm2) + 1e-6)) : 1;
    const double m = rule->states ? momentum : 0;
    const op_rule_args args = op_rule_args_at(lr, m, decay, scale, step + 1);
    op_rule_fastest(rule, CPU_BASE)(w, row, states, N, &args);
    for (int i = 0; i < N; i++)
      if (!(fabs(w[i] - want[step][i]) <= (step + 1) * 10 * 0x1p-24 * way))
        fail_msg("%s: step %d, weight %d: %.9g, wanted %.9g", name, step, i, w[i], want[step][i]);
  }
}

static void every_rule_is_pytorchs(void **state) {
  (void)state;
  st_file *file;
  assert_int_equal(st_open(TEST_DATA "/golden/torch/rules.safetensors", &file, NULL), VGG_OK);
  for (size_t i = 0; op_rule_at(i); i++) {
    check(file, op_rule_at(i), "", 0, 0);
    check(file, op_rule_at(i), "_decay", 0.05, 0);
    check(file, op_rule_at(i), "_clip", 0, 3);
  }
  st_close(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_rule_is_pytorchs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
