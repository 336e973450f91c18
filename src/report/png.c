/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes as PNG, drawn by cairo.
 */
#include "base/error.h"
#include "base/file.h"
#include "report/canvas.h"

#ifdef VGG_HAVE_CAIRO
#include <cairo.h>
#include <math.h>

static void set_color(cairo_t *cr, int color) {
  cairo_set_source_rgb(cr, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0,
                       (color & 255) / 255.0);
}

static void trace_rect(cairo_t *cr, const double *r) {
  const double x = r[0], y = r[1], w = r[2], h = r[3], radius = r[4];
  if (radius <= 0) {
    cairo_rectangle(cr, x, y, w, h);
    return;
  }
  const double corners[4][2] = {{x + w - radius, y + radius},
                                {x + w - radius, y + h - radius},
                                {x + radius, y + h - radius},
                                {x + radius, y + radius}};
  for (int i = 0; i < 4; i++)
    cairo_arc(cr, corners[i][0], corners[i][1], radius, (i - 1) * M_PI / 2, i * M_PI / 2);
  cairo_close_path(cr);
}

static void paint(cairo_t *cr, const canvas_pen *pen) {
  if (pen->fill != CANVAS_NONE) {
    set_color(cr, pen->fill);
    cairo_fill_preserve(cr);
  }
  if (pen->stroke != CANVAS_NONE) {
    set_color(cr, pen->stroke);
    cairo_set_line_width(cr, pen->width);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_dash(cr, canvas_dash_lengths[pen->dash], pen->dash == CANVAS_SOLID ? 0 : 4, 0);
    cairo_stroke_preserve(cr);
  }
  cairo_new_path(cr);
}

static void draw_text(cairo_t *cr, const canvas_shape *shape) {
  const canvas_font *font = &shape->font;
  cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                         font->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, font->size);
  cairo_text_extents_t extents;
  cairo_text_extents(cr, shape->text, &extents);
  set_color(cr, font->color);
  cairo_save(cr);
  cairo_translate(cr, shape->xy[0], shape->xy[1]);
  if (font->upward) cairo_rotate(cr, -M_PI / 2);
  cairo_move_to(cr, -extents.x_advance * (double)font->anchor / 2, 0); /* start 0, end 1 */
  cairo_show_text(cr, shape->text);
  cairo_restore(cr);
  cairo_new_path(cr);
}

static void draw(cairo_t *cr, const canvas_shape *shape) {
  switch (shape->kind) {
    case CANVAS_TEXT:
      draw_text(cr, shape);
      return;
    case CANVAS_POLYLINE:
      for (size_t i = 0; i < shape->points; i++)
        cairo_line_to(cr, shape->xy[2 * i], shape->xy[2 * i + 1]);
      if (shape->closed) cairo_close_path(cr);
      break;
    case CANVAS_RECT:
      trace_rect(cr, shape->xy);
      break;
    case CANVAS_CIRCLE:
      cairo_arc(cr, shape->xy[0], shape->xy[1], shape->xy[2], 0, 2 * M_PI);
      break;
  }
  paint(cr, &shape->pen);
}

typedef struct sink {
  file_writer *writer;
  vgg_error *err;
  vgg_status status;
} sink;

static cairo_status_t write_bytes(void *closure, const unsigned char *bytes, unsigned size) {
  sink *s = closure;
  s->status = file_write(s->writer, bytes, size, s->err);
  return s->status == VGG_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static vgg_status write_png(cairo_surface_t *surface, const char *path, vgg_error *err) {
  sink s = {.err = err};
  s.status = file_begin(path, &s.writer, err);
  if (s.status != VGG_OK) return s.status;
  const cairo_status_t result = cairo_surface_write_to_png_stream(surface, write_bytes, &s);
  if (result == CAIRO_STATUS_SUCCESS) return file_commit(s.writer, err);
  file_abandon(s.writer);
  if (s.status != VGG_OK) return s.status;
  return err_set(err, VGG_IO, "%s: cairo: %s", path, cairo_status_to_string(result));
}

vgg_status canvas_save_png(const canvas *c, const char *path, vgg_error *err) {
  cairo_surface_t *surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(c->width * CANVAS_PNG_SCALE),
                                 (int)ceil(c->height * CANVAS_PNG_SCALE));
  cairo_t *cr = cairo_create(surface);
  cairo_scale(cr, CANVAS_PNG_SCALE, CANVAS_PNG_SCALE);
  for (size_t i = 0; i < c->count; i++) draw(cr, &c->shapes[i]);
  vgg_status status = VGG_OK;
  const cairo_status_t drawn = cairo_status(cr);
  if (drawn != CAIRO_STATUS_SUCCESS)
    status = err_set(err, drawn == CAIRO_STATUS_NO_MEMORY ? VGG_NO_MEMORY : VGG_IO, "%s: cairo: %s",
                     path, cairo_status_to_string(drawn));
  else
    status = write_png(surface, path, err);
  cairo_destroy(cr);
  cairo_surface_destroy(surface);
  return status;
}

#else

vgg_status canvas_save_png(const canvas *c, const char *path, vgg_error *err) {
  (void)c;
  return err_set(err, VGG_ABSENT, "%s: this build has no cairo and writes .svg only", path);
}

#endif
