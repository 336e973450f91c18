/* SPDX-License-Identifier: Apache-2.0 */
#include "data/idx.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST /* next_in points to const bytes */
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* Deflate shrinks by at most 1032, but pictures by far less. What unpacks to more than MODEST bytes
 * must not have shrunk by more than MAX_RATIO, or a small file could ask for gigabytes. */
enum { UBYTE = 8, MAX_FILE = INT_MAX, MODEST = 64 << 20, MAX_RATIO = 200, DEFLATE_RATIO = 1032 };

/* Bytes in order, unpacked on the way where need be. */
typedef struct source {
  const char *path;
  bool gzipped, ended;
  z_stream z; /* next_in and avail_in also serve plain files */
} source;

static vgg_status source_open(source *s, const char *path, const uint8_t *raw, size_t size,
                              vgg_error *err) {
  *s = (source){.path = path};
  if (size > MAX_FILE)
    return err_set(err, VGG_BAD_CONTENT, "%s: is %zu bytes, at most %d are read", path, size,
                   MAX_FILE);
  s->z.next_in = raw;
  s->z.avail_in = (uInt)size;
  s->gzipped = size >= 2 && raw[0] == 0x1f && raw[1] == 0x8b;
  if (s->gzipped && inflateInit2(&s->z, 15 + 16) != Z_OK)
    return err_no_memory(err, path, sizeof s->z);
  return VGG_OK;
}

static void source_close(source *s) {
  if (s->gzipped) inflateEnd(&s->z);
}

/* *got < want only at the end. */
static vgg_status source_read(source *s, uint8_t *out, size_t want, size_t *got, vgg_error *err) {
  if (!s->gzipped) {
    *got = want < s->z.avail_in ? want : s->z.avail_in;
    memcpy(out, s->z.next_in, *got);
    s->z.next_in += *got;
    s->z.avail_in -= (uInt)*got;
    return VGG_OK;
  }
  s->z.next_out = out;
  s->z.avail_out = (uInt)want;
  while (s->z.avail_out > 0 && !s->ended) {
    const int result = inflate(&s->z, Z_NO_FLUSH);
    if (result == Z_STREAM_END)
      s->ended = true;
    else if (result == Z_BUF_ERROR)
      return err_set(err, VGG_BAD_CONTENT, "%s: the gzip data is truncated", s->path);
    else if (result == Z_MEM_ERROR)
      return err_no_memory(err, s->path, want);
    else if (result != Z_OK)
      return err_set(err, VGG_BAD_CONTENT, "%s: the gzip data is damaged (%s)", s->path,
                     s->z.msg ? s->z.msg : "wants a dictionary");
  }
  *got = want - s->z.avail_out;
  return VGG_OK;
}

static vgg_status read_header(source *s, int rank, idx_array *a, vgg_error *err) {
  const size_t want = 4 + 4 * (size_t)rank;
  size_t got;
  const vgg_status status = source_read(s, a->header, want, &got, err);
  if (status != VGG_OK) return status;
  const uint8_t *h = a->header;
  if (got >= 4 && (h[0] || h[1] || h[2] != UBYTE || h[3] != rank))
    return err_set(err, VGG_BAD_CONTENT,
                   "%s: begins with %02x%02x%02x%02x, wanted 0000%02x%02x (IDX, bytes, rank %d)",
                   s->path, h[0], h[1], h[2], h[3], UBYTE, rank, rank);
  if (got < want)
    return err_set(err, VGG_BAD_CONTENT, "%s: ends after %zu bytes, wanted an IDX header of %zu",
                   s->path, got, want);
  a->rank = rank;
  a->size = 1;
  for (int i = 0; i < rank; i++) {
    const uint8_t *p = h + 4 + 4 * i;
    a->dims[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    if (a->dims[i] == 0)
      return err_set(err, VGG_BAD_CONTENT, "%s: size %d is 0, the file holds nothing", s->path, i);
    if (i > 0 && a->dims[i] > IDX_MAX_SIDE)
      return err_set(err, VGG_BAD_CONTENT, "%s: a picture's side is %u, at most %d is read",
                     s->path, a->dims[i], IDX_MAX_SIDE);
    if (!mem_mul(a->size, a->dims[i], &a->size) || a->size > MAX_FILE)
      return err_set(err, VGG_BAD_CONTENT, "%s: announces more than %d bytes", s->path, MAX_FILE);
  }
  return VGG_OK;
}

/* May so small a file hold what its header announces? */
static vgg_status check_size(const source *s, const idx_array *a, size_t file_size,
                             vgg_error *err) {
  const size_t held = s->gzipped ? file_size * DEFLATE_RATIO : s->z.avail_in;
  if (a->size > held)
    return err_set(err, VGG_BAD_CONTENT, "%s: is truncated, announces %zu bytes, holds at most %zu",
                   s->path, a->size, held);
  if (s->gzipped && a->size > MODEST && a->size / MAX_RATIO > file_size)
    return err_set(err, VGG_BAD_CONTENT,
                   "%s: %zu bytes would unpack to %zu, more than %d times as many; unpack it first",
                   s->path, file_size, a->size, MAX_RATIO);
  return VGG_OK;
}

static vgg_status read_body(source *s, idx_array *a, vgg_error *err) {
  size_t got;
  vgg_status status = source_read(s, a->data, a->size, &got, err);
  if (status != VGG_OK) return status;
  if (got < a->size)
    return err_set(err, VGG_BAD_CONTENT, "%s: is truncated, holds %zu of the %zu bytes announced",
                   s->path, got, a->size);
  uint8_t beyond;
  status = source_read(s, &beyond, 1, &got, err); /* of a gzip file this checks the CRC, too */
  if (status != VGG_OK) return status;
  if (got > 0 || s->z.avail_in > 0)
    return err_set(err, VGG_BAD_CONTENT, "%s: has bytes after the %zu that its header announces",
                   s->path, a->size);
  return VGG_OK;
}

vgg_status idx_parse(const char *path, const uint8_t *raw, size_t size, int rank, idx_array *out,
                     vgg_error *err) {
  idx_array a = {0};
  source s;
  vgg_status status = source_open(&s, path, raw, size, err);
  if (status != VGG_OK) return status;
  status = read_header(&s, rank, &a, err);
  if (status == VGG_OK) status = check_size(&s, &a, size, err);
  if (status != VGG_OK) goto done;
  a.data = malloc(a.size);
  if (!a.data) {
    status = err_no_memory(err, path, a.size);
    goto done;
  }
  status = read_body(&s, &a, err);
  if (status != VGG_OK) goto done;
  *out = a;
  a.data = NULL;
done:
  free(a.data);
  source_close(&s);
  return status;
}

const char *idx_name(vgg_split split, idx_file file) {
  static const char *const names[2][2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
                                          {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}};
  return names[split == VGG_TEST][file];
}

/* DIR/NAME, or DIR/NAME.gz when only that is there; from malloc, NULL without memory. */
static char *path_of(const char *dir, const char *name) {
  char *plain = path_join(dir, name);
  if (!plain || path_exists(plain)) return plain;
  text gzipped = {0};
  text_add(&gzipped, "%s.gz", plain);
  if (!gzipped.failed && !path_exists(gzipped.s)) {
    free(gzipped.s);
    return plain;
  }
  free(plain);
  return gzipped.s;
}

vgg_status idx_read(const char *dir, const char *name, int rank, const char *advice, idx_array *out,
                    vgg_error *err) {
  vgg_status status;
  uint8_t *raw = NULL;
  size_t size;
  char *path = path_of(dir, name);
  if (!path) return err_no_memory(err, dir, strlen(dir));
  if (!path_exists(path))
    status = err_set(err, VGG_NO_INPUT, "%s[.gz]: no such file; %s", path, advice);
  else
    status = file_read(path, MAX_FILE, &raw, &size, err);
  if (status == VGG_OK) status = idx_parse(path, raw, size, rank, out, err);
  free(raw);
  free(path);
  return status;
}

bool idx_exists(const char *dir, const char *name) {
  char *path = path_of(dir, name);
  const bool found = path && path_exists(path);
  free(path);
  return found;
}

vgg_status idx_adopt(const char *dir, const char *pictures_name, idx_array *pictures,
                     const char *labels_name, const idx_array *labels, dataset_store *out,
                     vgg_error *err) {
  const size_t count = pictures->dims[0];
  if (count != labels->dims[0])
    return err_set(err, VGG_BAD_CONTENT, "%s: %s holds %zu pictures, but %s holds %u labels", dir,
                   pictures_name, count, labels_name, labels->dims[0]);
  out->labels = malloc(count * sizeof *out->labels);
  if (!out->labels) return err_no_memory(err, dir, count * sizeof *out->labels);
  for (size_t i = 0; i < count; i++) out->labels[i] = labels->data[i];
  out->shape = (vgg_shape){1, (int)pictures->dims[1], (int)pictures->dims[2]};
  out->count = count;
  out->pixels = pictures->data;
  pictures->data = NULL;
  return VGG_OK;
}
