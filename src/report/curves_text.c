/* SPDX-License-Identifier: Apache-2.0
 *
 * Curves for a terminal: Braille characters, each a grid of 2 x 4 dots.
 *
 *   2.30 ┤⠢⡀
 *        │ ⠈⠢⣀          train loss  all dots of the line
 *        │   ⣀⠤⠒⠉●      train acc   every other one
 *   0.10 ┼⠔⠉────────    test acc    a disc at each point
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "report/scale.h"
#include "vgg/report.h"

enum { CELL_WIDTH = 2, CELL_HEIGHT = 4, LABEL_WIDTH = 9 };
enum { LEGEND_WIDTH = 54, LEGEND_VALUES = 21 }; /* without and for the newest values */

typedef struct grid {
  int columns, rows; /* of cells */
  int epochs;
  curve_range y;
  unsigned char *dots, *disc; /* [rows][columns]: Braille bits; whether a disc stands there */
} grid;

static double dot_x(const grid *g, double epoch) {
  return epoch / g->epochs * (g->columns * CELL_WIDTH - 1);
}
static double dot_y(const grid *g, double value) {
  return (g->y.high - value) / (g->y.high - g->y.low) * (g->rows * CELL_HEIGHT - 1);
}

/* The cell that holds dot (x, y); clamped against rounding at the edges. */
static size_t cell_of(const grid *g, double x, double y, int *dot_column, int *dot_row) {
  const int column = (int)fmin(fmax(x + 0.5, 0), g->columns * CELL_WIDTH - 1);
  const int row = (int)fmin(fmax(y + 0.5, 0), g->rows * CELL_HEIGHT - 1);
  *dot_column = column % CELL_WIDTH;
  *dot_row = row % CELL_HEIGHT;
  return (size_t)(row / CELL_HEIGHT) * (size_t)g->columns + (size_t)(column / CELL_WIDTH);
}

static void set_dot(grid *g, double x, double y) {
  /* Unicode numbers the dots 1 2 3 7 down the left column and 4 5 6 8 down the right one. */
  static const unsigned char bits[CELL_HEIGHT][CELL_WIDTH] = {
      {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  int column, row;
  const size_t cell = cell_of(g, x, y, &column, &row);
  g->dots[cell] |= bits[row][column];
}

static void set_disc(grid *g, double x, double y) {
  int column, row;
  g->disc[cell_of(g, x, y, &column, &row)] = 1;
}

/* A line of dots `stride` apart; returns the phase for the next piece. */
static int draw_line(grid *g, double x0, double y0, double x1, double y1, int stride, int phase) {
  const int steps = 1 + (int)fmin(fmax(fabs(x1 - x0), fabs(y1 - y0)), 1e6);
  for (int i = 0; i < steps; i++, phase++)
    if (phase % stride == 0) set_dot(g, x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps);
  return phase % stride;
}

static void draw_series(grid *g, const vgg_curve_point *points, size_t num_points,
                        curve_series series) {
  double x0 = NAN, y0 = NAN;
  int phase = 0;
  for (size_t i = 0; i < num_points; i++) {
    const double value = curve_value(&points[i], series, g->epochs);
    if (isnan(value)) continue;
    const double x = dot_x(g, points[i].x), y = dot_y(g, value);
    if (series == CURVE_HELD_ACC)
      set_disc(g, x, y);
    else if (!isnan(x0))
      phase = draw_line(g, x0, y0, x, y, series == CURVE_TRAIN_LOSS ? 1 : 3, phase);
    x0 = x;
    y0 = y;
  }
  if (series != CURVE_HELD_ACC && !isnan(x0)) set_dot(g, x0, y0);
}

/* Rows of the plot with the range's ends at the left, then the epochs below. */
static void add_rows(text *t, const grid *g) {
  for (int row = 0; row < g->rows; row++) {
    const bool labelled = row == 0 || row == g->rows - 1;
    const double value = row == 0 ? g->y.high : g->y.low;
    if (labelled)
      text_add(t, fabs(value) < 1e4 ? "%*.2f ┤" : "%*.1g ┤", LABEL_WIDTH - 2, value);
    else
      text_add(t, "%*s│", LABEL_WIDTH - 1, "");
    for (int column = 0; column < g->columns; column++) {
      const size_t cell = (size_t)row * (size_t)g->columns + (size_t)column;
      const unsigned char dots = g->dots[cell];
      const char braille[] = {(char)0xe2, (char)(0xa0 | dots >> 6), (char)(0x80 | (dots & 0x3f))};
      if (g->disc[cell])
        text_add(t, "●");
      else if (dots)
        text_add_bytes(t, braille, sizeof braille);
      else
        text_add(t, " ");
    }
    text_add(t, "\n");
  }
  text_add(t, "%*s└", LABEL_WIDTH - 1, "");
  for (int column = 0; column < g->columns; column++) text_add(t, "─");
  char last[32];
  snprintf(last, sizeof last, "epoch %d", g->epochs);
  text_add(t, "\n%*s0%*s\n", LABEL_WIDTH, "", g->columns - 1, last);
}

static double newest(const vgg_curve_point *points, size_t num_points, curve_series series,
                     int epochs) {
  double value = NAN;
  for (size_t i = num_points; i > 0 && isnan(value); i--)
    value = curve_value(&points[i - 1], series, epochs);
  return value;
}

static void add_legend(text *t, const vgg_curve_point *points, size_t num_points, int epochs,
                       vgg_split held, int width) {
  static const char *const marks[CURVE_SERIES] = {"⠒⠒⠒", "⠂⠐ ⠂", "●"};
  text_add(t, "%*s", LABEL_WIDTH, "");
  for (int s = 0; s < CURVE_SERIES; s++) {
    const double value = newest(points, num_points, (curve_series)s, epochs);
    text_add(t, "%s%s %s", s ? "   " : "", marks[s], curve_name((curve_series)s, held));
    if (!isnan(value) && width >= LEGEND_WIDTH + LEGEND_VALUES)
      text_add(t, fabs(value) < 100 ? " %.3f" : " %.0e", value);
  }
  text_add(t, "\n");
}

vgg_status vgg_curves_text(const vgg_curve_point *points, size_t num_points, int epochs,
                           vgg_split held, int width, int height, char **out, vgg_error *err) {
  if (epochs < 1) return err_set(err, VGG_BAD_VALUE, "epochs %d: wanted at least 1", epochs);
  if (width < LEGEND_WIDTH || width > 1000 || height < 5 || height > 1000)
    return err_set(err, VGG_BAD_VALUE, "curves of %d x %d characters: wanted %d x 5 to 1000 x 1000",
                   width, height, LEGEND_WIDTH);
  const int columns = width - LABEL_WIDTH, rows = height - 3; /* axis, epochs, legend */
  const size_t cells = (size_t)columns * (size_t)rows;
  unsigned char *memory = calloc(2, cells);
  if (!memory) return err_no_memory(err, "curves", 2 * cells);
  grid g = {columns, rows,          epochs, curve_range_of(points, num_points, epochs),
            memory,  memory + cells};
  for (int s = 0; s < CURVE_SERIES; s++) draw_series(&g, points, num_points, (curve_series)s);
  text t = {0};
  add_rows(&t, &g);
  add_legend(&t, points, num_points, epochs, held, width);
  free(memory);
  if (t.failed) {
    free(t.s);
    return err_no_memory(err, "curves", t.capacity);
  }
  *out = t.s;
  return VGG_OK;
}
