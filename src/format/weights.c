/* SPDX-License-Identifier: Apache-2.0 */
#include "format/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/error.h"
#include "format/mapped.h"
#include "format/weight_formats.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weight files are little-endian");

struct weights_file {
  const weights_row *format;
  weights_content content;
  const weights_tensor **by_name; /* [content.count] */
  mapped_file map;                /* not open when the bytes are borrowed */
};

/* ---- types ----------------------------------------------------------------------------------- */

/* One reader for each C type, as the elements may be unaligned. */
#define READER(name, type)                          \
  static float get_##name(const uint8_t *element) { \
    type value;                                     \
    memcpy(&value, element, sizeof value);          \
    return (float)value;                            \
  }
READER(f32, float)
READER(f64, double)
READER(i64, int64_t)
READER(i32, int32_t)
READER(i16, int16_t)
READER(i8, int8_t)
READER(u8, uint8_t)
#undef READER

/* IEEE 754 half precision: 1 sign, 5 exponent, 10 fraction bits. Every value is a float. */
static float get_f16(const uint8_t *element) {
  const uint32_t h = (uint32_t)element[0] | (uint32_t)element[1] << 8;
  const uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
  float value;
  if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
    value = (float)fraction * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t bits =
      sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13; /* 112 = 127 - 15 */
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float get_bf16(const uint8_t *element) {
  return bf16_to_float((bf16)(element[0] | element[1] << 8));
}

static const weights_type types[] = {
    {"F32", 4, true, get_f32},   {"F64", 8, true, get_f64},  {"F16", 2, true, get_f16},
    {"BF16", 2, true, get_bf16}, {"I64", 8, false, get_i64}, {"I32", 4, false, get_i32},
    {"I16", 2, false, get_i16},  {"I8", 1, false, get_i8},   {"U8", 1, false, get_u8},
    {"BOOL", 1, false, get_u8},
};

const weights_type *weights_type_of(const char *name) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(types[i].name, name) == 0) return &types[i];
  return NULL;
}

bool weights_lay_out(weights_tensor *t) {
  t->count = 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    t->stride[d] = t->count;
    if (__builtin_mul_overflow(t->count, t->shape[d], &t->count)) return false;
  }
  return true;
}

/* ---- safetensors ----------------------------------------------------------------------------- */

/* The last row: its open says what a file is when it is none of ours. */
bool weights_safetensors_is(const uint8_t *bytes, size_t size) {
  (void)bytes, (void)size;
  return true;
}

vgg_status weights_safetensors_open(const char *file, const uint8_t *bytes, size_t size,
                                    weights_content *out, vgg_error *err) {
  const vgg_status status = st_open_bytes(file, bytes, size, &out->st, err);
  if (status != VGG_OK) return status;
  out->count = st_count(out->st);
  out->tensors = calloc(out->count + 1, sizeof *out->tensors);
  if (!out->tensors) return err_no_memory(err, file, (out->count + 1) * sizeof *out->tensors);
  for (size_t i = 0; i < out->count; i++) {
    const st_tensor *from = st_at(out->st, i);
    weights_tensor *t = &out->tensors[i];
    *t = (weights_tensor){.name = from->name,
                          .type_name = from->dtype,
                          .type = weights_type_of(from->dtype),
                          .rank = from->rank,
                          .data = from->data};
    memcpy(t->shape, from->shape, sizeof from->shape);
    weights_lay_out(t); /* st_open has multiplied it out */
  }
  return VGG_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static const weights_row formats[] = {
#define FORMAT(id, name) {name, weights_##id##_is, weights_##id##_open},
#include "format/weight_formats.def"
#undef FORMAT
};

static int compare_names(const void *a, const void *b) {
  return strcmp((*(const weights_tensor *const *)a)->name,
                (*(const weights_tensor *const *)b)->name);
}

static vgg_status index_names(const char *file, weights_file *f, vgg_error *err) {
  const size_t count = f->content.count;
  f->by_name = malloc((count + 1) * sizeof *f->by_name);
  if (!f->by_name) return err_no_memory(err, file, (count + 1) * sizeof *f->by_name);
  for (size_t i = 0; i < count; i++) f->by_name[i] = &f->content.tensors[i];
  qsort(f->by_name, count, sizeof *f->by_name, compare_names);
  for (size_t i = 1; i < count; i++)
    if (compare_names(&f->by_name[i - 1], &f->by_name[i]) == 0)
      return err_set(err, VGG_BAD_CONTENT, "%s: tensor '%.100s': stands there twice", file,
                     f->by_name[i]->name);
  return VGG_OK;
}

vgg_status weights_open_bytes(const char *name, const uint8_t *bytes, size_t size,
                              weights_file **out, vgg_error *err) {
  weights_file *f = calloc(1, sizeof *f);
  if (!f) return err_no_memory(err, name, sizeof *f);
  f->format = formats;
  while (!f->format->is(bytes, size)) f->format++; /* the last one takes all */
  vgg_status status = f->format->open(name, bytes, size, &f->content, err);
  if (status == VGG_OK) status = index_names(name, f, err);
  if (status == VGG_OK)
    *out = f;
  else
    weights_close(f);
  return status;
}

vgg_status weights_open(const char *path, weights_file **out, vgg_error *err) {
  mapped_file map = {0};
  vgg_status status = mapped_open(path, "a safetensors or .pth file", &map, err);
  if (status != VGG_OK) return status;
  status = weights_open_bytes(path, map.bytes, map.size, out, err);
  if (status != VGG_OK) {
    mapped_close(&map);
    return status;
  }
  mapped_let_go(&map, map.bytes, map.size); /* comparing sums has read it all */
  (*out)->map = map;
  return VGG_OK;
}

void weights_close(weights_file *f) {
  if (!f) return;
  st_close(f->content.st);
  free(f->by_name);
  free(f->content.tensors);
  free(f->content.strings);
  mapped_close(&f->map);
  free(f);
}

const char *weights_format(const weights_file *f) { return f->format->name; }
size_t weights_count(const weights_file *f) { return f->content.count; }

const weights_tensor *weights_at(const weights_file *f, size_t i) {
  return i < f->content.count ? &f->content.tensors[i] : NULL;
}

const weights_tensor *weights_find(const weights_file *f, const char *name) {
  const weights_tensor wanted = {.name = name}, *key = &wanted;
  const weights_tensor **found =
      bsearch(&key, f->by_name, f->content.count, sizeof *f->by_name, compare_names);
  return found ? *found : NULL;
}

const char *weights_metadata(const weights_file *f, const char *key) {
  return f->content.st ? st_metadata(f->content.st, key) : NULL;
}

/* Row-major without gaps, so that element i stands at place i. */
static bool is_dense(const weights_tensor *t) {
  weights_tensor dense = *t;
  weights_lay_out(&dense);
  for (int d = 0; d < t->rank; d++)
    if (t->shape[d] > 1 && t->stride[d] != dense.stride[d]) return false;
  return true;
}

static void read_dense(const weights_file *f, const weights_tensor *t, uint64_t first,
                       uint64_t count, float *out) {
  const size_t size = t->type->size;
  const uint8_t *from = t->data + first * size;
  if (t->type->get == get_f32)
    memcpy(out, from, count * sizeof *out);
  else
    for (uint64_t i = 0; i < count; i++) out[i] = t->type->get(from + i * size);
  mapped_let_go(&f->map, from, count * size);
}

void weights_read(const weights_file *f, const weights_tensor *t, uint64_t first, uint64_t count,
                  float *out) {
  if (count == 0) return;
  if (is_dense(t)) {
    read_dense(f, t, first, count, out);
    return;
  }
  uint64_t index[WEIGHTS_MAX_RANK], rest = first, at = 0;
  for (int d = t->rank - 1; d >= 0; d--) {
    index[d] = rest % t->shape[d];
    rest /= t->shape[d];
    at += index[d] * t->stride[d];
  }
  for (uint64_t i = 0; i < count; i++) {
    out[i] = t->type->get(t->data + at * t->type->size);
    for (int d = t->rank - 1; d >= 0; d--) { /* the next index, as an odometer counts */
      at += t->stride[d];
      if (++index[d] < t->shape[d]) break;
      at -= t->stride[d] * t->shape[d];
      index[d] = 0;
    }
  }
}

const char *weights_text(const weights_tensor *t, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "%s [", t->type_name);
  for (int d = 0; d < t->rank && used < size; d++)
    used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64, d ? ", " : "", t->shape[d]);
  if (used < size) snprintf(text + used, size - used, "]");
  return text;
}
