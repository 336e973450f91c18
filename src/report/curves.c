/* SPDX-License-Identifier: Apache-2.0
 *
 * The tutorial's figure: train loss, train accuracy, held-out accuracy against the epoch.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "report/canvas.h"
#include "report/scale.h"
#include "vgg/report.h"

enum { WIDTH = 560, HEIGHT = 400, LEFT = 54, RIGHT = 18, TOP = 18, BOTTOM = 48 };
enum { LEGEND_WIDTH = 132, LEGEND_HEIGHT = 70, LEGEND_INSET = 10 };

static const int axis_color = 0x333333, grid_color = 0xdddddd;

/* matplotlib's 'b-', 'm--' and 'g-.' in the order of curve_series. */
static const canvas_pen series_pens[CURVE_SERIES] = {
    {0x1f4fd8, 2, CANVAS_SOLID, CANVAS_NONE},
    {0xc217b4, 2, CANVAS_DASHED, CANVAS_NONE},
    {0x1a8f3c, 2, CANVAS_DASHDOT, CANVAS_NONE},
};

/* A marker in a series' colour. */
static canvas_pen marker_pen(int series) {
  return (canvas_pen){0xffffff, 1, CANVAS_SOLID, series_pens[series].stroke};
}

/* From epochs and values to pixels. */
typedef struct frame {
  int epochs;
  curve_range y;
} frame;

static double to_x(const frame *f, double epoch) {
  return LEFT + (WIDTH - LEFT - RIGHT) * epoch / f->epochs;
}
static double to_y(const frame *f, double value) {
  return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - f->y.low) / (f->y.high - f->y.low);
}

static void draw_axes(canvas *c, const frame *f) {
  const canvas_pen grid = {grid_color, 1, CANVAS_SOLID, CANVAS_NONE};
  const canvas_font numbers = {12, axis_color, CANVAS_MIDDLE, false, false};
  const canvas_font left = {12, axis_color, CANVAS_END, false, false};
  const double x_step = curve_tick_step(f->epochs, 10);
  const double y_step = curve_tick_step(f->y.high - f->y.low, 7);
  for (int i = 0; i * x_step <= f->epochs * (1 + 1e-9); i++) {
    const double x = to_x(f, i * x_step);
    canvas_line(c, x, TOP, x, HEIGHT - BOTTOM, grid);
    canvas_text(c, x, HEIGHT - BOTTOM + 17, numbers, "%g", i * x_step);
  }
  const double first = ceil(f->y.low / y_step);
  const int decimals = (int)fmin(fmax(-floor(log10(y_step) + 1e-9), 0), 6);
  for (int i = 0; (first + i) * y_step <= f->y.high; i++) {
    const double value = (first + i) * y_step, y = to_y(f, value);
    canvas_line(c, LEFT, y, WIDTH - RIGHT, y, grid);
    canvas_text(c, LEFT - 7, y + 4, left, "%.*f", decimals, fabs(value) < y_step / 2 ? 0.0 : value);
  }
  canvas_rect(c, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, 0,
              (canvas_pen){axis_color, 1, CANVAS_SOLID, CANVAS_NONE});
  canvas_text(c, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12,
              (canvas_font){13, axis_color, CANVAS_MIDDLE, false, false}, "epoch");
}

/* The series' measured points in pixels [count][2]; `xy` has room for num_points of them. */
static size_t trace(const frame *f, const vgg_curve_point *points, size_t num_points, int series,
                    double *xy) {
  size_t count = 0;
  for (size_t i = 0; i < num_points; i++) {
    const double value = curve_value(&points[i], (curve_series)series, f->epochs);
    if (isnan(value)) continue;
    xy[2 * count] = to_x(f, points[i].x);
    xy[2 * count + 1] = to_y(f, value);
    count++;
  }
  return count;
}

/* How much of the line lies in the legend's box at (x, y), in samples of a few pixels. */
static int covered(const double *xy, size_t count, double x, double y) {
  int inside = 0;
  for (size_t i = 0; i < count; i++) {
    const double *p = xy + 2 * i, *q = i + 1 < count ? p + 2 : p;
    const int samples = 1 + (int)(hypot(q[0] - p[0], q[1] - p[1]) / 4);
    for (int k = 0; k < samples; k++) {
      const double px = p[0] + (q[0] - p[0]) * k / samples, py = p[1] + (q[1] - p[1]) * k / samples;
      inside += px > x - 6 && px < x + LEGEND_WIDTH + 6 && py > y - 6 && py < y + LEGEND_HEIGHT + 6;
    }
  }
  return inside;
}

static void draw_legend(canvas *c, double x, double y, vgg_split held) {
  canvas_rect(c, x, y, LEGEND_WIDTH, LEGEND_HEIGHT, 4,
              (canvas_pen){0xbbbbbb, 1, CANVAS_SOLID, 0xffffff});
  for (int s = 0; s < CURVE_SERIES; s++) {
    const double line = y + 16 + 19 * s;
    canvas_line(c, x + 9, line, x + 45, line, series_pens[s]);
    if (s == CURVE_HELD_ACC) canvas_circle(c, x + 27, line, 4, marker_pen(s));
    canvas_text(c, x + 54, line + 4, (canvas_font){12, axis_color, CANVAS_START, false, false},
                "%s", curve_name((curve_series)s, held));
  }
}

static void draw_series(canvas *c, const double *xy, size_t count, int series) {
  canvas_polyline(c, xy, count, false, series_pens[series]);
  if (series != CURVE_HELD_ACC && count != 1) return; /* a lone point has no line to show it */
  for (size_t i = 0; i < count; i++)
    canvas_circle(c, xy[2 * i], xy[2 * i + 1], 4, marker_pen(series));
}

/* Where the legend hides least: the corners and the middle of the right side. It lies under the
 * curves, so even there nothing is lost. */
static void place_legend(canvas *c, double *const xy[], const size_t count[], vgg_split held) {
  const double left = LEFT + LEGEND_INSET, right = WIDTH - RIGHT - LEGEND_INSET - LEGEND_WIDTH;
  const double top = TOP + LEGEND_INSET, bottom = HEIGHT - BOTTOM - LEGEND_INSET - LEGEND_HEIGHT;
  const double places[][2] = {
      {right, top}, {right, (top + bottom) / 2}, {right, bottom}, {left, top}, {left, bottom}};
  int best = 0, least = -1;
  for (int p = 0; p < 5; p++) {
    int here = 0;
    for (int s = 0; s < CURVE_SERIES; s++)
      here += covered(xy[s], count[s], places[p][0], places[p][1]);
    if (least >= 0 && here >= least) continue;
    least = here;
    best = p;
  }
  draw_legend(c, places[best][0], places[best][1], held);
}

vgg_status vgg_curves_save(const vgg_curve_point *points, size_t num_points, int epochs,
                           vgg_split held, const char *path, vgg_error *err) {
  if (epochs < 1) return err_set(err, VGG_BAD_VALUE, "epochs %d: wanted at least 1", epochs);
  frame f = {epochs, curve_range_of(points, num_points, epochs)};
  const double margin = (f.y.high - f.y.low) * 0.05;
  f.y = (curve_range){f.y.low - margin, f.y.high + margin};
  const size_t room = 2 * num_points + 2;
  double *all = calloc(CURVE_SERIES * room, sizeof *all);
  if (!all) return err_no_memory(err, path, CURVE_SERIES * room * sizeof *all);
  double *xy[CURVE_SERIES];
  size_t count[CURVE_SERIES];
  for (int s = 0; s < CURVE_SERIES; s++) {
    xy[s] = all + (size_t)s * room;
    count[s] = trace(&f, points, num_points, s, xy[s]);
  }
  canvas c;
  canvas_init(&c, WIDTH, HEIGHT);
  draw_axes(&c, &f);
  place_legend(&c, xy, count, held);
  for (int s = 0; s < CURVE_SERIES; s++) draw_series(&c, xy[s], count[s], s);
  const vgg_status status = canvas_save(&c, path, err);
  canvas_free(&c);
  free(all);
  return status;
}
