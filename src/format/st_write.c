/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "format/st_header.h"

/* Tensors of wide elements first, so that each is aligned to its own element. */
static int compare_outputs(const void *a, const void *b) {
  const st_output *x = *(const st_output *const *)a, *y = *(const st_output *const *)b;
  unsigned bits;
  int x_order = 0, y_order = 0;
  st_dtype_find(x->dtype, &bits, &x_order);
  st_dtype_find(y->dtype, &bits, &y_order);
  return x_order != y_order ? y_order - x_order : strcmp(x->name, y->name);
}

static vgg_status check_output(const char *path, const st_output *t, vgg_error *err) {
  unsigned bits;
  int order;
  uint64_t bytes;
  if (t->rank < 0 || t->rank > ST_MAX_RANK || !st_dtype_find(t->dtype, &bits, &order) ||
      !st_shape_bytes(bits, t->rank, t->shape, &bytes) || bytes != t->bytes ||
      strcmp(t->name, "__metadata__") == 0)
    return err_set(err, VGG_BUG, "%s: tensor '%s' cannot be written as described", path, t->name);
  return VGG_OK;
}

/* Names that come twice stand side by side within a dtype only, so they are looked for by name. */
static int compare_names(const void *a, const void *b) {
  return strcmp((*(const st_output *const *)a)->name, (*(const st_output *const *)b)->name);
}

static vgg_status sort_outputs(const char *path, const st_output *tensors, size_t count,
                               const st_output **sorted, vgg_error *err) {
  for (size_t i = 0; i < count; i++) {
    const vgg_status status = check_output(path, &tensors[i], err);
    if (status != VGG_OK) return status;
    sorted[i] = &tensors[i];
  }
  qsort(sorted, count, sizeof *sorted, compare_names);
  for (size_t i = 1; i < count; i++)
    if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
      return err_set(err, VGG_BUG, "%s: tensor '%s' comes twice", path, sorted[i]->name);
  qsort(sorted, count, sizeof *sorted, compare_outputs);
  return VGG_OK;
}

static void add_string(text *t, const char *s) {
  text_add_bytes(t, "\"", 1);
  for (; *s; s++) {
    static const char letters[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
    const char *special = strchr(meanings, *s);
    if (special)
      text_add(t, "\\%c", letters[special - meanings]);
    else if ((unsigned char)*s < 0x20)
      text_add(t, "\\u%04x", (unsigned)(unsigned char)*s);
    else
      text_add_bytes(t, s, 1);
  }
  text_add_bytes(t, "\"", 1);
}

static void add_header(text *t, const st_output *const *tensors, size_t num_tensors,
                       const st_pair *pairs, size_t num_pairs) {
  text_add(t, "{\"__metadata__\":{\"format\":\"pt\"");
  for (size_t i = 0; i < num_pairs; i++) {
    text_add(t, ",");
    add_string(t, pairs[i].key);
    text_add(t, ":");
    add_string(t, pairs[i].value);
  }
  text_add(t, "}");
  uint64_t at = 0;
  for (size_t i = 0; i < num_tensors; i++) {
    const st_output *o = tensors[i];
    text_add(t, ",");
    add_string(t, o->name);
    text_add(t, ":{\"dtype\":\"%s\",\"shape\":[", o->dtype);
    for (int d = 0; d < o->rank; d++) text_add(t, "%s%" PRIu64, d ? "," : "", o->shape[d]);
    text_add(t, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + o->bytes);
    at += o->bytes;
  }
  text_add(t, "}");
  while (t->length % 8 != 0 && !t->failed) text_add(t, " ");
}

static vgg_status check_pairs(const char *path, const st_pair *pairs, size_t count,
                              vgg_error *err) {
  for (size_t i = 0; i < count; i++) {
    bool twice = strcmp(pairs[i].key, "format") == 0;
    for (size_t j = 0; j < i; j++) twice |= strcmp(pairs[i].key, pairs[j].key) == 0;
    if (twice) return err_set(err, VGG_BUG, "%s: metadata '%s' comes twice", path, pairs[i].key);
  }
  return VGG_OK;
}

static vgg_status write_all(file_writer *w, const char *path, const text *header,
                            const st_output *const *tensors, size_t count, vgg_error *err) {
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)header->length >> 8 * i);
  vgg_status status = file_write(w, length, sizeof length, err);
  if (status == VGG_OK) status = file_write(w, header->s, header->length, err);
  for (size_t i = 0; i < count && status == VGG_OK; i++) {
    const uint64_t before = file_written(w);
    status = tensors[i]->emit(tensors[i]->context, w, err);
    if (status == VGG_OK && file_written(w) - before != tensors[i]->bytes)
      status = err_set(err, VGG_BUG, "%s: tensor '%s' came as %" PRIu64 " bytes, not %" PRIu64,
                       path, tensors[i]->name, file_written(w) - before, tensors[i]->bytes);
  }
  return status;
}

vgg_status st_write(const char *path, const st_output *tensors, size_t num_tensors,
                    const st_pair *metadata, size_t num_pairs, vgg_error *err) {
  text header = {0};
  file_writer *w = NULL;
  const st_output **sorted = malloc((num_tensors + 1) * sizeof *sorted);
  if (!sorted) return err_no_memory(err, path, (num_tensors + 1) * sizeof *sorted);
  vgg_status status = check_pairs(path, metadata, num_pairs, err);
  if (status == VGG_OK) status = sort_outputs(path, tensors, num_tensors, sorted, err);
  if (status != VGG_OK) goto done;
  add_header(&header, sorted, num_tensors, metadata, num_pairs);
  if (header.failed) {
    status = err_no_memory(err, path, header.length);
    goto done;
  }
  status = file_begin(path, &w, err);
  if (status == VGG_OK) status = write_all(w, path, &header, sorted, num_tensors, err);
  if (status != VGG_OK) goto done;
  status = file_commit(w, err);
  w = NULL;
done:
  file_abandon(w);
  free(header.s);
  free(sorted);
  return status;
}
