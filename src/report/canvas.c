/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of shapes.
 */
#include "report/canvas.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

const double canvas_dash_lengths[CANVAS_DASHES][4] = {
    [CANVAS_SOLID] = {0, 0, 0, 0},
    [CANVAS_DASHED] = {6, 3, 6, 3},
    [CANVAS_DASHDOT] = {8, 3, 1.5, 3},
};

void canvas_init(canvas *c, double width, double height) {
  *c = (canvas){.width = width, .height = height};
  canvas_rect(c, 0, 0, width, height, 0, (canvas_pen){CANVAS_NONE, 0, CANVAS_SOLID, 0xffffff});
}

void canvas_free(canvas *c) {
  for (size_t i = 0; i < c->count; i++) {
    free(c->shapes[i].xy);
    free(c->shapes[i].text);
  }
  free(c->shapes);
  *c = (canvas){0};
}

static bool reserve(canvas *c) {
  if (c->failed) return false;
  if (c->count < c->capacity) return true;
  const size_t capacity = c->capacity ? 2 * c->capacity : 64;
  canvas_shape *shapes = realloc(c->shapes, capacity * sizeof *shapes);
  c->failed = !shapes;
  if (!shapes) return false;
  c->shapes = shapes;
  c->capacity = capacity;
  return true;
}

/* Adds a shape with its own copy of `numbers` coordinates; takes over shape.text. */
static void add(canvas *c, canvas_shape shape, const double *xy, size_t numbers) {
  if (reserve(c)) {
    shape.xy = malloc(numbers * sizeof *xy);
    c->failed = !shape.xy;
  }
  if (c->failed) {
    free(shape.text);
    return;
  }
  memcpy(shape.xy, xy, numbers * sizeof *xy);
  c->shapes[c->count++] = shape;
}

void canvas_polyline(canvas *c, const double *xy, size_t points, bool closed, canvas_pen pen) {
  if (points < 2) return;
  add(c, (canvas_shape){.kind = CANVAS_POLYLINE, .pen = pen, .points = points, .closed = closed},
      xy, 2 * points);
}

void canvas_line(canvas *c, double x0, double y0, double x1, double y1, canvas_pen pen) {
  pen.fill = CANVAS_NONE;
  canvas_polyline(c, (double[]){x0, y0, x1, y1}, 2, false, pen);
}

void canvas_rect(canvas *c, double x, double y, double width, double height, double radius,
                 canvas_pen pen) {
  add(c, (canvas_shape){.kind = CANVAS_RECT, .pen = pen}, (double[]){x, y, width, height, radius},
      5);
}

void canvas_circle(canvas *c, double x, double y, double radius, canvas_pen pen) {
  add(c, (canvas_shape){.kind = CANVAS_CIRCLE, .pen = pen}, (double[]){x, y, radius}, 3);
}

void canvas_text(canvas *c, double x, double y, canvas_font font, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  char *copy = strdup(line);
  if (!copy) c->failed = true;
  add(c, (canvas_shape){.kind = CANVAS_TEXT, .font = font, .text = copy}, (double[]){x, y}, 2);
}

vgg_status canvas_save(const canvas *c, const char *path, vgg_error *err) {
  if (c->failed) return err_no_memory(err, path, c->capacity * sizeof *c->shapes);
  const char *dot = strrchr(path, '.');
  if (dot && strcmp(dot, ".svg") == 0) return canvas_save_svg(c, path, err);
  if (dot && strcmp(dot, ".png") == 0) return canvas_save_png(c, path, err);
  return err_set(err, VGG_BAD_VALUE, "%s: wanted a name that ends in .svg or .png", path);
}
