/* SPDX-License-Identifier: Apache-2.0
 *
 * PNM and PAM.
 *
 *   1. "P" and a digit: 1 2 3 numbers in text, 4 5 6 bytes; bitmap, grey, RGB; 7 PAM
 *   2. P1 .. P6: width, height and, but for bitmaps, the maximum, 1 .. 65535, divided by white
 *      space; '#' begins a comment up to the line's end; one white space ends it.
 *      P7: lines "WIDTH n", "HEIGHT n", "DEPTH n" (1 grey, 2 with alpha, 3 RGB, 4 with alpha),
 *      "MAXVAL n", "TUPLTYPE words", "#..." in any order; "ENDHDR" ends it
 *   3. samples, row by row: a byte, or two, the high one first, when the maximum is over 255. A
 *      bitmap has 1 for black, packed from the highest bit on with rows that end at a byte (P4).
 *
 * What follows is the next picture, and not read.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/codec.h"

typedef struct pnm_job {
  const codec_input *in;
  size_t at;
  int kind; /* the digit */
  size_t height, width, depth, max;
} pnm_job;

static vgg_status broken(const pnm_job *job, const char *message, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: broken PNM: %s", job->in->name, message);
}

static bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int peek(const pnm_job *job) {
  return job->at < job->in->size ? job->in->bytes[job->at] : -1;
}

static void skip_line(pnm_job *job) {
  while (peek(job) >= 0 && peek(job) != '\n') job->at++;
}

static void skip_space(pnm_job *job) {
  for (;; job->at++) {
    if (peek(job) == '#') skip_line(job);
    if (peek(job) < 0 || !is_space(peek(job))) return;
  }
}

/* The decimal number here, without a sign. False when there is none or it is over `max`. */
static bool number(pnm_job *job, size_t max, size_t *out) {
  size_t value = 0;
  const size_t start = job->at;
  for (; peek(job) >= '0' && peek(job) <= '9'; job->at++) {
    value = 10 * value + (size_t)(peek(job) - '0');
    if (value > max) return false;
  }
  *out = value;
  return job->at > start;
}

static vgg_status read_plain_header(pnm_job *job, vgg_error *err) {
  size_t *const fields[] = {&job->width, &job->height, &job->max};
  const bool bitmap = job->kind == 1 || job->kind == 4;
  job->max = 1;
  job->depth = job->kind == 3 || job->kind == 6 ? 3 : 1;
  for (size_t i = 0; i < (bitmap ? 2 : 3); i++) {
    skip_space(job);
    if (!number(job, INT_MAX, fields[i]))
      return broken(job, "a number of its header is missing or too large", err);
  }
  if (peek(job) < 0 || !is_space(peek(job))) return broken(job, "its header has no end", err);
  job->at++;
  return VGG_OK;
}

/* Is the word here this one, with its end? Then it is passed over. */
static bool word(pnm_job *job, const char *name) {
  const size_t length = strlen(name), left = job->in->size - job->at;
  if (left <= length || memcmp(job->in->bytes + job->at, name, length) != 0 ||
      !is_space(job->in->bytes[job->at + length]))
    return false;
  job->at += length;
  return true;
}

static vgg_status read_pam_header(pnm_job *job, vgg_error *err) {
  const struct {
    const char *name;
    size_t *to;
  } fields[] = {{"WIDTH", &job->width},
                {"HEIGHT", &job->height},
                {"DEPTH", &job->depth},
                {"MAXVAL", &job->max}};
  for (;;) {
    skip_space(job);
    if (word(job, "ENDHDR")) break;
    if (word(job, "TUPLTYPE")) {
      skip_line(job);
      continue;
    }
    size_t i = 0;
    while (i < 4 && !word(job, fields[i].name)) i++;
    if (i == 4) return broken(job, "its header has an unknown line", err);
    while (peek(job) == ' ' || peek(job) == '\t') job->at++;
    if (!number(job, INT_MAX, fields[i].to))
      return broken(job, "a number of its header is missing or too large", err);
  }
  job->at++; /* the white space behind ENDHDR */
  if (job->depth < 1 || job->depth > 4) return broken(job, "its depth is not 1 to 4", err);
  return VGG_OK;
}

/* Files of more than 8 bits keep the high byte of 16. */
static uint8_t to_byte(size_t value, size_t max) {
  if (max <= 255) return (uint8_t)((value * 255 + max / 2) / max);
  return (uint8_t)(((value * 65535 + max / 2) / max) >> 8);
}

/* The fewest bytes that the samples can take, known before any memory is. */
static size_t least_bytes(const pnm_job *job) {
  const size_t count = job->height * job->width * job->depth;
  switch (job->kind) {
    case 1:
      return count;
    case 2:
    case 3:
      return 2 * count - 1;
    case 4:
      return (job->width + 7) / 8 * job->height;
    default:
      return job->max > 255 ? 2 * count : count;
  }
}

static void read_bits(const pnm_job *job, uint8_t *pixels) {
  const size_t row = (job->width + 7) / 8;
  const uint8_t *bits = job->in->bytes + job->at;
  for (size_t y = 0; y < job->height; y++, bits += row)
    for (size_t x = 0; x < job->width; x++) *pixels++ = bits[x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
}

static vgg_status read_bytes(const pnm_job *job, uint8_t *pixels, size_t count, vgg_error *err) {
  const size_t size = job->max > 255 ? 2 : 1;
  const uint8_t *from = job->in->bytes + job->at;
  if (job->max == 255) {
    memcpy(pixels, from, count);
    return VGG_OK;
  }
  for (size_t i = 0; i < count; i++, from += size) {
    const size_t value = size == 1 ? *from : (size_t)from[0] << 8 | from[1];
    if (value > job->max) return broken(job, "a sample is over its maximum", err);
    pixels[i] = to_byte(value, job->max);
  }
  return VGG_OK;
}

static vgg_status read_text(pnm_job *job, uint8_t *pixels, size_t count, vgg_error *err) {
  for (size_t i = 0; i < count; i++) {
    size_t value;
    skip_space(job);
    if (peek(job) < 0) return broken(job, "it is cut short", err);
    if (job->kind == 1) { /* digits may stand side by side */
      if (peek(job) != '0' && peek(job) != '1') return broken(job, "a bit is not 0 or 1", err);
      pixels[i] = job->in->bytes[job->at++] == '1' ? 0 : 255;
      continue;
    }
    if (!number(job, job->max, &value))
      return broken(job, "a sample is no number up to its maximum", err);
    pixels[i] = to_byte(value, job->max);
  }
  return VGG_OK;
}

bool pnm_is(const uint8_t *bytes, size_t size) {
  return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
         (is_space(bytes[2]) || bytes[2] == '#');
}

vgg_status pnm_decode(const codec_input *in, vgg_image *out, int *orientation, vgg_error *err) {
  pnm_job job = {.in = in, .at = 2, .kind = in->bytes[1] - '0'};
  uint8_t *pixels = NULL;
  vgg_status status = job.kind == 7 ? read_pam_header(&job, err) : read_plain_header(&job, err);
  if (!status && (job.max < 1 || job.max > 65535))
    status = broken(&job, "its maximum is not 1 to 65535", err);
  if (!status) status = codec_check_size(in, job.height, job.width, err);
  if (!status && in->size - job.at < least_bytes(&job))
    status = broken(&job, "it is cut short", err);
  if (!status) status = codec_alloc(in, job.height, job.width, (int)job.depth, &pixels, err);
  if (status) return status;

  const size_t count = job.height * job.width * job.depth;
  if (job.kind <= 3)
    status = read_text(&job, pixels, count, err);
  else if (job.kind == 4)
    read_bits(&job, pixels);
  else
    status = read_bytes(&job, pixels, count, err);
  if (status) {
    free(pixels);
    return status;
  }
  const bool alpha = job.depth % 2 == 0;
  if (alpha) codec_drop_alpha(pixels, job.height * job.width, (int)job.depth);
  *orientation = 1;
  *out = (vgg_image){(int)job.depth - alpha, (int)job.height, (int)job.width, pixels};
  return VGG_OK;
}
