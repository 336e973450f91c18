/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own linear layers, every row of kernels: numbers of images on both sides of each way's end,
 * sizes with and without tails, against the double reference; the same bits with any number of
 * threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/native/linear.h"
#include "base/bf16.h"
#include "base/memory.h"
#include "problem.h"

enum { SEED = 7, MAX_N = 300, FRESH_BYTE = 0xFF };

static const struct { int C, K; } shapes[] = {{600, 45}, {33, 19}, {40, 300}, {1040, 31}, {1, 1}};

static const int images[] = {1, 2, 3, 5, 8, 9, 15, 24, 25, 70, 128, 300};

static stage *prepare(const stage_spec *spec, cpu_isa isa, int threads, bool fuse) {
  const stage_env env = {.max_n = MAX_N,
                         .threads = threads,
                         .training = true,
                         .bf16 = spec->x_type == EDGE_BF16,
                         .fuse_updates = fuse,
                         .isa = isa};
  stage *s = NULL;
  char why[128] = "";
  assert_int_equal(backend_find("native")->prepare(spec, &env, &s, why, sizeof why, NULL), VGG_OK);
  if (!s) fail_msg("declined: %s", why);
  return s;
}

static void *fresh(size_t bytes) {
  void *p = mem_alloc(bytes);
  assert_non_null(p);
  return memset(p, FRESH_BYTE, bytes);
}

static void *values_of(edge_type type, size_t count, const double *x) {
  void *p = fresh(count * edge_size(type));
  for (size_t i = 0; i < count; i++)
    if (type == EDGE_F32)
      ((float *)p)[i] = (float)x[i];
    else
      ((bf16 *)p)[i] = bf16_from_float((float)x[i]);
  return p;
}

/* All outputs of a training pass, one after the other. */
typedef struct outcome {
  char *bytes;
  size_t size, dx, dw, db; /* where they begin; y at 0 */
} outcome;

static outcome run(const problem *p, cpu_isa isa, int threads) {
  const stage_spec *d = &p->spec;
  stage *s = prepare(d, isa, threads, false);
  outcome o = {.dx = mem_round(p->y_count * edge_size(d->y_type))};
  o.dw = o.dx + mem_round(p->x_count * edge_size(d->x_type));
  o.db = o.dw + mem_round(p->w_count * sizeof(float));
  o.size = o.db + mem_round((size_t)d->K * sizeof(float));
  o.bytes = fresh(o.size);
  void *x = values_of(d->x_type, p->x_count, p->x), *dy = values_of(d->y_type, p->y_count, p->dy);
  float *w = values_of(EDGE_F32, p->w_count, p->w), *b = values_of(EDGE_F32, (size_t)d->K, p->b);
  void *workspace = fresh(s->sizes.workspace);
  const stage_io io = {.n = p->n,
                       .x = x,
                       .y = o.bytes,
                       .dropout = p->masked ? p->mask : NULL,
                       .dy = dy,
                       .dx = o.bytes + o.dx,
                       .dw = (float *)(void *)(o.bytes + o.dw),
                       .db = (float *)(void *)(o.bytes + o.db),
                       .w = w,
                       .b = b,
                       .workspace = workspace};
  assert_true(s->ops->forward(s, &io));
  memset(workspace, FRESH_BYTE, s->sizes.workspace);
  assert_true(s->ops->backward(s, &io));
  mem_free(x), mem_free(dy), mem_free(w), mem_free(b), mem_free(workspace);
  s->ops->destroy(s);
  return o;
}

static void judge(const char *name, const problem *p, const answer *want, edge_type type,
                  const char *got) {
  for (size_t i = 0; i < want->count; i++) {
    const double value = type == EDGE_F32 ? ((const float *)(const void *)got)[i]
                                          : bf16_to_float(((const bf16 *)(const void *)got)[i]);
    const double allowed = answer_error(want, i, 1);
    if (!(fabs(value - want->value[i]) <= allowed))
      fail_msg("%d images, C %d, K %d: %s[%zu] is %.9g, wanted %.9g, allowed %.3g", p->n, p->spec.C,
               p->spec.K, name, i, value, want->value[i], allowed);
  }
}

static void check(const stage_spec *spec, int n, cpu_isa isa) {
  const stage_env env = {.max_n = MAX_N, .training = true, .bf16 = spec->x_type == EDGE_BF16};
  problem *p = problem_create(spec, &env, 1, n, VALUES_RANDOM, true, SEED);
  outcome one = run(p, isa, 1), three = run(p, isa, 3);
  judge("y", p, &p->y, spec->y_type, one.bytes);
  judge("dx", p, &p->dx, spec->x_type, one.bytes + one.dx);
  judge("dw", p, &p->dw, EDGE_F32, one.bytes + one.dw);
  judge("db", p, &p->db, EDGE_F32, one.bytes + one.db);
  assert_memory_equal(one.bytes, three.bytes, one.size);
  mem_free(one.bytes), mem_free(three.bytes);
  problem_free(p);
}

/* ---- the fused update ------------------------------------------------------------------------ */

/* A fused stage after its backward, with what its update reads and changes. */
typedef struct fused {
  stage *s;
  stage_io io;
  float *w, *velocity;
} fused;

static fused fused_open(const problem *p, cpu_isa isa, int threads) {
  const stage_spec *d = &p->spec;
  fused f = {.s = prepare(d, isa, threads, true)};
  f.w = values_of(EDGE_F32, p->w_count, p->w);
  f.velocity = values_of(EDGE_F32, p->w_count, p->w);
  f.io = (stage_io){.n = p->n,
                    .x = values_of(d->x_type, p->x_count, p->x),
                    .y = fresh(p->y_count * edge_size(d->y_type)),
                    .dropout = p->masked ? p->mask : NULL,
                    .dy = values_of(d->y_type, p->y_count, p->dy),
                    .dx = fresh(p->x_count * edge_size(d->x_type)),
                    .db = fresh((size_t)d->K * sizeof(float)),
                    .w = f.w,
                    .b = values_of(EDGE_F32, (size_t)d->K, p->b),
                    .workspace = fresh(f.s->sizes.workspace)};
  assert_true(f.s->fuses_update);
  assert_true(f.s->ops->forward(f.s, &f.io));
  assert_true(f.s->ops->backward(f.s, &f.io));
  memset(f.io.workspace, FRESH_BYTE, f.s->sizes.workspace);
  return f;
}

static void fused_close(fused *f) {
  void *const all[] = {f->w,     f->velocity, (void *)f->io.x, f->io.y,        f->io.dy,
                       f->io.dx, f->io.db,    (void *)f->io.b, f->io.workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
  f->s->ops->destroy(f->s);
}

/* x^T dy summed as the Gram matrices are: each of their elements errs by a few roundings of the
 * product of two rows' norms, at most. */
static void check_norm(const problem *p, const float *dw, const fused *f) {
  double want = 0, x2 = 0, dy2 = 0;
  for (size_t i = 0; i < p->w_count; i++) want += (double)dw[i] * dw[i];
  for (size_t i = 0; i < p->x_count; i++) x2 += p->x[i] * p->x[i];
  for (size_t i = 0; i < p->y_count; i++) dy2 += 4 * p->dy[i] * p->dy[i]; /* dropout doubles */
  const double got = f->s->ops->gradient_norm2(f->s, &f->io);
  if (!(fabs(got - want) <= 8 * 0x1p-23 * x2 * dy2))
    fail_msg("%d images, C %d, K %d: norm^2 %.12g, wanted %.12g", p->n, p->spec.C, p->spec.K, got,
             want);
}

/* The same bits as the rule on the gradient that was kept. */
static void check_fused(const stage_spec *spec, int n, cpu_isa isa, int threads) {
  const stage_env env = {.max_n = MAX_N, .training = true, .bf16 = spec->x_type == EDGE_BF16};
  problem *p = problem_create(spec, &env, 1, n, VALUES_RANDOM, true, SEED);
  outcome kept = run(p, isa, 1);
  const float *dw = (const float *)(const void *)(kept.bytes + kept.dw);
  float *w = values_of(EDGE_F32, p->w_count, p->w), *v = values_of(EDGE_F32, p->w_count, p->w);
  fused f = fused_open(p, isa, threads);
  assert_true(f.s->ops->gradient_finite(f.s, &f.io));
  check_norm(p, dw, &f);
  memset(f.io.workspace, FRESH_BYTE, f.s->sizes.workspace);
  const op_rule *rule = op_rule_find("momentum");
  const op_rule_args args = op_rule_args_at(.1, .9, 1e-3, .7, 1);
  const stage_update u = {.rule = rule, .args = &args, .w = f.w, .state = {f.velocity}};
  assert_true(f.s->ops->update(f.s, &f.io, &u));
  op_rule_fastest(rule, CPU_BASE)(w, dw, &v, p->w_count, &args);
  assert_memory_equal(f.w, w, p->w_count * sizeof *w);
  assert_memory_equal(f.velocity, v, p->w_count * sizeof *v);
  assert_memory_equal(f.io.db, kept.bytes + kept.db, (size_t)spec->K * sizeof(float));
  assert_memory_equal(f.io.dx, kept.bytes + kept.dx, p->x_count * edge_size(spec->x_type));
  fused_close(&f);
  mem_free(w), mem_free(v), mem_free(kept.bytes);
  problem_free(p);
}

/* Norms that look infinite where no element is; one element that is; NaN. */
static void check_finite(const stage_spec *spec, cpu_isa isa) {
  const stage_env env = {.max_n = MAX_N, .training = true};
  problem *p = problem_create(spec, &env, 1, 3, VALUES_RANDOM, true, SEED);
  fused f = fused_open(p, isa, 2);
  float *x = (float *)f.io.x, *dy = f.io.dy;
  for (size_t i = 0; i < p->x_count; i++) x[i] = i < (size_t)spec->C ? 1e30f : 1;
  for (size_t i = 0; i < p->y_count; i++) dy[i] = i < (size_t)spec->K ? 1e-5f : 1e25f;
  assert_true(f.s->ops->gradient_finite(f.s, &f.io));
  dy[spec->K - 1] = 1e20f;
  assert_false(f.s->ops->gradient_finite(f.s, &f.io));
  dy[spec->K - 1] = NAN;
  assert_false(f.s->ops->gradient_finite(f.s, &f.io));
  dy[spec->K - 1] = 0, x[spec->C - 1] = INFINITY;
  assert_false(f.s->ops->gradient_finite(f.s, &f.io));
  fused_close(&f);
  problem_free(p);
}

/* ---- one image at a time --------------------------------------------------------------------- */

/* More images than the warm passes. */
enum { TIMES = 20 };

/* A stage for single images, ready to run; y is its to write. */
typedef struct single {
  stage *s;
  stage_io io;
} single;

static single single_open(const problem *p, cpu_isa isa, int threads) {
  const stage_spec *d = &p->spec;
  const stage_env env = {
      .max_n = 1, .threads = threads, .bf16 = d->x_type == EDGE_BF16, .isa = isa};
  single o = {0};
  char why[128] = "";
  assert_int_equal(backend_find("native")->prepare(d, &env, &o.s, why, sizeof why, NULL), VGG_OK);
  if (!o.s) fail_msg("declined: %s", why);
  assert_non_null(strstr(o.s->detail, "by inputs that are not 0"));
  o.io = (stage_io){.n = 1,
                    .x = values_of(d->x_type, p->x_count, p->x),
                    .y = fresh(p->y_count * edge_size(d->y_type)),
                    .w = values_of(EDGE_F32, p->w_count, p->w),
                    .b = values_of(EDGE_F32, (size_t)d->K, p->b),
                    .pack = fresh(o.s->sizes.pack),
                    .workspace = fresh(o.s->sizes.workspace)};
  return o;
}

static void single_close(single *o) {
  void *const all[] = {(void *)o->io.x, o->io.y,    (void *)o->io.w,
                       (void *)o->io.b, o->io.pack, o->io.workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
  o->s->ops->destroy(o->s);
}

static void single_repack(single *o) {
  assert_true(o->s->ops->repack(o->s, o->io.w, o->io.b, o->io.pack, o->io.workspace));
}

static void single_run(single *o) {
  memset(o->io.y, FRESH_BYTE, (size_t)o->s->spec.K * edge_size(o->s->spec.y_type));
  memset(o->io.workspace, FRESH_BYTE, o->s->sizes.workspace);
  assert_true(o->s->ops->forward(o->s, &o->io));
}

/* Other weights, and a third of the inputs becomes 0. */
static void single_change(single *o) {
  const stage_spec *d = &o->s->spec;
  for (size_t i = 0; i < (size_t)d->C * (size_t)d->K; i++) ((float *)o->io.w)[i] *= -1;
  for (size_t i = 0; i < (size_t)d->C; i += 3)
    memset((char *)o->io.x + i * edge_size(d->x_type), 0, edge_size(d->x_type));
}

/* The first image has no pack yet, those after the warm passes nothing else; with other weights it
 * begins again. */
static void check_single(const stage_spec *spec, problem_values values, cpu_isa isa) {
  const stage_env env = {.max_n = 1, .bf16 = spec->x_type == EDGE_BF16};
  problem *p = problem_create(spec, &env, 1, 1, values, false, SEED);
  single one = single_open(p, isa, 1), three = single_open(p, isa, 3);
  const size_t bytes = p->y_count * edge_size(spec->y_type);
  void *first = fresh(bytes);
  assert_true(one.s->warm_passes < TIMES);
  for (int change = 0; change < 2; change++) {
    if (change) single_change(&one), single_change(&three);
    single_repack(&one), single_repack(&three);
    for (int i = 0; i < TIMES; i++) {
      if (change && i == one.s->warm_passes)
        memset((void *)one.io.w, FRESH_BYTE, p->w_count * sizeof(float));
      single_run(&one), single_run(&three);
      if (i == 0) memcpy(first, one.io.y, bytes);
      assert_memory_equal(one.io.y, first, bytes);
      assert_memory_equal(three.io.y, first, bytes);
    }
    if (!change) judge("y", p, &p->y, spec->y_type, first);
  }
  mem_free(first);
  single_close(&one), single_close(&three);
  problem_free(p);
}

/* An infinite weight of an input that is 0 is seen, however much is turned, and by its unit alone.
 */
static void check_single_infinity(const stage_spec *spec, cpu_isa isa) {
  const stage_env env = {.max_n = 1};
  problem *p = problem_create(spec, &env, 1, 1, VALUES_INTEGERS, false, SEED);
  single o = single_open(p, isa, 2);
  const size_t C = (size_t)spec->C, K = (size_t)spec->K;
  float *y = o.io.y, *right = fresh(K * sizeof *right);
  ((float *)o.io.x)[C / 3] = 0;
  single_repack(&o);
  for (int i = 0; i < TIMES; i++) single_run(&o);
  memcpy(right, y, K * sizeof *right);
  ((float *)o.io.w)[(K - 1) * C + C / 3] = INFINITY;
  single_repack(&o);
  for (int i = 0; i < TIMES; i++) {
    single_run(&o);
    assert_true(isnan(y[K - 1]));
    assert_memory_equal(y, right, (K - 1) * sizeof *right);
  }
  mem_free(right);
  single_close(&o);
  problem_free(p);
}

static stage_spec spec_of(int C, int K, bool relu, edge_type type) {
  return (stage_spec){.kind = STAGE_LINEAR,
                      .C = C,
                      .H = 1,
                      .W = 1,
                      .K = K,
                      .R = 1,
                      .S = 1,
                      .stride = 1,
                      .P = 1,
                      .Q = 1,
                      .relu = relu,
                      .OP = 1,
                      .OQ = 1,
                      .x_type = type,
                      .y_type = relu ? type : EDGE_F32};
}

static void check_singles(const linear_kernels *k, edge_type type) {
  static const struct {
    int C, K;
  } sizes[] = {{600, 64}, {1, 70}, {4100, 100}, {777, 333}, {4096, 70}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const stage_spec spec = spec_of(sizes[i].C, sizes[i].K, i % 2, type);
    check_single(&spec, VALUES_RANDOM, k->isa);
    check_single(&spec, VALUES_INTEGERS, k->isa); /* a third are 0 */
    if (type == EDGE_F32) check_single_infinity(&spec, k->isa);
  }
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void check_row(const linear_kernels *k, edge_type type) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (size_t j = 0; j < sizeof images / sizeof *images; j++) {
      const bool dropout = j % 2;
      stage_spec spec = spec_of(shapes[i].C, shapes[i].K, dropout, type);
      spec.dropout = dropout;
      spec.dropout_scale = 2;
      spec.need_dx = true;
      check(&spec, images[j], k->isa);
      check_fused(&spec, images[j], k->isa, 1 + (int)j % 3);
      if (type == EDGE_F32 && j == 0) check_finite(&spec, k->isa);
    }
}

static void check_rows(edge_type type) {
  for (size_t i = 0; linear_kernels_at(i); i++)
    if (cpu_isa_from_name(cpu_isa_name(linear_kernels_at(i)->isa), &(cpu_isa){0}, NULL) == VGG_OK) {
      check_row(linear_kernels_at(i), type);
      check_singles(linear_kernels_at(i), type);
    }
}

static void fp32_edges(void **state) { (void)state, check_rows(EDGE_F32); }
static void bf16_edges(void **state) { (void)state, check_rows(EDGE_BF16); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fp32_edges), cmocka_unit_test(bf16_edges)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
