/* SPDX-License-Identifier: Apache-2.0
 *
 * What a curve's drawings share: the series, their range, nice ticks.
 */
#ifndef REPORT_SCALE_H
#define REPORT_SCALE_H

#include "vgg/train.h"

typedef enum curve_series {
  CURVE_TRAIN_LOSS,
  CURVE_TRAIN_ACC,
  CURVE_HELD_ACC,
  CURVE_SERIES
} curve_series;

/* As in the tutorial's legend, which says "test acc" unless `held` is the validation set. */
const char *curve_name(curve_series series, vgg_split held);

/* The point's value in that series; NaN when it was not measured, is not finite or its x does not
 * lie in 0 .. epochs. */
double curve_value(const vgg_curve_point *point, curve_series series, int epochs);

typedef struct curve_range {
  double low, high;
} curve_range;

/* Of all those values of all series; [0, 1] when there are none; never empty. */
curve_range curve_range_of(const vgg_curve_point *points, size_t num_points, int epochs);

/* The step, 1, 2 or 5 times a power of ten, that divides the range into at most `most` parts. */
double curve_tick_step(double span, int most);

#endif
