/* SPDX-License-Identifier: Apache-2.0
 *
 * A picture as a list of shapes, written as SVG by our own page of code or as PNG by cairo: both
 * walk the same list. Units are pixels of the SVG, y points down; a PNG has two dots a pixel.
 */
#ifndef REPORT_CANVAS_H
#define REPORT_CANVAS_H

#include <stdbool.h>
#include <stddef.h>

#include "vgg/status.h"

enum { CANVAS_NONE = -1, CANVAS_PNG_SCALE = 2 };

typedef enum canvas_dash { CANVAS_SOLID, CANVAS_DASHED, CANVAS_DASHDOT, CANVAS_DASHES } canvas_dash;
/* Lengths on, off, on, off; all 0 for a solid line. */
extern const double canvas_dash_lengths[CANVAS_DASHES][4];

/* Colours are 0xRRGGBB or CANVAS_NONE. */
typedef struct canvas_pen {
  int stroke;
  double width;
  canvas_dash dash;
  int fill;
} canvas_pen;

typedef enum canvas_anchor { CANVAS_START, CANVAS_MIDDLE, CANVAS_END } canvas_anchor;

typedef struct canvas_font {
  double size;
  int color;
  canvas_anchor anchor;
  bool bold, upward; /* upward: turned to read from below to above */
} canvas_font;

typedef enum canvas_kind {
  CANVAS_POLYLINE, /* xy[2 * points]; closed: a polygon */
  CANVAS_RECT,     /* xy = {x, y, width, height, corner's radius} */
  CANVAS_CIRCLE,   /* xy = {x, y, radius} */
  CANVAS_TEXT      /* xy = {x, y of the baseline} */
} canvas_kind;

typedef struct canvas_shape {
  canvas_kind kind;
  canvas_pen pen;
  canvas_font font;
  size_t points;
  bool closed;
  double *xy; /* owned */
  char *text; /* owned */
} canvas_shape;

/* Once memory has run out, `failed` stays set, adding does nothing and canvas_save reports it. */
typedef struct canvas {
  double width, height;
  size_t count, capacity;
  canvas_shape *shapes;
  bool failed;
} canvas;

/* A white picture; free its shapes with canvas_free. */
void canvas_init(canvas *c, double width, double height);
void canvas_free(canvas *c);

void canvas_line(canvas *c, double x0, double y0, double x1, double y1, canvas_pen pen);
/* xy [points][2], copied */
void canvas_polyline(canvas *c, const double *xy, size_t points, bool closed, canvas_pen pen);
void canvas_rect(canvas *c, double x, double y, double width, double height, double radius,
                 canvas_pen pen);
void canvas_circle(canvas *c, double x, double y, double radius, canvas_pen pen);
void canvas_text(canvas *c, double x, double y, canvas_font font, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Writes `path`, ending in .svg or .png, atomically. Fails with VGG_BAD_VALUE (another suffix),
 * VGG_ABSENT (.png without cairo), VGG_NO_OUTPUT, VGG_IO, VGG_NO_MEMORY. */
vgg_status canvas_save(const canvas *c, const char *path, vgg_error *err);

vgg_status canvas_save_svg(const canvas *c, const char *path, vgg_error *err);
vgg_status canvas_save_png(const canvas *c, const char *path, vgg_error *err);

#endif
