/* SPDX-License-Identifier: Apache-2.0
 *
 * A step of the optimiser over all parameters, at memory speed. No result depends on `threads`.
 * gradients [params->count], NULL where there is none or a stage applies it by itself (see
 * engine_gradients): skipped here; paddings are not looked at.
 */
#ifndef TRAIN_RULE_H
#define TRAIN_RULE_H

#include "net/engine.h"
#include "op/rule.h"

/* The first parameter (an index into params->at) whose gradient holds an infinity or a NaN; -1:
 * all are finite. */
int rule_first_not_finite(const net_params *params, float *const *gradients, int threads);

/* The sum of the squares of all gradients. */
double rule_norm2(const net_params *params, float *const *gradients, int threads);

/* What all gradients are to be multiplied by, so that their norm is at most `most` (0: no limit),
 * as PyTorch's clip_grad_norm_ does. */
double rule_clip(double norm2, double most);

typedef struct rule_numbers {
  double lr, momentum, weight_decay, clip_norm; /* clip_norm 0: no limit */
  const double *rates; /* [params.count], times lr for each parameter; NULL: once for all */
} rule_numbers;

/* The rest of step `step` (from 1) behind engine_backward of n images: masters, states and packs
 * move by the rule, unless a gradient of parameter *bad (else -1) is not finite: then nothing does.
 * states as in engine_update. VGG_BUG if a backend fails. */
vgg_status rule_update(engine *e, int n, const op_rule *rule, const rule_numbers *numbers,
                       int64_t step, float *const states[], int *bad, vgg_error *err);

#endif
