/* SPDX-License-Identifier: Apache-2.0
 *
 * Optimiser rules: one pass over masters and gradients, at memory speed.
 */
#ifndef TRAIN_RULE_H
#define TRAIN_RULE_H

#include "net/net.h"

typedef struct train_rule {
  const char *name;
  /* Updates `count` weights w by their gradients g. */
  void (*update)(float *w, const float *g, size_t count, float lr);
} train_rule;

/* NULL when there is no such rule. */
const train_rule *rule_find(const char *name);

/* The first parameter (an index into params->at) whose gradient holds an infinity or a NaN; -1:
 * all are finite. gradients [params->floats], paddings are not looked at. */
int rule_first_not_finite(const net_params *params, const float *gradients, int threads);

/* One step of the rule for all parameters. masters, gradients [params->floats]. The result does
 * not depend on `threads`. */
void rule_step(const train_rule *rule, const net_params *params, float *masters,
               const float *gradients, float lr, int threads);

#endif
