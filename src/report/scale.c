/* SPDX-License-Identifier: Apache-2.0 */
#include "report/scale.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

const char *curve_name(curve_series series, vgg_split held) {
  static const char *const names[CURVE_SERIES] = {"train loss", "train acc", "test acc"};
  return series == CURVE_HELD_ACC && held == VGG_VALIDATION ? "val acc" : names[series];
}

double curve_value(const vgg_curve_point *point, curve_series series, int epochs) {
  double value = NAN;
  switch (series) {
    case CURVE_TRAIN_LOSS:
      value = point->train_loss;
      break;
    case CURVE_TRAIN_ACC:
      value = point->train_acc;
      break;
    case CURVE_HELD_ACC:
      value = point->held_acc;
      break;
    case CURVE_SERIES:
      break;
  }
  /* A loss is a float; what is larger would make the range infinite. */
  const bool drawable = fabs(value) <= FLT_MAX && point->x >= 0 && point->x <= epochs;
  return drawable ? value : NAN;
}

curve_range curve_range_of(const vgg_curve_point *points, size_t num_points, int epochs) {
  curve_range r = {INFINITY, -INFINITY};
  for (size_t i = 0; i < num_points; i++)
    for (int s = 0; s < CURVE_SERIES; s++) {
      const double value = curve_value(&points[i], (curve_series)s, epochs);
      r.low = fmin(r.low, value); /* which pass over NaN */
      r.high = fmax(r.high, value);
    }
  if (!(r.low <= r.high)) return (curve_range){0, 1};
  const double least = 1e-3 * fmax(fabs(r.low), fabs(r.high)) + 1e-9; /* a flat line has height */
  if (r.high - r.low < least) return (curve_range){r.low - least, r.high + least};
  return r;
}

double curve_tick_step(double span, int most) {
  const double rough = span / most;
  const double power = pow(10, floor(log10(rough)));
  const double steps[] = {1, 2, 5, 10};
  for (int i = 0; i < 4; i++)
    if (steps[i] * power >= rough * (1 - 1e-9)) return steps[i] * power;
  return 10 * power;
}
