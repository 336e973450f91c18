/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "backend/run.h"

enum { DIRECTIONS = 3 };

static const struct {
  const char *name;
  double most; /* of oneDNN's error */
} directions[DIRECTIONS] = {{"forward", 3}, {"backward-data", 3}, {"backward-weights", 5}};

static double rms(const answer *want, const buffer *got) {
  double sum = 0;
  for (size_t i = 0; i < want->count; i++) {
    const double error = buffer_at(EDGE_F32, got, i) - want->value[i];
    sum += error * error;
  }
  return sqrt(sum / (double)want->count);
}

static void errors_of(stage *s, const problem *p, double error[DIRECTIONS]) {
  buffers m = buffers_create(p, s);
  run_stage(s, p, &m, true);
  error[0] = rms(&p->y, &m.y);
  error[1] = rms(&p->dx, &m.dx);
  error[2] = rms(&p->dw, &m.dw);
  buffers_close(&m, p);
  s->ops->destroy(s);
}

static void compare(const kernel_row *row, const check_options *o, int n, int C, int H, int K) {
  const stage_spec spec = {.kind = STAGE_CONV,
                           .C = C,
                           .H = H,
                           .W = H,
                           .K = K,
                           .R = 3,
                           .S = 3,
                           .stride = 1,
                           .pad = 1,
                           .P = H,
                           .Q = H,
                           .OP = H,
                           .OQ = H,
                           .need_dx = true};
  stage *own = row_prepare(row, &spec, n, true, o->threads), *library = NULL;
  const backend *onednn = backend_find("onednn");
  const stage_env env = {.max_n = n, .threads = o->threads, .training = true, .isa = o->isa};
  char why[160];
  if (onednn)
    assert_int_equal(onednn->prepare(&spec, &env, &library, why, sizeof why, NULL), VGG_OK);
  problem *p = problem_create(&spec, &env, 1, n, VALUES_NORMAL, true, o->seed);
  double error[DIRECTIONS], theirs[DIRECTIONS] = {0};
  errors_of(own, p, error);
  if (library) errors_of(library, p, theirs);
  problem_free(p);
  printf("  accuracy %d x %dx%dx%d -> %d, rms:", n, C, H, H, K);
  for (int i = 0; i < DIRECTIONS; i++) {
    printf(" %s %.2g", directions[i].name, error[i]);
    if (!library) continue;
    printf(" (oneDNN %.2g, ratio %.2f, at most %g)", theirs[i], error[i] / theirs[i],
           directions[i].most);
    if (!(error[i] <= directions[i].most * theirs[i]))
      fail_msg("%s: %s %d -> %d: rms error %.3g, wanted at most %g times oneDNN's %.3g", row->name,
               directions[i].name, C, K, error[i], directions[i].most, theirs[i]);
  }
  printf("%s\n", library ? "" : "; this build has no oneDNN to compare with");
}

void check_accuracy(const kernel_row *row, const check_options *o) {
  compare(row, o, 2, 32, 28, 32);
  compare(row, o, 4, 64, 14, 64);
  compare(row, o, 1, 128, 14, 128);
  compare(row, o, 8, 256, 7, 32);
  compare(row, o, 1, 64, 7, 64); /* the shortest sums of backward-weights */
  compare(row, o, 5, 64, 7, 64);
}
