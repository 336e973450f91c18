/* SPDX-License-Identifier: Apache-2.0 */
#include "image/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/exif.h"

enum { MAX_FILE_BYTES = 1 << 29 };

const codec_limits codec_default_limits = {
    .pixels = 100000000, .side = 65500, .scratch = 256u << 20, .scans = 100};

typedef struct codec {
  const char *magic;
  size_t magic_size;
  vgg_status (*decode)(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err);
} codec;

static const codec codecs[] = {
#define CODEC(name, label, magic) {magic, sizeof magic - 1, name##_decode},
#include "image/codecs.def"
#undef CODEC
};

/* " PNG JPEG" */
static const char labels[] =
#define CODEC(name, label, magic) " " label
#include "image/codecs.def"
#undef CODEC
    ;

static const codec *find(const codec_input *in) {
  for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
    if (in->size >= codecs[i].magic_size &&
        memcmp(in->bytes, codecs[i].magic, codecs[i].magic_size) == 0)
      return &codecs[i];
  return NULL;
}

vgg_status codec_decode(const codec_input *in, vgg_image *out, vgg_error *err) {
  const codec *found = find(in);
  if (!found)
    return err_set(err, VGG_BAD_CONTENT, "%s: %s, wanted one of:%s", in->name,
                   in->size ? "is not a picture that can be read" : "is empty", labels);
  vgg_image image = {0};
  int orientation = 1;
  vgg_status status = found->decode(in, &image, &orientation, err);
  if (!status) status = exif_orient(&image, orientation, err);
  if (status)
    vgg_image_free(&image);
  else
    *out = image;
  return status;
}

vgg_status codec_check_size(const codec_input *in, size_t height, size_t width, vgg_error *err) {
  const codec_limits *limits = in->limits;
  size_t count;
  if (height > 0 && width > 0 && height <= limits->side && width <= limits->side &&
      mem_mul(height, width, &count) && count <= limits->pixels)
    return VGG_OK;
  return err_set(err, VGG_BAD_CONTENT,
                 "%s: picture is %zux%zu pixels, wanted at most %zu a side and %zu in all",
                 in->name, width, height, limits->side, limits->pixels);
}

vgg_status codec_alloc(const codec_input *in, size_t height, size_t width, int channels,
                       uint8_t **pixels, vgg_error *err) {
  size_t count, bytes;
  if (!mem_mul(height, width, &count) || !mem_mul(count, (size_t)channels, &bytes))
    return err_no_memory(err, in->name, SIZE_MAX);
  *pixels = malloc(bytes);
  return *pixels ? VGG_OK : err_no_memory(err, in->name, bytes);
}

vgg_status vgg_image_read(const char *path, vgg_image *out, vgg_error *err) {
  codec_input in = {.name = path, .limits = &codec_default_limits};
  uint8_t *bytes;
  vgg_status status = file_read(path, MAX_FILE_BYTES, &bytes, &in.size, err);
  if (status) return status;
  in.bytes = bytes;
  status = codec_decode(&in, out, err);
  free(bytes);
  return status;
}

void vgg_image_free(vgg_image *image) {
  if (!image) return;
  free(image->pixels);
  *image = (vgg_image){0};
}
