/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy of one row of logits [classes], in double.
 */
#ifndef NET_LOSS_H
#define NET_LOSS_H

#include "net/engine.h"

/* The class with the largest logit, the first of equal ones. */
int loss_guess(int classes, const float *row);

/* -log softmax(logits)[label]; gradient [classes], unless NULL, is its gradient times `scale`. */
double loss_row(int classes, const float *logits, int32_t label, float scale, float *gradient);

/* The same for row i of engine_targets, the gradient divided by `over`; of plain targets the same
 * bits as loss_row's. */
double loss_of_target(const engine_targets *t, int classes, int i, const float *row, double over,
                      float *gradient);

#endif
