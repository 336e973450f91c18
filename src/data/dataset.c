/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dataset.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/loader.h"
#include "data/spec.h"
#include "data/view.h"

/* A channel count is wanted before training begins, but not at the price of reading all files. */
enum { PROBED = 16 };

const char *vgg_split_name(vgg_split split) {
  return split == VGG_TRAIN ? "train" : split == VGG_TEST ? "test" : "val";
}

/* ---- for readers ----------------------------------------------------------------------------- */

bool dataset_note(dataset_store *store, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  return name_list_add(&store->notes, line, strlen(line));
}

char *dataset_folder(const char *path, const char *below) {
  char *folder = path_join(path, below);
  if (!folder || path_is_dir(folder)) return folder;
  free(folder);
  return strdup(path);
}

vgg_status dataset_refuse_validation(const dataset_query *q, vgg_error *err) {
  if (q->split != VGG_VALIDATION) return VGG_OK;
  return err_set(err, VGG_NO_INPUT, "%s: %s has no val set, only train and test", q->path, q->word);
}

vgg_status dataset_number_classes(dataset_store *store, int count, vgg_error *err) {
  char name[16];
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "%d", i);
    if (class_table_add(&store->classes, name) < 0)
      return err_no_memory(err, "classes", (size_t)count * sizeof name);
  }
  return VGG_OK;
}

vgg_status dataset_note_missing(dataset_store *store, vgg_split split, vgg_error *err) {
  const size_t classes = store->classes.names.count;
  bool *seen = calloc(classes ? classes : 1, sizeof *seen);
  bool ok = seen != NULL;
  for (size_t i = 0; ok && i < store->count; i++) seen[store->labels[i]] = true;
  for (size_t k = 0; ok && k < classes; k++)
    if (!seen[k])
      ok = dataset_note(store, "class '%.80s' has no picture in the %s set",
                        name_list_at(&store->classes.names, k), vgg_split_name(split));
  free(seen);
  return ok ? VGG_OK : err_no_memory(err, "classes", classes);
}

char *dataset_file(const dataset_store *store, size_t i) {
  const char *name = name_list_at(&store->paths, i);
  return name[0] == '/' ? strdup(name) : path_join(store->folder, name);
}

vgg_status dataset_picture(const dataset_store *store, size_t i, const vgg_decode_options *decode,
                           vgg_image *out, bool *owned, vgg_error *err) {
  *owned = !store->pixels;
  if (store->pixels) {
    *out = (vgg_image){store->shape.c, store->shape.h, store->shape.w,
                       store->pixels + i * dataset_picture_bytes(store)};
    return VGG_OK;
  }
  char *path = dataset_file(store, i);
  if (!path) return err_no_memory(err, store->folder, strlen(store->folder));
  const vgg_status status = vgg_image_read_with(path, decode ? decode : &store->decode, out, err);
  free(path);
  return status;
}

/* ---- open and close -------------------------------------------------------------------------- */

static void store_free(dataset_store *store) {
  free(store->spec);
  free(store->folder);
  free(store->pixels);
  free(store->labels);
  class_table_free(&store->classes);
  name_list_free(&store->notes);
  name_list_free(&store->paths);
  free(store);
}

static vgg_status keep_first(dataset_store *store, vgg_split split, size_t limit, vgg_error *err) {
  if (limit > store->count)
    return err_set(err, VGG_BAD_VALUE, "%s: the limit is %zu, but the %s set holds %zu pictures",
                   store->spec, limit, split == VGG_TRAIN ? "training" : vgg_split_name(split),
                   store->count);
  if (limit == 0 || limit == store->count) return VGG_OK;
  store->count = limit;
  name_list_truncate(&store->paths, limit);
  /* A refusal to shrink leaves the memory as it was. */
  int32_t *labels = realloc(store->labels, limit * sizeof *labels);
  if (labels) store->labels = labels;
  if (!store->pixels) return VGG_OK;
  uint8_t *pixels = realloc(store->pixels, limit * dataset_picture_bytes(store));
  if (pixels) store->pixels = pixels;
  return VGG_OK;
}

/* The most channels among a few pictures spread over the set; 3 when none of them can be read, so
 * that nothing is taken for grey which is not. */
static int probe_channels(const dataset_store *store) {
  int channels = 0;
  for (size_t k = 0; k < PROBED && channels < 3; k++) {
    const size_t i = k * store->count / PROBED;
    if (k > 0 && i == (k - 1) * store->count / PROBED) continue;
    vgg_image image;
    bool owned;
    if (dataset_picture(store, i, NULL, &image, &owned, NULL) != VGG_OK) continue;
    if (image.channels > channels) channels = image.channels;
    if (owned) vgg_image_free(&image);
  }
  return channels > 0 ? channels : 3;
}

static vgg_status fill(dataset_store *store, const char *spec, vgg_split split,
                       const vgg_data_options *options, vgg_error *err) {
  const dataset_kind *kind;
  const char *path;
  vgg_status status = spec_parse(spec, &kind, &path, err);
  if (status != VGG_OK) return status;
  store->decode = options->decode;
  const dataset_query query = {kind->word, path, split, options->class_order};
  status = kind->read(&query, store, err);
  if (status == VGG_OK) status = spec_resolve(kind, path, &store->spec, err);
  if (status == VGG_OK) status = keep_first(store, split, options->limit, err);
  if (status == VGG_OK && !store->pixels) store->shape.c = probe_channels(store);
  return status;
}

vgg_status vgg_dataset_open_with(const char *spec, vgg_split split, const vgg_data_options *options,
                                 vgg_dataset **out, vgg_error *err) {
  static const vgg_data_options defaults;
  dataset_store *store = calloc(1, sizeof *store);
  if (!store) return err_no_memory(err, spec, sizeof *store);
  vgg_status status = fill(store, spec, split, options ? options : &defaults, err);
  vgg_dataset *data = NULL;
  if (status == VGG_OK) status = view_create(store, split, NULL, store->count, &data, err);
  if (status != VGG_OK) {
    store_free(store);
    return status;
  }
  *out = data;
  return VGG_OK;
}

vgg_status vgg_dataset_open(const char *spec, vgg_split split, size_t limit, vgg_dataset **out,
                            vgg_error *err) {
  return vgg_dataset_open_with(spec, split, &(vgg_data_options){.limit = limit}, out, err);
}

void vgg_dataset_close(vgg_dataset *data) {
  if (!data) return;
  if (atomic_fetch_sub(&data->store->users, 1) == 1) store_free(data->store);
  free(data->ids);
  free(data);
}

vgg_status vgg_dataset_splits(const char *spec, bool present[VGG_NUM_SPLITS], vgg_error *err) {
  const dataset_kind *kind;
  const char *path;
  const vgg_status status = spec_parse(spec, &kind, &path, err);
  if (status != VGG_OK) return status;
  const unsigned held = kind->holds(kind->word, path);
  if (!held)
    return err_set(err, VGG_NO_INPUT, "%s: %s", path,
                   path_exists(path) ? "holds no such dataset" : "no such file or folder");
  for (int i = 0; i < VGG_NUM_SPLITS; i++) present[i] = held >> i & 1;
  return VGG_OK;
}

/* ---- look ------------------------------------------------------------------------------------ */

size_t vgg_dataset_count(const vgg_dataset *data) { return data->count; }
vgg_split vgg_dataset_split(const vgg_dataset *data) { return data->split; }
vgg_shape vgg_dataset_shape(const vgg_dataset *data) { return data->store->shape; }
int vgg_dataset_classes(const vgg_dataset *data) { return (int)data->store->classes.names.count; }
const char *vgg_dataset_spec(const vgg_dataset *data) { return data->store->spec; }
uint64_t vgg_dataset_digest(const vgg_dataset *data) { return data->digest; }

const char *vgg_dataset_class_name(const vgg_dataset *data, int label) {
  const name_list *names = &data->store->classes.names;
  return label >= 0 && (size_t)label < names->count ? name_list_at(names, (size_t)label) : NULL;
}

const char *vgg_dataset_note(const vgg_dataset *data, size_t i) {
  const name_list *notes = &data->store->notes;
  return i < notes->count ? name_list_at(notes, i) : NULL;
}

const uint8_t *vgg_dataset_pixels(const vgg_dataset *data, size_t i) {
  const dataset_store *store = data->store;
  if (i >= data->count || !store->pixels) return NULL;
  return store->pixels + dataset_place(data, i) * dataset_picture_bytes(store);
}

const char *vgg_dataset_path(const vgg_dataset *data, size_t i) {
  if (i >= data->count || data->store->pixels) return NULL;
  return name_list_at(&data->store->paths, dataset_place(data, i));
}

int vgg_dataset_label(const vgg_dataset *data, size_t i) {
  return i < data->count ? data->store->labels[dataset_place(data, i)] : -1;
}

vgg_status vgg_dataset_read(const vgg_dataset *data, size_t i, vgg_image *out, vgg_error *err) {
  if (i >= data->count)
    return err_set(err, VGG_BAD_VALUE, "%s: picture %zu, wanted below %zu", data->store->spec, i,
                   data->count);
  bool owned;
  vgg_image image;
  const vgg_status status =
      dataset_picture(data->store, dataset_place(data, i), NULL, &image, &owned, err);
  if (status != VGG_OK) return status;
  if (!owned) {
    const size_t bytes = dataset_picture_bytes(data->store);
    const uint8_t *lent = image.pixels;
    image.pixels = malloc(bytes);
    if (!image.pixels) return err_no_memory(err, data->store->spec, bytes);
    memcpy(image.pixels, lent, bytes);
  }
  *out = image;
  return VGG_OK;
}

size_t dataset_bytes(const vgg_dataset *data) {
  const dataset_store *store = data->store;
  return sizeof *data + (data->ids ? data->count * sizeof *data->ids : 0) + sizeof *store +
         strlen(store->spec) + 1 + store->count * sizeof *store->labels +
         (store->pixels ? store->count * dataset_picture_bytes(store) : 0) +
         name_list_bytes(&store->paths) + name_list_bytes(&store->classes.names);
}
