/* SPDX-License-Identifier: Apache-2.0 */
#include "image/resize.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/resize_kernels.h"
#include "vgg/image.h"

enum {
  WEIGHT_BITS = 22, /* Pillow's precision: 32 - 8 for the pixel - 2 for overshoot */
  MAX_IN = 1 << 24, /* Pillow's float coordinates are exact, and sums of rounded weights fit */
};

struct resizer {
  int channels;
  const resize_kernels *kernels;
  resize_axis x, y;
  bool columns_first; /* the vertical pass comes before the horizontal one */
  int top, rows;      /* the input rows and columns that the window needs */
  int left, columns;
  uint8_t *middle; /* [rows][x.out][channels], or [columns][channels] when columns_first */
  size_t bytes;
};

/* Input range of output x, before clipping: as doubles are rounded by Pillow. */
typedef struct span {
  double centre, scale;
  int first, end;
} span;

static span axis_span(resizer_window from, int size, int x) {
  span s;
  const double ratio = (double)from.count / size;
  s.scale = ratio < 1.0 ? 1.0 : ratio;
  s.centre = from.first + (x + 0.5) * ratio;
  s.first = (int)(s.centre - s.scale + 0.5);
  if (s.first < 0) s.first = 0;
  s.end = (int)(s.centre + s.scale + 0.5);
  if (s.end > from.size) s.end = from.size;
  return s;
}

/* weight[taps] of one output, whose real taps begin at `shift`; `real` is scratch for the doubles.
 */
static void axis_weights(const span *s, int shift, double *real, uint32_t *weight, int taps) {
  const double inverse = 1.0 / s->scale;
  const int count = s->end - s->first;
  double sum = 0;
  for (int i = 0; i < count; i++) {
    const double distance = fabs((i + s->first - s->centre + 0.5) * inverse);
    real[i] = distance < 1.0 ? 1.0 - distance : 0.0;
    sum += real[i];
  }
  memset(weight, 0, (size_t)taps * sizeof *weight);
  for (int i = 0; i < count; i++) {
    const double share = sum != 0.0 ? real[i] / sum : real[i];
    weight[shift + i] = (uint32_t)(0.5 + share * (1 << WEIGHT_BITS));
  }
}

/* When all weights are multiples of 2^-8 (doubling, 28 -> 224), drops the bits that are zero: sums
 * then fit 16 bits and stay exact. */
static void axis_narrow(resize_axis *a) {
  const size_t count = (size_t)a->out * (size_t)a->taps;
  uint32_t all = 1u << (WEIGHT_BITS - 1);
  for (size_t i = 0; i < count; i++) all |= a->weight[i];
  const int spare = __builtin_ctz(all);
  if (WEIGHT_BITS - spare > RESIZE_NARROW_BITS) return;
  for (size_t i = 0; i < count; i++) a->weight[i] >>= spare;
  a->bits = WEIGHT_BITS - spare;
}

static vgg_status axis_init(resize_axis *a, resizer_window from, resizer_window w, size_t *bytes,
                            vgg_error *err) {
  double *real = NULL;
  *a = (resize_axis){.in = from.size, .out = w.count, .bits = WEIGHT_BITS};
  for (int i = 0; i < w.count; i++) {
    const span s = axis_span(from, w.size, w.first + i);
    if (s.end - s.first > a->taps) a->taps = s.end - s.first;
  }
  const size_t taps = (size_t)a->taps;
  size_t size;
  if (!mem_mul((size_t)w.count, taps * sizeof *a->weight, &size))
    return err_no_memory(err, "resize", SIZE_MAX);
  a->first = malloc((size_t)w.count * sizeof *a->first);
  a->weight = malloc(size);
  real = malloc(taps * sizeof *real);
  if (!a->first || !a->weight || !real) {
    free(real);
    return err_no_memory(err, "resize", size);
  }
  for (int i = 0; i < w.count; i++) {
    const span s = axis_span(from, w.size, w.first + i);
    a->first[i] = s.first + a->taps <= a->in ? s.first : a->in - a->taps;
    axis_weights(&s, s.first - a->first[i], real, a->weight + (size_t)i * taps, a->taps);
  }
  axis_narrow(a);
  *bytes += size + (size_t)w.count * sizeof *a->first;
  free(real);
  return VGG_OK;
}

static bool window_fits(resizer_window w) {
  return w.size > 0 && w.count > 0 && w.first >= 0 && w.first <= w.size - w.count;
}

/* The part of the input that the taps reach; first[] never decreases. */
static void find_source(resizer *r) {
  r->top = r->y.first[0];
  r->rows = r->y.first[r->y.out - 1] + r->y.taps - r->top;
  r->left = r->x.first[0];
  r->columns = r->x.first[r->x.out - 1] + r->x.taps - r->left;
}

static vgg_status scratch_alloc(resizer *r, vgg_error *err) {
  const size_t width = (size_t)(r->columns_first ? r->columns : r->x.out);
  const size_t height = (size_t)(r->columns_first ? 1 : r->rows);
  size_t row, middle;
  if (!mem_mul(width, (size_t)r->channels, &row) || !mem_mul(row, height, &middle))
    return err_no_memory(err, "resize", SIZE_MAX);
  r->middle = malloc(middle + 1); /* kernels read a byte beyond a pixel */
  if (!r->middle) return err_no_memory(err, "resize", middle);
  r->bytes += middle;
  return VGG_OK;
}

static vgg_status create(int channels, resizer_window from_rows, resizer_window from_columns,
                         resizer_window rows, resizer_window columns, resizer **out,
                         vgg_error *err) {
  if (from_rows.size > MAX_IN || from_columns.size > MAX_IN || channels <= 0 ||
      !window_fits(from_rows) || !window_fits(from_columns) || !window_fits(rows) ||
      !window_fits(columns))
    return err_set(err, VGG_BAD_VALUE,
                   "resize: %dx%d at %d,%d of %dx%dx%d to %dx%d at %d,%d of %dx%d: sizes must be "
                   "positive, at most 2^24, and windows inside",
                   from_rows.count, from_columns.count, from_rows.first, from_columns.first,
                   channels, from_rows.size, from_columns.size, rows.count, columns.count,
                   rows.first, columns.first, rows.size, columns.size);
  resizer *r = calloc(1, sizeof *r);
  if (!r) return err_no_memory(err, "resize", sizeof *r);
  r->kernels = resize_kernels_for(cpu_best_isa());
  r->channels = channels;
  r->bytes = sizeof *r;
  vgg_status status = axis_init(&r->x, from_columns, columns, &r->bytes, err);
  if (!status) status = axis_init(&r->y, from_rows, rows, &r->bytes, err);
  if (status) goto done;

  find_source(r);
  r->columns_first = from_rows.size > rows.size &&
                     from_rows.size - rows.size > 2 * ((long)from_columns.size - columns.size);
  status = scratch_alloc(r, err);
  if (status) goto done;
  *out = r;
  r = NULL;
done:
  resizer_close(r);
  return status;
}

static resizer_window whole(int size) { return (resizer_window){size, 0, size}; }

vgg_status resizer_create_window(int in_h, int in_w, int channels, resizer_window rows,
                                 resizer_window columns, resizer **out, vgg_error *err) {
  return create(channels, whole(in_h), whole(in_w), rows, columns, out, err);
}

vgg_status resizer_create_box(resizer_window rows, resizer_window columns, int channels, int out_h,
                              int out_w, resizer **out, vgg_error *err) {
  return create(channels, rows, columns, whole(out_h), whole(out_w), out, err);
}

vgg_status resizer_create(int in_h, int in_w, int channels, int out_h, int out_w, resizer **out,
                          vgg_error *err) {
  return create(channels, whole(in_h), whole(in_w), whole(out_h), whole(out_w), out, err);
}

void resizer_close(resizer *r) {
  if (!r) return;
  free(r->x.first);
  free(r->x.weight);
  free(r->y.first);
  free(r->y.weight);
  free(r->middle);
  free(r);
}

size_t resizer_bytes(const resizer *r) { return r->bytes; }

static void across(const resizer *r, const uint8_t *in, uint8_t *out) {
  r->kernels->across(&r->x, in, r->left, out, r->channels);
}

/* Row y of the vertical pass; `rows` begins at the row `top`. */
static void down(const resizer *r, int y, const uint8_t *rows, size_t stride, uint8_t *out,
                 size_t width) {
  const resize_axis *a = &r->y;
  const uint32_t *weight = a->weight + (size_t)y * (size_t)a->taps;
  rows += (size_t)(a->first[y] - r->top) * stride;
  r->kernels->down(rows, stride, weight, a->taps, a->bits, out, width);
}

void resizer_run(resizer *r, const uint8_t *in, uint8_t *out) {
  const size_t channels = (size_t)r->channels;
  const size_t in_row = (size_t)r->x.in * channels, out_row = (size_t)r->x.out * channels;
  in += (size_t)r->top * in_row + (size_t)r->left * channels;
  if (r->columns_first) {
    for (int y = 0; y < r->y.out; y++, out += out_row) {
      down(r, y, in, in_row, r->middle, (size_t)r->columns * channels);
      across(r, r->middle, out);
    }
    return;
  }
  for (int y = 0; y < r->rows; y++) across(r, in + y * in_row, r->middle + y * out_row);
  for (int y = 0; y < r->y.out; y++, out += out_row) down(r, y, r->middle, out_row, out, out_row);
}

vgg_status vgg_resize_bilinear(const uint8_t *in, int in_h, int in_w, int channels, uint8_t *out,
                               int out_h, int out_w, vgg_error *err) {
  resizer *r = NULL;
  const vgg_status status = resizer_create(in_h, in_w, channels, out_h, out_w, &r, err);
  if (status) return status;
  resizer_run(r, in, out);
  resizer_close(r);
  return VGG_OK;
}
