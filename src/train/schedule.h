/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedules: what the learning rate is multiplied by at a step. With t epochs done (a fraction
 * within an epoch), of T in the run, and a warm-up of W epochs:
 *
 *   constant  1
 *   step      gamma ^ floor(t / lr_step)
 *   cosine    (1 + cos(pi (t - W) / (T - W))) / 2, from t = W on
 *   plateau   gamma ^ drops: the loop counts them
 *
 * and each step of the warm-up takes the share of it that will then be done: in the i-th of n steps
 * from 1, i / n.
 */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

#include "train/settings.h"

typedef struct schedule_place {
  int64_t step; /* steps done in the run */
  int batches;  /* steps in an epoch */
  int64_t drops;
} schedule_place;

bool schedule_known(const char *name);
/* All names, a blank before each. */
const char *schedule_names(void);

/* For a schedule that is known. */
double schedule_factor(const settings *s, const schedule_place *at);

#endif
