/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants it and size_t */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/error.h"
#include "image/codec.h"
#include "image/exif.h"

enum { MARKER_EXIF = JPEG_APP0 + 1, MAX_MARKER = 0xFFFF };

/* Lives in the caller's frame: libjpeg leaves by longjmp, which spoils the locals of the function
 * that it returns into. */
typedef struct jpeg_job {
  const codec_input *in;
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  uint8_t *pixels; /* [height][width][1 or 3] */
  char message[JMSG_LENGTH_MAX];
} jpeg_job;

static void on_error(j_common_ptr jpeg) {
  jpeg_job *job = jpeg->client_data;
  jpeg->err->format_message(jpeg, job->message);
  longjmp(job->escape, 1);
}

/* libjpeg warns and goes on with made-up pixels when data is damaged or missing: that is an error
 * here. The warnings listed leave every pixel as it was meant. */
static void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return; /* a trace */
  switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
      return;
    default:
      on_error(jpeg);
  }
}

static void on_progress(j_common_ptr jpeg) {
  jpeg_job *job = jpeg->client_data;
  const int scans = job->jpeg.input_scan_number;
  if (scans <= job->in->options.max_scans) return;
  snprintf(job->message, sizeof job->message, "over %d scans", job->in->options.max_scans);
  longjmp(job->escape, 1);
}

static vgg_status broken(const jpeg_job *job, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: broken JPEG: %s", job->in->name, job->message);
}

static vgg_status read_header(jpeg_job *job, vgg_error *err) {
  if (setjmp(job->escape)) return broken(job, err);
  struct jpeg_decompress_struct *jpeg = &job->jpeg;
  jpeg_create_decompress(jpeg);
  jpeg->progress = &job->progress;
  jpeg->mem->max_memory_to_use = (long)job->in->options.max_memory;
  jpeg_mem_src(jpeg, job->in->bytes, job->in->size);
  jpeg_save_markers(jpeg, MARKER_EXIF, MAX_MARKER);
  jpeg_read_header(jpeg, TRUE);
  if (jpeg->num_components == 1)
    jpeg->out_color_space = JCS_GRAYSCALE;
  else if (jpeg->num_components == 4)
    jpeg->out_color_space = JCS_CMYK; /* from YCCK too */
  else
    jpeg->out_color_space = JCS_RGB;
  return VGG_OK;
}

/* Adobe's programs store CMYK inverted and nobody else stores it, so that Pillow takes all of it
 * for inverted: so do we, in its arithmetic. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t count) {
  for (size_t i = 0; i < count; i++, cmyk += 4)
    for (int c = 0; c < 3; c++) *rgb++ = (uint8_t)(cmyk[3] - codec_scale(255u - cmyk[c], cmyk[3]));
}

static vgg_status read_pixels(jpeg_job *job, vgg_error *err) {
  if (setjmp(job->escape)) return broken(job, err);
  struct jpeg_decompress_struct *jpeg = &job->jpeg;
  jpeg_start_decompress(jpeg);
  const size_t row = jpeg->output_width * (jpeg->num_components == 1 ? 1u : 3u);
  const bool cmyk = jpeg->out_color_space == JCS_CMYK;
  JSAMPROW inks = NULL;
  if (cmyk)
    inks = jpeg->mem->alloc_large((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * (size_t)4);
  while (jpeg->output_scanline < jpeg->output_height) {
    uint8_t *line = job->pixels + jpeg->output_scanline * row;
    JSAMPROW to = cmyk ? inks : line;
    jpeg_read_scanlines(jpeg, &to, 1);
    if (cmyk) cmyk_to_rgb(inks, line, jpeg->output_width);
  }
  jpeg_finish_decompress(jpeg);
  return VGG_OK;
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg) {
  for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
    if (m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0) /* APP1 holds XMP too */
      return exif_orientation(m->data, m->data_length);
  return 1;
}

int codec_jpeg_divisor(size_t height, size_t width, int shrunk_h, int shrunk_w) {
  if (shrunk_h <= 0 || shrunk_w <= 0) return 1;
  int divisor = 8; /* libjpeg's vector code has eighths, quarters and halves */
  while (divisor > 1 && (height / (size_t)divisor < 2 * (size_t)shrunk_h ||
                         width / (size_t)divisor < 2 * (size_t)shrunk_w))
    divisor /= 2;
  return divisor;
}

static void choose_scale(jpeg_job *job, int orientation) {
  const vgg_decode_options *o = &job->in->options;
  const bool lies = orientation >= 5 && !o->ignore_exif; /* rows become columns */
  job->jpeg.scale_num = 1;
  job->jpeg.scale_denom = (unsigned)codec_jpeg_divisor(
      job->jpeg.image_height, job->jpeg.image_width, lies ? o->shrunk_w : o->shrunk_h,
      lies ? o->shrunk_h : o->shrunk_w);
  jpeg_calc_output_dimensions(&job->jpeg);
}

static vgg_status decode(jpeg_job *job, vgg_image *out, int *orientation, vgg_error *err) {
  vgg_status status = read_header(job, err);
  if (status) return status;
  const int channels = job->jpeg.num_components == 1 ? 1 : 3;
  status = codec_check_size(job->in, job->jpeg.image_height, job->jpeg.image_width, err);
  if (status) return status;
  *orientation = orientation_of(&job->jpeg);
  choose_scale(job, *orientation);
  const size_t height = job->jpeg.output_height, width = job->jpeg.output_width;
  status = codec_alloc(job->in, height, width, channels, &job->pixels, err);
  if (status) return status;
  status = read_pixels(job, err);
  if (status) return status;
  *out = (vgg_image){channels, (int)height, (int)width, job->pixels};
  job->pixels = NULL;
  return VGG_OK;
}

bool jpeg_is(const uint8_t *bytes, size_t size) {
  return size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

vgg_status jpeg_decode(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err) {
  jpeg_job job = {.in = in, .progress.progress_monitor = on_progress};
  job.jpeg.err = jpeg_std_error(&job.errors);
  job.errors.error_exit = on_error;
  job.errors.emit_message = on_message;
  job.jpeg.client_data = &job;
  const vgg_status status = decode(&job, out, orientation, err);
  jpeg_destroy_decompress(&job.jpeg);
  free(job.pixels);
  return status;
}
