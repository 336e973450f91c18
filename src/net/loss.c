/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loss.h"

#include <math.h>

int loss_guess(int classes, const float *row) {
  int guess = 0;
  for (int k = 1; k < classes; k++)
    if (row[k] > row[guess]) guess = k;
  return guess;
}

/* sum exp(logits - their maximum), and that maximum */
static double exp_sum(int classes, const float *logits, float *top) {
  double sum = 0;
  *top = logits[0];
  for (int k = 1; k < classes; k++) *top = logits[k] > *top ? logits[k] : *top;
  for (int k = 0; k < classes; k++) sum += exp((double)logits[k] - *top);
  return sum;
}

double loss_row(int classes, const float *logits, int32_t label, float scale, float *gradient) {
  float top;
  const double sum = exp_sum(classes, logits, &top);
  if (gradient)
    for (int k = 0; k < classes; k++) {
      const double p = exp((double)logits[k] - top) / sum;
      gradient[k] = (float)(p - (k == label)) * scale;
    }
  return log(sum) - ((double)logits[label] - top);
}

/* A row's target: `rest` for every class, and more for two of them, which may be one; all times the
 * classes' weights. */
typedef struct row_target {
  double rest, own, other;
  int32_t label, other_label;
  const float *weights;
} row_target;

static double target_of(const row_target *t, int k) {
  const double target = t->rest + t->own * (k == t->label) + t->other * (k == t->other_label);
  return t->weights ? target * t->weights[k] : target;
}

/* -sum of target * log softmax, and its gradient times `scale`, of one row. */
static double target_loss(int classes, const float *logits, const row_target *t, double scale,
                          float *gradient) {
  float top;
  const double sum = exp_sum(classes, logits, &top), log_sum = log(sum);
  double loss = 0, all = 0;
  for (int k = 0; k < classes; k++) all += target_of(t, k);
  for (int k = 0; k < classes; k++) {
    const double x = (double)logits[k] - top, target = target_of(t, k);
    loss += target * (log_sum - x);
    gradient[k] = (float)((all * exp(x) / sum - target) * scale);
  }
  return loss;
}

static row_target target_at(const engine_targets *t, int classes, int i) {
  const double sharp = 1. - t->smoothing;
  return (row_target){.rest = (double)t->smoothing / classes,
                      .own = sharp * t->share,
                      .other = sharp * (1. - t->share),
                      .label = t->labels[i],
                      .other_label = t->mixed ? t->mixed[-i] : t->labels[i],
                      .weights = t->weights};
}

double loss_of_target(const engine_targets *t, int classes, int i, const float *row, double over,
                      float *gradient) {
  if (t->share != 1 || t->smoothing != 0) {
    const row_target target = target_at(t, classes, i);
    return target_loss(classes, row, &target, 1 / over, gradient);
  }
  const float weight = t->weights ? t->weights[t->labels[i]] : 1;
  return weight * loss_row(classes, row, t->labels[i], weight / (float)over, gradient);
}
