/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd stages too large for the table of stages.c: several blocks of tiles, filters' gradients
 * that all threads take together, fewer tiles than threads. Few values of x and dy are not 0, and
 * those are small integers, so that sums over them alone are the oracle; every number of threads
 * must give the same bits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/memory.h"

typedef struct shape {
  const char *about;
  int n, C, H, W, K;
} shape;

static const shape shapes[] = {
    {"several blocks", 3, 48, 40, 37, 80},
    {"filters in one piece, several blocks", 3, 177, 30, 31, 175},
    {"fewer tiles than threads", 1, 176, 4, 8, 176},
    {"few tiles, few channels", 1, 16, 13, 14, 16},
    {"one tile", 1, 32, 3, 2, 64},
};

enum { PLACES = 40, GREATEST = 3 };

static uint32_t draw(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static float *floats(size_t count) {
  float *p = mem_alloc(count * sizeof *p);
  assert_non_null(p);
  memset(p, 0, count * sizeof *p);
  return p;
}

/* A plane [n][H][W][channels] with PLACES values that are not 0. */
typedef struct field {
  int H, W, channels;
  size_t count, at[PLACES];
  float *values;
} field;

static field field_of(const shape *s, int channels, uint32_t seed) {
  field f = {.H = s->H, .W = s->W, .channels = channels};
  f.count = (size_t)(s->n * s->H * s->W * channels);
  f.values = floats(f.count);
  for (size_t i = 0; i < PLACES; i++) {
    f.at[i] = f.count * i / PLACES + draw(&seed) % (f.count / PLACES);
    f.values[f.at[i]] = (float)(1 + draw(&seed) % GREATEST);
  }
  return f;
}

typedef struct result {
  float *y, *dx, *dw, *db;
} result;

static void result_free(result *r) {
  mem_free(r->y), mem_free(r->dx), mem_free(r->dw), mem_free(r->db);
}

static stage *stage_of(const shape *s, int threads, cpu_isa isa) {
  const stage_spec spec = {.kind = STAGE_CONV,
                           .C = s->C,
                           .H = s->H,
                           .W = s->W,
                           .K = s->K,
                           .R = 3,
                           .S = 3,
                           .stride = 1,
                           .pad = 1,
                           .P = s->H,
                           .Q = s->W,
                           .OP = s->H,
                           .OQ = s->W,
                           .need_dx = true};
  const stage_env env = {.max_n = s->n, .threads = threads, .training = true, .isa = isa};
  stage *out = NULL;
  char why[128];
  const backend *native = backend_find("native");
  assert_int_equal(native->prepare(&spec, &env, &out, why, sizeof why, NULL), VGG_OK);
  return out;
}

static result run(const shape *s, stage *st, const field *x, const field *dy, const float *w,
                  const float *b) {
  const result r = {floats(dy->count), floats(x->count), floats((size_t)(9 * s->C * s->K)),
                    floats((size_t)s->K)};
  stage_io io = {.n = s->n,
                 .x = x->values,
                 .y = r.y,
                 .dy = dy->values,
                 .dx = r.dx,
                 .dw = r.dw,
                 .db = r.db,
                 .w = w,
                 .b = b,
                 .pack = mem_alloc(st->sizes.pack),
                 .workspace = mem_alloc(st->sizes.workspace)};
  assert_true(io.pack && io.workspace);
  memset(io.workspace, 0xff, st->sizes.workspace); /* NaN wherever nothing was written */
  assert_true(st->ops->repack(st, w, b, io.pack, io.workspace));
  assert_true(st->ops->forward(st, &io));
  assert_true(st->ops->backward(st, &io));
  mem_free(io.pack), mem_free(io.workspace);
  return r;
}

/* The sums of value i of f: every pixel that a filter reaches from its own, and the filter's place
 * in between: from a pixel of x to outputs the other way round. */
static void spread(const field *f, size_t i, const float *w, bool forward, int others, float *out) {
  const size_t pixel = f->at[i] / (size_t)f->channels;
  const int channel = (int)(f->at[i] % (size_t)f->channels);
  const int h = (int)(pixel / (size_t)f->W) % f->H, v = (int)(pixel % (size_t)f->W);
  for (int rs = 0; rs < 9; rs++) {
    const int y = h + rs / 3 - 1, x = v + rs % 3 - 1;
    if (y < 0 || y >= f->H || x < 0 || x >= f->W) continue;
    float *to = out + ((ptrdiff_t)pixel + (y - h) * f->W + x - v) * others;
    for (int o = 0; o < others; o++)
      to[o] += f->values[f->at[i]] * (forward ? w[(o * 9 + 8 - rs) * f->channels + channel]
                                              : w[(channel * 9 + rs) * others + o]);
  }
}

/* Likewise a value of dy and the pixels of x around it. */
static void correlate(const field *dy, size_t i, const field *x, float *dw, float *db) {
  const size_t pixel = dy->at[i] / (size_t)dy->channels;
  const int k = (int)(dy->at[i] % (size_t)dy->channels);
  const int h = (int)(pixel / (size_t)dy->W) % dy->H, v = (int)(pixel % (size_t)dy->W);
  db[k] += dy->values[dy->at[i]];
  for (int rs = 0; rs < 9; rs++) {
    const int y = h + rs / 3 - 1, u = v + rs % 3 - 1;
    if (y < 0 || y >= dy->H || u < 0 || u >= dy->W) continue;
    const float *from = x->values + ((ptrdiff_t)pixel + (y - h) * dy->W + u - v) * x->channels;
    for (int c = 0; c < x->channels; c++)
      dw[(k * 9 + rs) * x->channels + c] += dy->values[dy->at[i]] * from[c];
  }
}

static result solve(const shape *s, const field *x, const field *dy, const float *w,
                    const float *b) {
  const result r = {floats(dy->count), floats(x->count), floats((size_t)(9 * s->C * s->K)),
                    floats((size_t)s->K)};
  for (size_t i = 0; i < dy->count; i++) r.y[i] = b[i % (size_t)s->K];
  for (size_t i = 0; i < PLACES; i++) {
    spread(x, i, w, true, s->K, r.y);
    spread(dy, i, w, false, s->C, r.dx);
    correlate(dy, i, x, r.dw, r.db);
  }
  return r;
}

/* No sum has more terms than PLACES, nor greater ones; see problem.c for the bound. */
static void assert_near(const char *about, const char *what, const float *got, const float *want,
                        size_t count, double factor) {
  const double magnitude = PLACES * GREATEST * GREATEST;
  const double allowed = factor * 0x1p-23 * sqrt(PLACES) * magnitude;
  for (size_t i = 0; i < count; i++)
    if (!(fabs((double)got[i] - want[i]) <= allowed))
      fail_msg("%s: %s[%zu] is %g, wanted %g, allowed %g", about, what, i, got[i], want[i],
               allowed);
}

static void check(const shape *s, cpu_isa isa) {
  static const int threads[] = {1, 2, 3, 4, 7};
  const size_t weights = (size_t)(9 * s->C * s->K);
  field x = field_of(s, s->C, 1), dy = field_of(s, s->K, 2);
  float *w = floats(weights), *b = floats((size_t)s->K);
  uint32_t state = 3;
  for (size_t i = 0; i < weights; i++) w[i] = (float)(draw(&state) % 3) - 1;
  for (int k = 0; k < s->K; k++) b[k] = (float)(draw(&state) % GREATEST);
  result want = solve(s, &x, &dy, w, b), first = {0};
  for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
    stage *st = stage_of(s, threads[t], isa);
    if (!st) break; /* the processor has no kernels */
    result got = run(s, st, &x, &dy, w, b);
    assert_near(s->about, "y", got.y, want.y, dy.count, st->error_factor);
    assert_near(s->about, "dx", got.dx, want.dx, x.count, st->error_factor);
    assert_near(s->about, "dw", got.dw, want.dw, weights, st->error_factor);
    assert_near(s->about, "db", got.db, want.db, (size_t)s->K, st->error_factor);
    st->ops->destroy(st);
    if (t == 0) {
      first = got;
      continue;
    }
    assert_memory_equal(first.y, got.y, dy.count * sizeof(float));
    assert_memory_equal(first.dx, got.dx, x.count * sizeof(float));
    assert_memory_equal(first.dw, got.dw, weights * sizeof(float));
    assert_memory_equal(first.db, got.db, (size_t)s->K * sizeof(float));
    result_free(&got);
  }
  result_free(&want), result_free(&first);
  mem_free(x.values), mem_free(dy.values), mem_free(w), mem_free(b);
}

static void check_all(cpu_isa isa) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check(&shapes[i], isa);
}

static void fastest_rows(void **state) {
  (void)state;
  cpu_isa isa;
  assert_int_equal(cpu_isa_from_name("auto", &isa, NULL), VGG_OK);
  check_all(isa);
}

static void avx2_rows(void **state) {
  (void)state;
  cpu_isa isa;
  if (cpu_isa_from_name("avx2", &isa, NULL) == VGG_OK) check_all(isa);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fastest_rows), cmocka_unit_test(avx2_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
