/* SPDX-License-Identifier: Apache-2.0 */
#include "op/rule.h"

#include <math.h>
#include <string.h>

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

static const op_rule rules[] = {
#define RULE(name, states, lr) {#name, states, lr, rule_##name},
#include "op/rules.def"
#undef RULE
};

const op_rule *op_rule_at(size_t i) { return i < sizeof rules / sizeof *rules ? &rules[i] : NULL; }

const op_rule *op_rule_find(const char *name) {
  for (size_t i = 0; op_rule_at(i); i++)
    if (strcmp(name, rules[i].name) == 0) return &rules[i];
  return NULL;
}

#define RULE(name, states, lr) " " #name
static const char names[] =
#include "op/rules.def"
    ;
#undef RULE

const char *op_rule_names(void) { return names; }

op_rule_args op_rule_args_at(double lr, double momentum, double weight_decay, double scale,
                             int64_t step) {
  const double beta2 = 0.999;
  return (op_rule_args){.lr = (float)lr,
                        .momentum = (float)momentum,
                        .beta2 = (float)beta2,
                        .eps = 1e-8f,
                        .weight_decay = (float)weight_decay,
                        .scale = (float)scale,
                        .rest1 = (float)(1 - momentum),
                        .rest2 = (float)(1 - beta2),
                        .c1 = (float)(1 - pow(momentum, (double)step)),
                        .root_of_c2 = (float)sqrt(1 - pow(beta2, (double)step))};
}
