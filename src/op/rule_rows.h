/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules as loops that the compiler vectorises, once for every instruction set: a file includes
 * this and names its row. Every operation rounds by itself and no sum goes over elements, so that
 * all rows give the same bits.
 */
#ifndef OP_RULE_ROWS_H
#define OP_RULE_ROWS_H

#include <math.h>

#include "op/rule.h"

static void rule_sgd(float *w, const float *g, float *const state[], size_t count,
                     const op_rule_args *a) {
  (void)state;
  for (size_t i = 0; i < count; i++) w[i] -= a->lr * (a->scale * g[i] + a->weight_decay * w[i]);
}

static void rule_momentum(float *restrict w, const float *restrict g, float *const state[],
                          size_t count, const op_rule_args *a) {
  float *restrict v = state[0];
  for (size_t i = 0; i < count; i++) {
    v[i] = a->momentum * v[i] + (a->scale * g[i] + a->weight_decay * w[i]);
    w[i] -= a->lr * v[i];
  }
}

static void rule_nesterov(float *restrict w, const float *restrict g, float *const state[],
                          size_t count, const op_rule_args *a) {
  float *restrict v = state[0];
  for (size_t i = 0; i < count; i++) {
    const float decayed = a->scale * g[i] + a->weight_decay * w[i];
    v[i] = a->momentum * v[i] + decayed;
    w[i] -= a->lr * (decayed + a->momentum * v[i]);
  }
}

static void rule_caffe(float *restrict w, const float *restrict g, float *const state[],
                       size_t count, const op_rule_args *a) {
  float *restrict v = state[0];
  for (size_t i = 0; i < count; i++) {
    v[i] = a->momentum * v[i] + a->lr * (a->scale * g[i] + a->weight_decay * w[i]);
    w[i] -= v[i];
  }
}

static void rule_adamw(float *restrict w, const float *restrict g, float *const state[],
                       size_t count, const op_rule_args *a) {
  float *restrict m = state[0], *restrict v = state[1];
  const float kept = 1 - a->lr * a->weight_decay, rate = a->lr / a->c1;
  for (size_t i = 0; i < count; i++) {
    const float scaled = a->scale * g[i];
    m[i] = a->momentum * m[i] + a->rest1 * scaled;
    v[i] = a->beta2 * v[i] + a->rest2 * scaled * scaled;
    w[i] = kept * w[i] - rate * m[i] / (sqrtf(v[i]) / a->root_of_c2 + a->eps);
  }
}

static op_rule_update *const updates[] = {
#define RULE(name, states, lr) rule_##name,
#include "op/rules.def"
#undef RULE
};

#endif
