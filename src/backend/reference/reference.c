/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/reference/reference.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/cost.h"
#include "base/bf16.h"
#include "base/error.h"
#include "base/memory.h"

bool ref_repack(stage *s, const float *w, const float *b, void *pack, void *workspace) {
  (void)s, (void)w, (void)b, (void)pack, (void)workspace;
  return true;
}

void ref_destroy(stage *s) { free(s); }

const float *ref_load(edge_type type, const void *edge, size_t first, size_t count,
                      float *scratch) {
  if (type == EDGE_F32) return (const float *)edge + first;
  const bf16 *from = (const bf16 *)edge + first;
  for (size_t i = 0; i < count; i++) scratch[i] = bf16_to_float(from[i]);
  return scratch;
}

float *ref_target(edge_type type, void *edge, size_t first, float *scratch) {
  return type == EDGE_F32 ? (float *)edge + first : scratch;
}

void ref_store(edge_type type, void *edge, size_t first, size_t count, const float *values) {
  if (type == EDGE_F32) return;
  bf16 *to = (bf16 *)edge + first;
  for (size_t i = 0; i < count; i++) to[i] = bf16_from_float(values[i]);
}

op_pool_dims ref_pool_dims(const stage_spec *d, int n) {
  return (op_pool_dims){.N = n,
                        .C = d->K,
                        .H = d->P,
                        .W = d->Q,
                        .size = d->pool_size,
                        .stride = d->pool_stride,
                        .P = d->OP,
                        .Q = d->OQ};
}

/* *out = a * b * c */
static bool product(int a, int b, int c, size_t *out) {
  return mem_mul((size_t)a, (size_t)b, out) && mem_mul(*out, (size_t)c, out);
}

static bool measure(ref_stage *s) {
  const stage_spec *d = &s->base.spec;
  return product(d->H, d->W, d->C, &s->x) && product(d->P, d->Q, d->K, &s->z) &&
         product(d->OP, d->OQ, d->K, &s->y) && product(d->R, d->S, d->C, &s->w) &&
         mem_mul(s->w, (size_t)d->K, &s->w);
}

static const struct {
  const stage_ops *ops;
  bool (*plan)(ref_stage *s);
} ways[] = {
    [STAGE_CONV] = {&ref_conv_ops, ref_conv_plan},
    [STAGE_LINEAR] = {&ref_linear_ops, ref_linear_plan},
    [STAGE_NORM] = {&ref_plain_ops, ref_plain_plan},
    [STAGE_LRN] = {&ref_plain_ops, ref_plain_plan},
    [STAGE_AVERAGE] = {&ref_plain_ops, ref_plain_plan},
};

static vgg_status prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                          size_t size, vgg_error *err) {
  *out = NULL;
  if (spec->pool_size > OP_MAX_POOL) {
    snprintf(why, size, "pool %d: larger than %d", spec->pool_size, OP_MAX_POOL);
    return VGG_OK;
  }
  ref_stage *s = calloc(1, sizeof *s);
  if (!s) return err_no_memory(err, "reference stage", sizeof *s);
  s->base =
      (stage){.ops = ways[spec->kind].ops, .backend = "reference", .spec = *spec, .env = *env};
  if (!measure(s) || !ways[spec->kind].plan(s)) {
    snprintf(why, size, "its buffers do not fit the address space");
    free(s);
    return VGG_OK;
  }
  *out = &s->base;
  return VGG_OK;
}

/* One product after the other, a cycle or two each, where the peak is 32 or 64 a cycle; other work
 * on one thread. */
static stage_cost cost(const stage_spec *spec, const stage_env *env) {
  enum { SLOWER = 20 };
  if (stage_has_products(spec)) return cost_direct(spec, env, 0.01, 0.01);
  const stage_cost walks = cost_walks(spec);
  return (stage_cost){SLOWER * walks.forward, SLOWER * walks.backward};
}

static const char *version(void) { return "plain loops, vgg " VGG_VERSION; }

extern const backend backend_reference;
const backend backend_reference = {
    .name = "reference", .version = version, .cost = cost, .prepare = prepare};
