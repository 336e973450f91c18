/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes as SVG 1.1.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "report/canvas.h"

/* Hundredths of a pixel are finer than the eye. Written as whole numbers: printf's decimal point
 * would follow the user's locale. */
static void add_number(text *t, double v) {
  const long long hundredths = llround(v * 100);
  text_add(t, "%s%lld", hundredths < 0 ? "-" : "", llabs(hundredths) / 100);
  if (hundredths % 100 != 0) text_add(t, ".%02lld", llabs(hundredths) % 100);
}

static void add_attribute(text *t, const char *name, double v) {
  text_add(t, " %s=\"", name);
  add_number(t, v);
  text_add(t, "\"");
}

/* A colour with its attribute. */
static void add_color(text *t, const char *name, int color) {
  if (color == CANVAS_NONE)
    text_add(t, " %s=\"none\"", name);
  else
    text_add(t, " %s=\"#%06x\"", name, (unsigned)color);
}

static void add_pen(text *t, const canvas_pen *pen) {
  add_color(t, "fill", pen->fill);
  if (pen->stroke == CANVAS_NONE) return;
  add_color(t, "stroke", pen->stroke);
  add_attribute(t, "stroke-width", pen->width);
  text_add(t, " stroke-linejoin=\"round\"");
  if (pen->dash == CANVAS_SOLID) return;
  text_add(t, " stroke-dasharray=\"");
  for (int i = 0; i < 4; i++) {
    if (i) text_add(t, " ");
    add_number(t, canvas_dash_lengths[pen->dash][i]);
  }
  text_add(t, "\"");
}

/* Text of users, titles of nets for instance, may hold anything. Control characters have no place
 * in XML at all. */
static void add_escaped(text *t, const char *s) {
  for (; *s; s++) switch (*s) {
      case '&':
        text_add(t, "&amp;");
        break;
      case '<':
        text_add(t, "&lt;");
        break;
      case '>':
        text_add(t, "&gt;");
        break;
      default:
        text_add_bytes(t, (unsigned char)*s < 32 ? "?" : s, 1);
    }
}

static void add_text(text *t, const canvas_shape *shape) {
  static const char *const anchors[] = {"start", "middle", "end"};
  const canvas_font *font = &shape->font;
  text_add(t, "<text");
  add_attribute(t, "x", shape->xy[0]);
  add_attribute(t, "y", shape->xy[1]);
  add_attribute(t, "font-size", font->size);
  if (font->anchor != CANVAS_START) text_add(t, " text-anchor=\"%s\"", anchors[font->anchor]);
  if (font->bold) text_add(t, " font-weight=\"bold\"");
  add_color(t, "fill", font->color);
  if (font->upward) {
    text_add(t, " transform=\"rotate(-90 ");
    add_number(t, shape->xy[0]);
    text_add(t, " ");
    add_number(t, shape->xy[1]);
    text_add(t, ")\"");
  }
  text_add(t, ">");
  add_escaped(t, shape->text);
  text_add(t, "</text>\n");
}

static void add_polyline(text *t, const canvas_shape *shape) {
  text_add(t, shape->closed ? "<polygon points=\"" : "<polyline points=\"");
  for (size_t i = 0; i < shape->points; i++) {
    if (i) text_add(t, " ");
    add_number(t, shape->xy[2 * i]);
    text_add(t, ",");
    add_number(t, shape->xy[2 * i + 1]);
  }
  text_add(t, "\"");
  add_pen(t, &shape->pen);
  text_add(t, "/>\n");
}

static void add_shape(text *t, const canvas_shape *shape) {
  static const char *const rect[] = {"x", "y", "width", "height", "rx"};
  static const char *const circle[] = {"cx", "cy", "r"};
  switch (shape->kind) {
    case CANVAS_POLYLINE:
      add_polyline(t, shape);
      return;
    case CANVAS_TEXT:
      add_text(t, shape);
      return;
    case CANVAS_RECT:
      text_add(t, "<rect");
      for (int i = 0; i < 5; i++)
        if (i < 4 || shape->xy[i] > 0) add_attribute(t, rect[i], shape->xy[i]);
      break;
    case CANVAS_CIRCLE:
      text_add(t, "<circle");
      for (int i = 0; i < 3; i++) add_attribute(t, circle[i], shape->xy[i]);
      break;
  }
  add_pen(t, &shape->pen);
  text_add(t, "/>\n");
}

vgg_status canvas_save_svg(const canvas *c, const char *path, vgg_error *err) {
  text t = {0};
  const int width = (int)ceil(c->width), height = (int)ceil(c->height);
  text_add(&t,
           "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
           "viewBox=\"0 0 %d %d\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n",
           width, height, width, height);
  for (size_t i = 0; i < c->count; i++) add_shape(&t, &c->shapes[i]);
  text_add(&t, "</svg>\n");
  const vgg_status status =
      t.failed ? err_no_memory(err, path, t.capacity) : file_replace(path, t.s, t.length, err);
  free(t.s);
  return status;
}
