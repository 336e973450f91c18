/* SPDX-License-Identifier: Apache-2.0 */
#include "image/codec.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/exif.h"

enum { MAX_FILE = 1 << 29, MAX_PIXELS = 100000000, MAX_MEMORY = 1 << 28, MAX_SCANS = 100 };

typedef struct codec {
  size_t side;
  bool (*is)(const uint8_t *bytes, size_t size);
  vgg_status (*decode)(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err);
} codec;

static const codec codecs[] = {
#define CODEC(name, label, side) {side, name##_is, name##_decode},
#include "image/codecs.def"
#undef CODEC
};

/* " PNG JPEG" */
static const char labels[] =
#define CODEC(name, label, side) " " label
#include "image/codecs.def"
#undef CODEC
    ;

static const codec *find(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
    if (codecs[i].is(bytes, size)) return &codecs[i];
  return NULL;
}

vgg_decode_options codec_options(const vgg_decode_options *options, size_t side) {
  vgg_decode_options o = {0};
  if (options) o = *options;
  if (o.max_file == 0) o.max_file = MAX_FILE;
  if (o.max_pixels == 0) o.max_pixels = MAX_PIXELS;
  if (o.max_side == 0) o.max_side = side;
  if (o.max_memory == 0) o.max_memory = MAX_MEMORY;
  if (o.max_scans == 0) o.max_scans = MAX_SCANS;
  return o;
}

vgg_status vgg_image_decode(const char *name, const uint8_t *bytes, size_t size,
                            const vgg_decode_options *options, vgg_image *out, vgg_error *err) {
  const codec *found = find(bytes, size);
  if (!found)
    return err_set(err, VGG_BAD_CONTENT, "%s: %s, wanted one of:%s", name,
                   size ? "is not a picture that can be read" : "is empty", labels);
  const codec_input in = {name, bytes, size, codec_options(options, found->side)};
  if (size > in.options.max_file)
    return err_set(err, VGG_BAD_CONTENT, "%s: is %zu bytes, wanted at most %zu", name, size,
                   in.options.max_file);
  vgg_image image = {0};
  int orientation = 1;
  vgg_status status = found->decode(&in, &image, &orientation, err);
  if (!status && !in.options.ignore_exif) status = exif_orient(&image, orientation, err);
  if (status)
    vgg_image_free(&image);
  else
    *out = image;
  return status;
}

vgg_status vgg_image_read_with(const char *path, const vgg_decode_options *options, vgg_image *out,
                               vgg_error *err) {
  uint8_t *bytes;
  size_t size;
  vgg_status status = file_read(path, codec_options(options, 0).max_file, &bytes, &size, err);
  if (status) return status;
  status = vgg_image_decode(path, bytes, size, options, out, err);
  free(bytes);
  return status;
}

vgg_status vgg_image_read(const char *path, vgg_image *out, vgg_error *err) {
  return vgg_image_read_with(path, NULL, out, err);
}

void vgg_image_free(vgg_image *image) {
  if (!image) return;
  free(image->pixels);
  *image = (vgg_image){0};
}

vgg_status codec_check_size(const codec_input *in, size_t height, size_t width, vgg_error *err) {
  const vgg_decode_options *o = &in->options;
  size_t count;
  if (height > 0 && width > 0 && height <= o->max_side && width <= o->max_side &&
      mem_mul(height, width, &count) && count <= o->max_pixels)
    return VGG_OK;
  return err_set(err, VGG_BAD_CONTENT,
                 "%s: picture is %zux%zu pixels, wanted at most %zu a side and %zu in all",
                 in->name, width, height, o->max_side, o->max_pixels);
}

vgg_status codec_alloc(const codec_input *in, size_t height, size_t width, int channels,
                       uint8_t **pixels, vgg_error *err) {
  size_t count, bytes;
  if (!mem_mul(height, width, &count) || !mem_mul(count, (size_t)channels, &bytes))
    return err_no_memory(err, in->name, SIZE_MAX);
  *pixels = malloc(bytes);
  return *pixels ? VGG_OK : err_no_memory(err, in->name, bytes);
}

/* What is written never overtakes what is read. */
void codec_drop_alpha(uint8_t *pixels, size_t count, int stored) {
  const uint8_t *in = pixels;
  uint8_t *out = pixels;
  for (size_t i = 0; i < count; i++, in += stored)
    for (int c = 0; c < stored - 1; c++) *out++ = codec_scale(in[c], in[stored - 1]);
}
