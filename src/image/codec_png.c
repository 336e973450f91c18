/* SPDX-License-Identifier: Apache-2.0 */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "image/codec.h"
#include "image/exif.h"

/* Lives in the caller's frame: libpng leaves by longjmp, which spoils the locals of the function
 * that it returns into. */
typedef struct png_job {
  const codec_input *in;
  png_structp png;
  png_infop info;
  size_t at; /* bytes read so far */
  size_t height, width;
  int stored;      /* channels as libpng gives them: 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA */
  uint8_t *pixels; /* [height][width][stored] */
  char message[128];
} png_job;

static void on_error(png_structp png, png_const_charp message) {
  png_job *job = png_get_error_ptr(png);
  snprintf(job->message, sizeof job->message, "%s", message);
  png_longjmp(png, 1);
}

/* What libpng only warns about (a damaged comment, an odd colour profile) changes no pixel. */
static void on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void on_read(png_structp png, png_bytep to, size_t count) {
  png_job *job = png_get_io_ptr(png);
  if (count > job->in->size - job->at) png_error(png, "file is cut short");
  memcpy(to, job->in->bytes + job->at, count);
  job->at += count;
}

static vgg_status broken(const png_job *job, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: broken PNG: %s", job->in->name, job->message);
}

/* Only the size, the palette and transparency are read. Texts and profiles, which may unpack to
 * megabytes, are passed over, and so is EXIF, for which libpng takes all memory that it claims. */
static vgg_status read_header(png_job *job, vgg_error *err) {
  png_structp png = job->png;
  if (setjmp(png_jmpbuf(png))) return broken(job, err);
  png_set_read_fn(png, job, on_read);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* codec_check_size has ours */
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(png, job->info);
  job->height = png_get_image_height(png, job->info);
  job->width = png_get_image_width(png, job->info);
  png_set_expand(png);
  png_set_strip_16(png);
  return VGG_OK;
}

static vgg_status start_pixels(png_job *job, int *passes, vgg_error *err) {
  if (setjmp(png_jmpbuf(job->png))) return broken(job, err);
  *passes = png_set_interlace_handling(job->png);
  png_read_update_info(job->png, job->info);
  job->stored = png_get_channels(job->png, job->info);
  return VGG_OK;
}

static vgg_status read_pixels(png_job *job, int passes, vgg_error *err) {
  if (setjmp(png_jmpbuf(job->png))) return broken(job, err);
  const size_t row = job->width * (size_t)job->stored;
  for (int pass = 0; pass < passes; pass++)
    for (size_t y = 0; y < job->height; y++) png_read_row(job->png, job->pixels + y * row, NULL);
  png_read_end(job->png, job->info);
  return VGG_OK;
}

/* Walks over the chunks (length, name, data, CRC) of a file that libpng has read to its end. */
static int orientation_of(const codec_input *in) {
  size_t at = 8; /* the signature */
  while (in->size - at >= 12) {
    const uint8_t *name = in->bytes + at + 4;
    const size_t length = png_get_uint_32(in->bytes + at);
    if (length > in->size - at - 12) break;
    if (memcmp(name, "eXIf", 4) == 0 &&
        crc32(0, name, (uInt)length + 4) == png_get_uint_32(name + 4 + length))
      return exif_orientation(name + 4, length);
    at += length + 12;
  }
  return 1;
}

static vgg_status decode(png_job *job, vgg_image *out, int *orientation, vgg_error *err) {
  int passes;
  vgg_status status = read_header(job, err);
  if (!status) status = codec_check_size(job->in, job->height, job->width, err);
  if (!status) status = start_pixels(job, &passes, err);
  if (!status)
    status = codec_alloc(job->in, job->height, job->width, job->stored, &job->pixels, err);
  if (!status) status = read_pixels(job, passes, err);
  if (status) return status;
  *orientation = orientation_of(job->in);
  const bool alpha = job->stored % 2 == 0;
  if (alpha) codec_drop_alpha(job->pixels, job->height * job->width, job->stored);
  *out = (vgg_image){.channels = job->stored - alpha,
                     .height = (int)job->height,
                     .width = (int)job->width,
                     .pixels = job->pixels};
  job->pixels = NULL;
  return VGG_OK;
}

bool png_is(const uint8_t *bytes, size_t size) {
  return size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

vgg_status png_decode(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err) {
  png_job job = {.in = in};
  job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
  if (job.png) job.info = png_create_info_struct(job.png);
  const vgg_status status =
      job.info ? decode(&job, out, orientation, err) : err_no_memory(err, in->name, sizeof job);
  png_destroy_read_struct(&job.png, &job.info, NULL);
  free(job.pixels);
  return status;
}
