/* SPDX-License-Identifier: Apache-2.0
 *
 * WebP is RIFF, all numbers little-endian:
 *
 *   1. "RIFF", 32 bits of size, "WEBP", then chunks: name, 32 bits of size, content, a zero byte
 *      when the size is odd
 *   2. one picture: "VP8 " (lossy) or "VP8L" (lossless), or "VP8X" first: flags, 3 bytes unused,
 *      width - 1 and height - 1 of 24 bits each; then "ALPH" and "VP8 ", "EXIF" and others
 *   3. animated: "VP8X", then "ANMF" for every frame: x / 2, y / 2, width - 1, height - 1 and
 *      duration of 24 bits each, flags; then the frame's chunks as in 2
 */
#include "base/error.h"
#include "image/codec.h"

#include <string.h>

bool webp_is(const uint8_t *bytes, size_t size) {
  return size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0;
}

#ifdef VGG_HAVE_WEBP

#include <stdlib.h>
#include <webp/decode.h>

#include "image/exif.h"

typedef struct webp_chunk {
  const uint8_t *bytes; /* NULL when there is none */
  size_t size;
} webp_chunk;

static uint32_t little_endian(const uint8_t *p, int count) {
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; i--) value = value << 8 | p[i];
  return value;
}

/* The content of the first chunk of that name among those that begin at `at`. */
static webp_chunk find_chunk(const codec_input *in, const char *name) {
  size_t at = 12;
  while (in->size - at >= 8) {
    const size_t size = little_endian(in->bytes + at + 4, 4);
    if (size > in->size - at - 8) break;
    if (memcmp(in->bytes + at, name, 4) == 0) return (webp_chunk){in->bytes + at + 8, size};
    if (size % 2 > in->size - at - 8 - size) break;
    at += 8 + size + size % 2;
  }
  return (webp_chunk){0};
}

static vgg_status broken(const codec_input *in, const char *message, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: broken WebP: %s", in->name, message);
}

static const char *reason(VP8StatusCode code) {
  switch (code) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "it is cut short";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses what libwebp does not know";
    default:
      return "its data is damaged";
  }
}

/* A picture, or a frame, and where it stands on its canvas. */
typedef struct webp_job {
  const codec_input *in;
  webp_chunk data; /* what libwebp decodes */
  size_t height, width, x, y;
  size_t frame_h, frame_w;
  int stored; /* 3 or 4 */
} webp_job;

static vgg_status check(const webp_job *job, bool lossless, vgg_error *err) {
  vgg_status status = codec_check_size(job->in, job->height, job->width, err);
  if (status) return status;
  if (lossless && job->frame_h * job->frame_w > job->in->options.max_memory / 4)
    return err_set(err, VGG_BAD_CONTENT, "%s: needs %zu bytes to decode, wanted at most %zu",
                   job->in->name, 4 * job->frame_h * job->frame_w, job->in->options.max_memory);
  if (job->x + job->frame_w > job->width || job->y + job->frame_h > job->height)
    return broken(job->in, "a frame leaves its canvas", err);
  return VGG_OK;
}

/* Fills the job from the headers; of an animation, the first frame is taken. */
static vgg_status read_header(webp_job *job, vgg_error *err) {
  WebPBitstreamFeatures f;
  const codec_input *in = job->in;
  job->data = (webp_chunk){in->bytes, in->size};
  VP8StatusCode code = WebPGetFeatures(in->bytes, in->size, &f);
  if (code == VP8_STATUS_OK && f.has_animation) {
    job->height = (size_t)f.height, job->width = (size_t)f.width;
    const webp_chunk frame = find_chunk(in, "ANMF");
    if (frame.size < 16) return broken(in, "its first frame is missing", err);
    job->x = 2 * (size_t)little_endian(frame.bytes, 3);
    job->y = 2 * (size_t)little_endian(frame.bytes + 3, 3);
    job->data = (webp_chunk){frame.bytes + 16, frame.size - 16};
    code = WebPGetFeatures(job->data.bytes, job->data.size, &f);
  }
  if (code != VP8_STATUS_OK) return broken(in, reason(code), err);
  job->frame_h = (size_t)f.height, job->frame_w = (size_t)f.width;
  if (job->height == 0) job->height = job->frame_h, job->width = job->frame_w;
  job->stored = f.has_alpha ? 4 : 3;
  return check(job, f.format == 2, err);
}

/* What a frame leaves free of its canvas is black. */
static vgg_status read_pixels(const webp_job *job, uint8_t *pixels, vgg_error *err) {
  const size_t stored = (size_t)job->stored, row = job->width * stored;
  const size_t bytes = row * job->height, first = job->y * row + job->x * stored;
  if (job->frame_h < job->height || job->frame_w < job->width) memset(pixels, 0, bytes);
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return broken(job->in, "libwebp is another version", err);
  config.output.colorspace = stored == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = pixels + first;
  config.output.u.RGBA.stride = (int)row;
  config.output.u.RGBA.size = bytes - first;
  const VP8StatusCode code = WebPDecode(job->data.bytes, job->data.size, &config);
  if (code == VP8_STATUS_OUT_OF_MEMORY) return err_no_memory(err, job->in->name, bytes);
  return code == VP8_STATUS_OK ? VGG_OK : broken(job->in, reason(code), err);
}

vgg_status webp_decode(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err) {
  webp_job job = {.in = in};
  uint8_t *pixels = NULL;
  vgg_status status = read_header(&job, err);
  if (!status) status = codec_alloc(in, job.height, job.width, job.stored, &pixels, err);
  if (!status) status = read_pixels(&job, pixels, err);
  if (status) {
    free(pixels);
    return status;
  }
  if (job.stored == 4) codec_drop_alpha(pixels, job.height * job.width, 4);
  const webp_chunk exif = find_chunk(in, "EXIF");
  *orientation = exif.bytes ? exif_orientation(exif.bytes, exif.size) : 1;
  *out = (vgg_image){3, (int)job.height, (int)job.width, pixels};
  return VGG_OK;
}

#else

vgg_status webp_decode(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err) {
  (void)out;
  (void)orientation;
  return err_set(err, VGG_BAD_CONTENT,
                 "%s: is WebP, which this build cannot read: build with libwebp and -DVGG_WEBP=ON",
                 in->name);
}

#endif
