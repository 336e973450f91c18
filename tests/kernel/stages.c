/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows that run whole stages. A row is driven through its stage, narrowed to the row's instruction
 * set, so that what is checked is what trains: every kernel of the row, in all directions, with its
 * tails in tiles, channels and images.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "accuracy.h"
#include "backend/run.h"
#include "checkkernel.h"
#include "op/op.h"
#include "rows.h"

typedef struct shape {
  int n, C, H, W, K;
  bool relu, pool, first;
} shape;

/* R 3: a convolution; R 1, on pictures of one pixel: a linear layer. */
static stage_spec spec_of(const shape *s, int R, edge_type type) {
  return (stage_spec){.kind = R == 1 ? STAGE_LINEAR : STAGE_CONV,
                      .C = s->C,
                      .H = s->H,
                      .W = s->W,
                      .K = s->K,
                      .R = R,
                      .S = R,
                      .stride = 1,
                      .pad = R / 2,
                      .P = s->H,
                      .Q = s->W,
                      .relu = s->relu,
                      .pool_size = s->pool ? 2 : 0,
                      .pool_stride = s->pool ? 2 : 0,
                      .OP = s->pool ? s->H / 2 : s->H,
                      .OQ = s->pool ? s->W / 2 : s->W,
                      .x_type = type,
                      .y_type = type,
                      .need_dx = !s->first};
}

stage *row_prepare(const kernel_row *row, const stage_spec *spec, int n, bool training,
                   int threads) {
  const stage_env env = {.max_n = n,
                         .threads = threads,
                         .training = training,
                         .bf16 = spec->x_type == EDGE_BF16,
                         .isa = row->isa};
  stage *s = NULL;
  char why[160];
  vgg_error err;
  if (backend_find("native")->prepare(spec, &env, &s, why, sizeof why, &err) != VGG_OK)
    fail_msg("%s: %s", row->name, err.message);
  if (!s) fail_msg("%s: declined: %s", row->name, why);
  if (strncmp(s->detail, row->name, strlen(row->name)) != 0)
    fail_msg("%s: another row runs the stage: %s", row->name, s->detail);
  return s;
}

/* One problem, trained with and used; the largest error as a part of the one allowed. */
static double check_problem(const kernel_row *row, const check_options *o, const shape *sh,
                            edge_type type, problem_values values, uint64_t seed) {
  const stage_spec spec = spec_of(sh, row->R, type);
  stage *train = row_prepare(row, &spec, sh->n, true, o->threads);
  stage *use = row_prepare(row, &spec, sh->n, false, o->threads);
  problem *p =
      problem_create(&spec, &train->env, stage_error_factor(train), sh->n, values, true, seed);
  double worst = check_stage(train, p, true);
  worst = fmax(worst, check_stage(use, p, false));
  problem_free(p);
  train->ops->destroy(train);
  use->ops->destroy(use);
  return worst;
}

/* A value that is not finite at a place of the first image's x is seen in every output that
 * depends on it, and in no other image. */
static void check_value(const kernel_row *row, const check_options *o, const shape *sh,
                        double value, uint64_t seed) {
  enum { IMAGES = 2 };
  const stage_spec spec = spec_of(sh, row->R, EDGE_F32);
  stage *s = row_prepare(row, &spec, IMAGES, false, o->threads), *truth = NULL;
  char why[160];
  assert_int_equal(
      backend_find("reference")->prepare(&spec, &s->env, &truth, why, sizeof why, NULL), VGG_OK);
  problem *p = problem_create(&spec, &s->env, 1, IMAGES, VALUES_RANDOM, false, seed);
  p->x[seed * 7919 % (p->x_count / IMAGES)] = value;
  buffers got = buffers_create(p, s), want = buffers_create(p, truth);
  run_stage(s, p, &got, false), run_stage(truth, p, &want, false);
  assert_not_lost("y", spec.y_type, &got.y, &want.y, IMAGES);
  buffers_close(&got, p), buffers_close(&want, p);
  problem_free(p);
  s->ops->destroy(s), truth->ops->destroy(truth);
}

static void check_row(const kernel_row *row, const check_options *o, const shape *shapes,
                      size_t count) {
  static const struct {
    const char *name;
    edge_type type;
    problem_values values;
  } kinds[] = {{"random", EDGE_F32, VALUES_RANDOM}, {"bf16 edges", EDGE_BF16, VALUES_RANDOM},
               {"offset", EDGE_F32, VALUES_OFFSET}, {"large", EDGE_F32, VALUES_LARGE},
               {"ties", EDGE_F32, VALUES_ZEROS},    {"integers", EDGE_F32, VALUES_INTEGERS}};
  if (!check_wants(o, row->name, row->isa)) return;
  printf("%s: error bound %g of a direct sum's\n", row->name, row->error);
  for (size_t i = 0; i < count; i++) {
    const shape *s = &shapes[i];
    printf("  %d x %dx%dx%d -> %d%s%s:", s->n, s->C, s->H, s->W, s->K, s->relu ? ", relu" : "",
           s->pool ? ", pool" : "");
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
      if (kinds[k].values == VALUES_INTEGERS && row->error > 2) continue; /* exact in halves */
      printf(" %s %.2f", kinds[k].name,
             check_problem(row, o, s, kinds[k].type, kinds[k].values, o->seed + i));
    }
    check_value(row, o, s, NAN, o->seed + i);
    check_value(row, o, s, INFINITY, o->seed + i);
    check_value(row, o, s, -INFINITY, o->seed + i);
    printf(" of the error allowed; NaN and infinities stay\n");
  }
}

void check_winograd(const check_options *o) {
  static const shape shapes[] = {
      {5, 16, 8, 8, 32, true, true, false},  /* whole vectors and a tail of tiles */
      {5, 17, 7, 9, 33, true, true, false},  /* one channel more; pool leaves a rim */
      {2, 18, 9, 8, 35, false, true, false}, /* a pool of whatever is there */
      {1, 31, 13, 10, 47, false, false, false}, {1, 48, 20, 19, 16, true, false, false},
      {2, 33, 5, 3, 65, true, false, false},    {2, 20, 1, 1, 1, true, false, false},
      {1, 64, 12, 14, 80, true, true, false},   {1, 130, 6, 11, 40, true, false, false}};
  kernel_row row;
  for (size_t i = 0; winograd_row_at(i, &row); i++) {
    check_row(&row, o, shapes, sizeof shapes / sizeof *shapes);
    if (check_wants(o, row.name, row.isa)) check_accuracy(&row, o);
  }
}

void check_first(const check_options *o) {
  static const shape shapes[] = {
      {2, 1, 28, 28, 16, true, true, true}, {1, 1, 13, 11, 5, true, true, true},
      {2, 1, 9, 35, 33, true, false, true}, {1, 3, 16, 20, 64, true, true, true},
      {2, 3, 7, 5, 17, true, false, true},  {1, 2, 12, 33, 48, false, false, true},
      {1, 1, 2, 2, 1, true, true, true},    {1, 3, 1, 1, 16, true, false, true}};
  kernel_row row;
  for (size_t i = 0; first_row_at(i, &row); i++)
    check_row(&row, o, shapes, sizeof shapes / sizeof *shapes);
}

/* Numbers of images on both sides of where one way of taking the product ends; units of whole and
 * of broken tiles. */
void check_linear(const check_options *o) {
  static const shape shapes[] = {
      {1, 600, 1, 1, 45, true, false, false},  {1, 777, 1, 1, 333, true, false, false},
      {2, 33, 1, 1, 19, false, false, false},  {9, 40, 1, 1, 300, true, false, false},
      {25, 257, 1, 1, 31, true, false, false}, {70, 129, 1, 1, 64, true, false, false},
      {300, 17, 1, 1, 33, false, false, true}, {2, 1, 1, 1, 1, true, false, false}};
  kernel_row row;
  for (size_t i = 0; linear_row_at(i, &row); i++)
    check_row(&row, o, shapes, sizeof shapes / sizeof *shapes);
}
