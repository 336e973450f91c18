/* SPDX-License-Identifier: Apache-2.0 */
#include "image/preprocess.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/luma.h"

enum { MOST_SIDE = 65536 };

struct preprocessor {
  resizer *resize;
  size_t pixels; /* of the picture */
  bool to_grey;  /* colour picture, grey net */
  bool invert;
  size_t samples;  /* of the picture after to_grey */
  uint8_t *plane;  /* [samples], when the picture must be changed before it is resized */
  size_t outputs;  /* pixels of the net's input */
  uint8_t *narrow; /* [outputs], when grey becomes colour: that is cheapest at the end */
};

bool preprocess_cover(int height, int width, vgg_shape want, int *out_h, int *out_w) {
  int64_t h = want.h, w = want.w;
  if ((int64_t)want.h * width >= (int64_t)want.w * height)
    w = (int64_t)want.h * width / height;
  else
    h = (int64_t)want.w * height / width;
  if (h > INT_MAX || w > INT_MAX) return false;
  *out_h = (int)h;
  *out_w = (int)w;
  return true;
}

/* torchvision's CenterCrop: half of the rest, and at .5 the even neighbour (Python's round). */
int preprocess_middle(int size, int want) {
  const int half = (size - want) / 2;
  return (size - want) % 2 == 0 ? half : half + half % 2;
}

static vgg_status check(const vgg_preprocess *rule, int channels, int height, int width,
                        vgg_error *err) {
  const vgg_shape want = rule->input;
  if ((channels != 1 && channels != 3) || height <= 0 || width <= 0)
    return err_set(err, VGG_BAD_VALUE, "picture: is %dx%dx%d, wanted 1 or 3 channels and a size",
                   channels, height, width);
  if ((want.c != 1 && want.c != 3) || want.h <= 0 || want.w <= 0)
    return err_set(err, VGG_BAD_VALUE, "net: takes %dx%dx%d, pictures have 1 or 3 channels", want.c,
                   want.h, want.w);
  if (rule->shorter_side != 0 && (rule->shorter_side < want.h || rule->shorter_side < want.w ||
                                  rule->shorter_side > MOST_SIDE))
    return err_set(err, VGG_BAD_VALUE, "shorter side %d: wanted %d to %d", rule->shorter_side,
                   want.h > want.w ? want.h : want.w, MOST_SIDE);
  if (want.c > channels && rule->channels != VGG_CHANNELS_REPLICATE)
    return err_set(err, VGG_BAD_VALUE,
                   "picture: is grey, but the net takes %d channels, wanted --channels replicate",
                   want.c);
  return VGG_OK;
}

/* What the centre crop keeps of the covering resize. */
static vgg_status rule_part(const vgg_preprocess *rule, int height, int width,
                            preprocess_part *part, vgg_error *err) {
  const vgg_shape want = rule->input;
  const int side = rule->shorter_side;
  int h, w;
  if (!preprocess_cover(height, width, side ? (vgg_shape){want.c, side, side} : want, &h, &w))
    return err_set(err, VGG_BAD_VALUE, "picture: %dx%d is too narrow to cover %dx%d", height, width,
                   want.h, want.w);
  *part = (preprocess_part){.rows = {h, preprocess_middle(h, want.h), want.h},
                            .columns = {w, preprocess_middle(w, want.w), want.w}};
  return VGG_OK;
}

vgg_status preprocessor_create(const vgg_preprocess *rule, int channels, int height, int width,
                               preprocessor **out, vgg_error *err) {
  return preprocessor_create_part(rule, channels, height, width, NULL, out, err);
}

vgg_status preprocessor_create_part(const vgg_preprocess *rule, int channels, int height, int width,
                                    const preprocess_part *part, preprocessor **out,
                                    vgg_error *err) {
  const vgg_shape want = rule->input;
  preprocess_part own;
  vgg_status status = check(rule, channels, height, width, err);
  if (!status && !part) status = rule_part(rule, height, width, &own, err);
  if (status) return status;
  if (!part) part = &own;
  preprocessor *p = calloc(1, sizeof *p);
  if (!p) return err_no_memory(err, "preprocess", sizeof *p);
  const int resized = want.c < channels ? want.c : channels;
  p->pixels = (size_t)height * (size_t)width;
  p->to_grey = want.c < channels;
  p->invert = rule->invert;
  p->samples = p->pixels * (size_t)resized;
  p->outputs = (size_t)want.h * (size_t)want.w;
  if (p->to_grey || p->invert) p->plane = malloc(p->samples);
  if (want.c > channels) p->narrow = malloc(p->outputs);
  if (((p->to_grey || p->invert) && !p->plane) || (want.c > channels && !p->narrow)) {
    status = err_no_memory(err, "preprocess", p->samples + p->outputs);
    goto done;
  }
  status = part->of_picture ? resizer_create_box(part->rows, part->columns, resized, want.h, want.w,
                                                 &p->resize, err)
                            : resizer_create_window(height, width, resized, part->rows,
                                                    part->columns, &p->resize, err);
  if (status) goto done;
  *out = p;
  p = NULL;
done:
  preprocessor_close(p);
  return status;
}

void preprocessor_close(preprocessor *p) {
  if (!p) return;
  resizer_close(p->resize);
  free(p->plane);
  free(p->narrow);
  free(p);
}

size_t preprocessor_bytes(const preprocessor *p) {
  return sizeof *p + (p->plane ? p->samples : 0) + (p->narrow ? p->outputs : 0) +
         resizer_bytes(p->resize);
}

static void to_grey(const uint8_t *restrict rgb, uint8_t *restrict grey, size_t count) {
  for (size_t i = 0; i < count; i++) grey[i] = luma(rgb + 3 * i);
}

void preprocessor_run(preprocessor *p, const uint8_t *in, uint8_t *out) {
  if (p->to_grey) {
    to_grey(in, p->plane, p->pixels);
    in = p->plane;
  }
  if (p->invert) {
    for (size_t i = 0; i < p->samples; i++) p->plane[i] = (uint8_t)(255 - in[i]);
    in = p->plane;
  }
  resizer_run(p->resize, in, p->narrow ? p->narrow : out);
  for (size_t i = 0; p->narrow && i < p->outputs; i++) memset(out + 3 * i, p->narrow[i], 3);
}

/* The shorter side is what the divisor goes by: both shrink alike. */
vgg_decode_options vgg_preprocess_decode(const vgg_preprocess *rule) {
  vgg_decode_options o = {.ignore_exif = rule->ignore_exif};
  if (!rule->reduced_jpeg) return o;
  const vgg_shape in = rule->input;
  o.shrunk_h = o.shrunk_w = rule->shorter_side ? rule->shorter_side : in.h > in.w ? in.h : in.w;
  return o;
}

vgg_status vgg_preprocess_apply(const vgg_preprocess *rule, const vgg_image *image, uint8_t *pixels,
                                vgg_error *err) {
  preprocessor *p = NULL;
  const vgg_status status =
      preprocessor_create(rule, image->channels, image->height, image->width, &p, err);
  if (status) return status;
  preprocessor_run(p, image->pixels, pixels);
  preprocessor_close(p);
  return VGG_OK;
}
