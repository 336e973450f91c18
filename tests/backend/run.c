/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/bf16.h"
#include "base/memory.h"

/* ---- guarded buffers ------------------------------------------------------------------------- */

enum { GUARD = MEM_ALIGN, GUARD_BYTE = 0xA5, FRESH_BYTE = 0xFF }; /* a fresh float is NaN */

buffer buffer_create(size_t size) {
  buffer b = {.size = size, .start = mem_alloc(size + 2 * (size_t)GUARD)};
  assert_non_null(b.start);
  b.data = b.start + GUARD;
  memset(b.start, GUARD_BYTE, size + 2 * (size_t)GUARD);
  memset(b.data, FRESH_BYTE, size);
  return b;
}

buffer buffer_of_values(edge_type type, size_t count, const double *x) {
  buffer b = buffer_create(count * edge_size(type));
  for (size_t i = 0; i < count; i++) {
    const float f = (float)x[i];
    const bf16 half = bf16_from_float(f);
    if (type == EDGE_F32)
      memcpy(b.data + 4 * i, &f, sizeof f);
    else
      memcpy(b.data + 2 * i, &half, sizeof half);
  }
  return b;
}

float buffer_at(edge_type type, const buffer *b, size_t i) {
  return type == EDGE_F32 ? ((const float *)(const void *)b->data)[i]
                          : bf16_to_float(((const bf16 *)(const void *)b->data)[i]);
}

void buffer_close(buffer *b, const char *name) {
  for (size_t i = 0; i < GUARD; i++)
    if (b->start[i] != GUARD_BYTE || b->data[b->size + i] != GUARD_BYTE)
      fail_msg("%s: a guard byte was overwritten, %zu bytes %s", name, i,
               b->start[i] != GUARD_BYTE ? "into the front guard" : "behind the end");
  mem_free(b->start);
}

/* ---- one run --------------------------------------------------------------------------------- */

buffers buffers_create(const problem *p, const stage *s) {
  const stage_spec *d = &p->spec;
  buffers m = {.x = buffer_of_values(d->x_type, p->x_count, p->x),
               .w = buffer_of_values(EDGE_F32, p->w_count, p->w),
               .b = buffer_of_values(EDGE_F32, (size_t)d->K, p->b),
               .dy = buffer_of_values(d->y_type, p->y_count, p->dy),
               .mask = buffer_create(p->y_count),
               .pack = buffer_create(s->sizes.pack),
               .workspace = buffer_create(s->sizes.workspace),
               .aux = buffer_create(s->sizes.aux_per_image * p->n),
               .y = buffer_create(p->y_count * edge_size(d->y_type)),
               .dx = buffer_create(p->x_count * edge_size(d->x_type)),
               .dw = buffer_create(p->w_count * sizeof(float)),
               .db = buffer_create(d->K * sizeof(float))};
  memcpy(m.mask.data, p->mask, p->y_count);
  return m;
}

void buffers_close(buffers *m, const problem *p) {
  buffer x = buffer_of_values(p->spec.x_type, p->x_count, p->x);
  buffer w = buffer_of_values(EDGE_F32, p->w_count, p->w);
  buffer b = buffer_of_values(EDGE_F32, (size_t)p->spec.K, p->b);
  assert_memory_equal(m->x.data, x.data, x.size);
  assert_memory_equal(m->w.data, w.data, w.size);
  assert_memory_equal(m->b.data, b.data, b.size);
  assert_memory_equal(m->mask.data, p->mask, p->y_count);
  mem_free(x.start), mem_free(w.start), mem_free(b.start);
  buffer_close(&m->x, "x");
  buffer_close(&m->w, "w");
  buffer_close(&m->b, "b");
  buffer_close(&m->mask, "dropout");
  buffer_close(&m->pack, "pack");
  buffer_close(&m->workspace, "workspace");
  buffer_close(&m->aux, "aux");
  buffer_close(&m->y, "y");
  buffer_close(&m->dy, "dy");
  buffer_close(&m->dx, "dx");
  buffer_close(&m->dw, "dw");
  buffer_close(&m->db, "db");
}

static stage_io io_of(const problem *p, const buffers *m, bool backward) {
  return (stage_io){.n = p->n,
                    .x = m->x.data,
                    .y = m->y.data,
                    .aux = backward ? m->aux.data : NULL,
                    .dropout = p->masked ? m->mask.data : NULL,
                    .w = (const float *)(void *)m->w.data,
                    .b = (const float *)(void *)m->b.data,
                    .pack = m->pack.data,
                    .workspace = m->workspace.data};
}

void run_stage(stage *s, const problem *p, buffers *m, bool backward) {
  const stage_io io = io_of(p, m, backward);
  assert_true(s->ops->repack(s, io.w, io.b, io.pack, io.workspace));
  assert_true(s->ops->forward(s, &io));
  if (backward) run_backward(s, p, m, true, p->spec.need_dx);
}

void run_backward(stage *s, const problem *p, buffers *m, bool weights, bool data) {
  stage_io io = io_of(p, m, true);
  buffer dy = buffer_of_values(p->spec.y_type, p->y_count, p->dy);
  memcpy(m->dy.data, dy.data, dy.size);
  mem_free(dy.start);
  io.dy = m->dy.data;
  io.dx = data ? m->dx.data : NULL;
  io.dw = weights ? (float *)(void *)m->dw.data : NULL;
  io.db = weights ? (float *)(void *)m->db.data : NULL;
  /* What one call leaves in the workspace is not there in the next. */
  memset(m->workspace.data, FRESH_BYTE, m->workspace.size);
  assert_true(s->ops->backward(s, &io));
}

/* ---- judging --------------------------------------------------------------------------------- */

double stage_error_factor(const stage *s) { return s->error_factor > 0 ? s->error_factor : 1; }

/* The largest error as a part of the allowed one. */
static double judge(const stage *s, const char *name, const answer *want, edge_type type,
                    const buffer *got) {
  double worst = 0;
  for (size_t i = 0; i < want->count; i++) {
    const double value = buffer_at(type, got, i), error = fabs(value - want->value[i]);
    const double allowed = answer_error(want, i, stage_error_factor(s));
    if (!(error <= allowed))
      fail_msg("%s (%s): %s[%zu] of %zu: %.9g, wanted %.9g +- %.3g", s->backend, s->detail, name, i,
               want->count, value, want->value[i], allowed);
    if (allowed > 0) worst = fmax(worst, error / allowed);
  }
  return worst;
}

double check_stage(stage *s, const problem *p, bool backward) {
  buffers m = buffers_create(p, s);
  run_stage(s, p, &m, backward);
  double worst = judge(s, "y", &p->y, p->spec.y_type, &m.y);
  if (backward) {
    if (p->spec.need_dx) worst = fmax(worst, judge(s, "dx", &p->dx, p->spec.x_type, &m.dx));
    worst = fmax(worst, judge(s, "dw", &p->dw, EDGE_F32, &m.dw));
    worst = fmax(worst, judge(s, "db", &p->db, EDGE_F32, &m.db));
  }
  buffers_close(&m, p);
  return worst;
}

void assert_not_lost(const char *what, edge_type type, const buffer *got, const buffer *want,
                     size_t images) {
  const size_t count = want->size / edge_size(type);
  for (size_t i = 0; i < count; i++) {
    const bool finite = isfinite(buffer_at(type, got, i));
    if (finite && !isfinite(buffer_at(type, want, i))) fail_msg("%s[%zu] was lost", what, i);
    if (!finite && i >= count / images) fail_msg("%s[%zu] is another image's", what, i);
  }
}
