/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/md5.h"
#include "base/text.h"
#include "data/loader.h"

typedef struct dataset_kind {
  const char *word, *folder;
  vgg_status (*read)(const char *dir, vgg_split split, vgg_dataset *data, vgg_error *err);
} dataset_kind;

static const dataset_kind kinds[] = {
#define DATASET(word, folder, read) {word, folder, read},
#include "data/datasets.def"
#undef DATASET
};
enum { NUM_KINDS = sizeof kinds / sizeof kinds[0] };

static vgg_status unknown_spec(const char *spec, vgg_error *err) {
  char wanted[128] = "";
  for (int i = 0; i < NUM_KINDS; i++) {
    const size_t used = strlen(wanted);
    snprintf(wanted + used, sizeof wanted - used, "%s%s%s", i ? " or " : "", kinds[i].word,
             kinds[i].folder ? "[:DIR]" : ":DIR");
  }
  return err_set(err, VGG_BAD_VALUE, "dataset \"%s\": unknown, wanted %s", spec, wanted);
}

/* Splits "word[:DIR]"; *dir is lent by `spec` or by the table. */
static vgg_status parse_spec(const char *spec, const dataset_kind **kind, const char **dir,
                             vgg_error *err) {
  const size_t length = strcspn(spec, ":");
  for (int i = 0; i < NUM_KINDS; i++) {
    if (strlen(kinds[i].word) != length || memcmp(kinds[i].word, spec, length) != 0) continue;
    *kind = &kinds[i];
    *dir = spec[length] ? spec + length + 1 : kinds[i].folder;
    if (*dir && **dir) return VGG_OK;
    return err_set(err, VGG_BAD_VALUE, "dataset \"%s\": names no folder, wanted %s:DIR", spec,
                   kinds[i].word);
  }
  return unknown_spec(spec, err);
}

/* The spec as a run stores it: it still holds when the run is resumed from another folder. */
static vgg_status resolve_spec(const dataset_kind *kind, const char *dir, char **out,
                               vgg_error *err) {
  char *absolute = realpath(dir, NULL);
  if (!absolute) return err_set(err, VGG_NO_INPUT, "%s: %s", dir, strerror(errno));
  text spec = {0};
  text_add(&spec, "%s:%s", kind->word, absolute);
  free(absolute);
  if (spec.failed) {
    free(spec.s);
    return err_no_memory(err, dir, strlen(dir));
  }
  *out = spec.s;
  return VGG_OK;
}

static vgg_status keep_first(vgg_dataset *data, vgg_split split, size_t limit, vgg_error *err) {
  if (limit > data->count)
    return err_set(err, VGG_BAD_VALUE, "%s: the limit is %zu, but the %s set holds %zu pictures",
                   data->spec, limit, split == VGG_TRAIN ? "training" : "test", data->count);
  if (limit == 0 || limit == data->count) return VGG_OK;
  data->count = limit;
  /* A refusal to shrink leaves the memory as it was. */
  uint8_t *pixels = realloc(data->pixels, limit * dataset_picture_bytes(data));
  if (pixels) data->pixels = pixels;
  uint8_t *labels = realloc(data->labels, limit);
  if (labels) data->labels = labels;
  return VGG_OK;
}

static uint64_t digest_of(const vgg_dataset *data) {
  md5 m;
  uint8_t digest[16];
  char header[96];
  const vgg_shape s = data->shape;
  const int length =
      snprintf(header, sizeof header, "%zu pictures of %dx%dx%d\n", data->count, s.c, s.h, s.w);
  md5_begin(&m);
  md5_add(&m, header, (size_t)length);
  md5_add(&m, data->pixels, data->count * dataset_picture_bytes(data));
  md5_add(&m, data->labels, data->count);
  md5_end(&m, digest);
  uint64_t first = 0;
  for (int i = 0; i < 8; i++) first = first << 8 | digest[i];
  return first;
}

vgg_status vgg_dataset_open(const char *spec, vgg_split split, size_t limit, vgg_dataset **out,
                            vgg_error *err) {
  const dataset_kind *kind = NULL;
  const char *dir = NULL;
  vgg_status status = parse_spec(spec, &kind, &dir, err);
  if (status != VGG_OK) return status;
  vgg_dataset *data = calloc(1, sizeof *data);
  if (!data) return err_no_memory(err, spec, sizeof *data);
  status = kind->read(dir, split, data, err);
  if (status == VGG_OK) status = resolve_spec(kind, dir, &data->spec, err);
  if (status == VGG_OK) status = keep_first(data, split, limit, err);
  if (status != VGG_OK) {
    vgg_dataset_close(data);
    return status;
  }
  for (int i = 0; i < data->classes; i++)
    snprintf(data->numbers[i], sizeof data->numbers[i], "%u", (unsigned)i & 255);
  data->digest = digest_of(data);
  *out = data;
  return VGG_OK;
}

void vgg_dataset_close(vgg_dataset *data) {
  if (!data) return;
  free(data->spec);
  free(data->pixels);
  free(data->labels);
  free(data);
}

size_t vgg_dataset_count(const vgg_dataset *data) { return data->count; }
vgg_shape vgg_dataset_shape(const vgg_dataset *data) { return data->shape; }
int vgg_dataset_classes(const vgg_dataset *data) { return data->classes; }
const char *vgg_dataset_spec(const vgg_dataset *data) { return data->spec; }
uint64_t vgg_dataset_digest(const vgg_dataset *data) { return data->digest; }

const char *vgg_dataset_class_name(const vgg_dataset *data, int label) {
  if (label < 0 || label >= data->classes) return NULL;
  return data->names ? data->names[label] : data->numbers[label];
}

const uint8_t *vgg_dataset_pixels(const vgg_dataset *data, size_t i) {
  return i < data->count ? data->pixels + i * dataset_picture_bytes(data) : NULL;
}

int vgg_dataset_label(const vgg_dataset *data, size_t i) {
  return i < data->count ? data->labels[i] : -1;
}

size_t dataset_bytes(const vgg_dataset *data) {
  return sizeof *data + strlen(data->spec) + 1 + data->count * (dataset_picture_bytes(data) + 1);
}
