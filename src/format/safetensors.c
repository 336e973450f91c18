/* SPDX-License-Identifier: Apache-2.0 */
#include "format/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/mapped.h"
#include "format/st_header.h"

struct st_file {
  st_header header;          /* its tensors in the file's order once they are known to tile */
  const st_tensor **by_name; /* [header.count] */
  mapped_file map;           /* not open when the bytes are borrowed */
};

/* What a file that is no safetensors looks like, for the message. */
static const char *sniff(const uint8_t *bytes, size_t size) {
  static const struct {
    const char *magic;
    size_t length;
    const char *what;
  } kinds[] = {
      {"PK\3\4", 4, "a zip archive, as PyTorch's .pth files are"},
      {"\x80\2", 2, "a pickle, as PyTorch's older .pth files are"},
      {"\x80\4", 2, "a pickle"},
      {"\x89HDF", 4, "an HDF5 file, as Keras' .h5 files are"},
      {"\x1f\x8b", 2, "gzip data"},
      {"\x93NUMPY", 6, "a NumPy array"},
      {"\x89PNG", 4, "a picture"},
      {"\xff\xd8\xff", 3, "a picture"},
      {"GGUF", 4, "a GGUF file"},
      {"version https://git-lfs", 23, "a Git LFS pointer: the content was not fetched"},
      {"{", 1, "JSON text"},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (size >= kinds[i].length && memcmp(bytes, kinds[i].magic, kinds[i].length) == 0)
      return kinds[i].what;
  size_t at = 0;
  while (at < size && (bytes[at] == ' ' || bytes[at] == '\n' || bytes[at] == '\r')) at++;
  if (at < size && bytes[at] == '<') return "an HTML or XML page, perhaps of a failed download";
  return NULL;
}

static vgg_status bad_start(const char *name, const uint8_t *bytes, size_t size, const char *why,
                            vgg_error *err) {
  const char *what = sniff(bytes, size);
  if (what)
    return err_set(err, VGG_BAD_CONTENT, "%s: is %s, wanted a safetensors file", name, what);
  return err_set(err, VGG_BAD_CONTENT, "%s: is not a safetensors file: %s", name, why);
}

/* In the file's order; tensors of no bytes keep the header's. */
static int compare_places(const void *a, const void *b) {
  const st_tensor *x = a, *y = b;
  if (x->data != y->data) return x->data < y->data ? -1 : 1;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
  return x->name < y->name ? -1 : 1;
}

static int compare_names(const void *a, const void *b) {
  return strcmp((*(const st_tensor *const *)a)->name, (*(const st_tensor *const *)b)->name);
}

/* Without holes or overlap every byte has one owner, so nothing can hide in a file. */
static vgg_status check_tiling(const char *name, const st_file *f, const uint8_t *data,
                               uint64_t data_size, vgg_error *err) {
  const uint8_t *end = data;
  for (size_t i = 0; i < f->header.count; i++) {
    const st_tensor *t = &f->header.tensors[i];
    if (t->data != end)
      return err_set(err, VGG_BAD_CONTENT,
                     "%s: tensor '%.100s': begins at data byte %" PRIu64
                     ", the one before it ends at %" PRIu64,
                     name, t->name, (uint64_t)(t->data - data), (uint64_t)(end - data));
    end += t->bytes;
  }
  if (end != data + data_size)
    return err_set(err, VGG_BAD_CONTENT, "%s: %" PRIu64 " bytes follow the last tensor", name,
                   (uint64_t)(data + data_size - end));
  return VGG_OK;
}

static vgg_status index_names(const char *name, st_file *f, vgg_error *err) {
  const size_t count = f->header.count;
  f->by_name = malloc((count + 1) * sizeof *f->by_name);
  if (!f->by_name) return err_no_memory(err, name, (count + 1) * sizeof *f->by_name);
  for (size_t i = 0; i < count; i++) f->by_name[i] = &f->header.tensors[i];
  qsort(f->by_name, count, sizeof *f->by_name, compare_names);
  for (size_t i = 1; i < count; i++)
    if (compare_names(&f->by_name[i - 1], &f->by_name[i]) == 0)
      return err_set(err, VGG_BAD_CONTENT, "%s: tensor '%.100s': stands there twice", name,
                     f->by_name[i]->name);
  return VGG_OK;
}

vgg_status st_open_bytes(const char *name, const uint8_t *bytes, size_t size, st_file **out,
                         vgg_error *err) {
  if (size < 8) return bad_start(name, bytes, size, "shorter than 8 bytes", err);
  uint64_t length = 0;
  for (int i = 0; i < 8; i++) length |= (uint64_t)bytes[i] << 8 * i;
  if (length > ST_MAX_HEADER)
    return bad_start(name, bytes, size, "its header would be over 100 MB", err);
  if (length > size - 8) return bad_start(name, bytes, size, "it ends before its header does", err);
  if (length == 0 || bytes[8] != '{')
    return bad_start(name, bytes, size, "its header does not begin with {", err);
  const uint8_t *data = bytes + 8 + length;
  const uint64_t data_size = size - 8 - length;

  st_file *f = calloc(1, sizeof *f);
  if (!f) return err_no_memory(err, name, sizeof *f);
  vgg_status status =
      st_header_scan(name, bytes + 8, (size_t)length, data, data_size, &f->header, err);
  if (status != VGG_OK) goto done;
  if (f->header.count > 1)
    qsort(f->header.tensors, f->header.count, sizeof *f->header.tensors, compare_places);
  status = check_tiling(name, f, data, data_size, err);
  if (status == VGG_OK) status = index_names(name, f, err);
  if (status != VGG_OK) goto done;
  *out = f;
  f = NULL;
done:
  st_close(f);
  return status;
}

vgg_status st_open(const char *path, st_file **out, vgg_error *err) {
  mapped_file map = {0};
  vgg_status status = mapped_open(path, "a safetensors file", &map, err);
  if (status != VGG_OK) return status;
  status = st_open_bytes(path, map.bytes, map.size, out, err);
  if (status == VGG_OK)
    (*out)->map = map;
  else
    mapped_close(&map);
  return status;
}

void st_close(st_file *f) {
  if (!f) return;
  mapped_close(&f->map);
  st_header_free(&f->header);
  free(f->by_name);
  free(f);
}

size_t st_count(const st_file *f) { return f->header.count; }

const st_tensor *st_at(const st_file *f, size_t i) {
  return i < f->header.count ? &f->header.tensors[i] : NULL;
}

const st_tensor *st_find(const st_file *f, const char *name) {
  const st_tensor wanted = {.name = name}, *key = &wanted;
  const st_tensor **found =
      bsearch(&key, f->by_name, f->header.count, sizeof *f->by_name, compare_names);
  return found ? *found : NULL;
}

const char *st_metadata(const st_file *f, const char *key) {
  if (f->header.num_metadata == 0) return NULL;
  const st_pair wanted = {.key = key};
  const st_pair *found = bsearch(&wanted, f->header.metadata, f->header.num_metadata,
                                 sizeof *f->header.metadata, st_pair_compare);
  return found ? found->value : NULL;
}

void st_let_go(const st_file *f, const uint8_t *from, size_t bytes) {
  mapped_let_go(&f->map, from, bytes);
}
