/* SPDX-License-Identifier: Apache-2.0
 *
 * Optimiser rules: what a step does to a weight w with the gradient g.
 *
 *   g' = scale g + weight_decay w       (adamw: g' = scale g)
 *
 *   sgd       w -= lr g'
 *   momentum  v = momentum v + g',      w -= lr v                       PyTorch's SGD
 *   nesterov  v = momentum v + g',      w -= lr (g' + momentum v)       PyTorch's SGD
 *   caffe     v = momentum v + lr g',   w -= v                          Caffe's SGD
 *   adamw     m = momentum m + (1 - momentum) g',  v = beta2 v + (1 - beta2) g'^2,
 *             w -= lr weight_decay w + lr (m / c1) / (sqrt(v / c2) + eps),
 *             c1 = 1 - momentum^t, c2 = 1 - beta2^t at step t          arXiv 1711.05101, PyTorch
 *
 * One element's update depends on no other, so that any split of the work gives the same bits.
 */
#ifndef OP_RULE_H
#define OP_RULE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum { OP_RULE_MAX_STATES = 2 };

typedef struct op_rule_args {
  float lr, momentum, beta2, eps, weight_decay;
  float scale; /* of all gradients, for clipping; 1 without */
  /* adamw's 1 - momentum and 1 - beta2, rounded once, and 1 - momentum^t, sqrt(1 - beta2^t) */
  float rest1, rest2, c1, root_of_c2;
} op_rule_args;

typedef struct op_rule {
  const char *name;
  int states;
  double lr; /* see rules.def */
} op_rule;

/* Updates w [count] by g [count]; state[i] [count] are the same elements' of the i-th array, all
 * zero before the first step. */
typedef void op_rule_update(float *w, const float *g, float *const state[], size_t count,
                            const op_rule_args *a);

/* The updates of all rules, in the order of rules.def, for one instruction set. */
typedef struct op_rule_row {
  cpu_isa isa;
  op_rule_update *const *update;
} op_rule_row;

/* NULL when there is no such rule. */
const op_rule *op_rule_find(const char *name);
/* Rows of the table; NULL after the last. */
const op_rule *op_rule_at(size_t i);
/* A rule's fastest update not beyond `isa`; all give the same bits. */
op_rule_update *op_rule_fastest(const op_rule *rule, cpu_isa isa);
/* All names, a blank before each. */
const char *op_rule_names(void);

/* The arguments of step `step`, counted from 1; beta2 and eps are PyTorch's .999 and 1e-8. */
op_rule_args op_rule_args_at(double lr, double momentum, double weight_decay, double scale,
                             int64_t step);

#endif
