/* SPDX-License-Identifier: Apache-2.0 */
#include "data/cifar.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/dataset.h"

enum { MAX_FILES = 5, MAX_FILE = 1 << 30, COARSE_CLASSES = 20 };

typedef struct cifar_set {
  int classes;
  const char *below;               /* the folder that the archive unpacks to */
  const char *names;               /* file of class names, one a line */
  const char *files[2][MAX_FILES]; /* by split: train, test */
} cifar_set;

static const cifar_set cifar10 = {10,
                                  "cifar-10-batches-bin",
                                  "batches.meta.txt",
                                  {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                    "data_batch_4.bin", "data_batch_5.bin"},
                                   {"test_batch.bin"}}};
static const cifar_set cifar100 = {
    100, "cifar-100-binary", "fine_label_names.txt", {{"train.bin"}, {"test.bin"}}};

/* ---- records --------------------------------------------------------------------------------- */

vgg_status cifar_parse(const char *name, const uint8_t *bytes, size_t size, int classes,
                       uint8_t *pixels, int32_t *labels, vgg_error *err) {
  enum { PLANE = CIFAR_SIDE * CIFAR_SIDE };
  const size_t record = cifar_record(classes), count = size / record;
  if (count == 0 || size % record != 0)
    return err_set(err, VGG_BAD_CONTENT,
                   "%s: is %zu bytes, wanted records of %zu bytes and nothing more", name, size,
                   record);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *p = bytes + i * record;
    if (classes == 100 && *p++ >= COARSE_CLASSES)
      return err_set(err, VGG_BAD_CONTENT, "%s: record %zu has coarse label %d, wanted below %d",
                     name, i, p[-1], COARSE_CLASSES);
    if (*p >= classes)
      return err_set(err, VGG_BAD_CONTENT, "%s: record %zu has label %d, wanted below %d", name, i,
                     *p, classes);
    labels[i] = *p++;
    uint8_t *out = pixels + i * CIFAR_PIXELS;
    for (int k = 0; k < PLANE; k++)
      for (int c = 0; c < 3; c++) *out++ = p[c * PLANE + k];
  }
  return VGG_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool has_file(const char *folder, const char *name) {
  char *path = path_join(folder, name);
  const bool found = path && path_exists(path);
  free(path);
  return found;
}

static unsigned holds(const cifar_set *set, const char *path) {
  char *folder = dataset_folder(path, set->below);
  unsigned held = 0;
  if (folder && has_file(folder, set->files[VGG_TRAIN][0])) held |= 1u << VGG_TRAIN;
  if (folder && has_file(folder, set->files[VGG_TEST][0])) held |= 1u << VGG_TEST;
  free(folder);
  return held & 1u << VGG_TRAIN ? held : 0;
}

/* Appends a file's pictures to the store. */
static vgg_status add_file(const cifar_set *set, const char *path, dataset_store *out,
                           vgg_error *err) {
  uint8_t *bytes;
  size_t size, pixels, labels;
  vgg_status status = file_read(path, MAX_FILE, &bytes, &size, err);
  if (status != VGG_OK) return status;
  const size_t count = out->count + size / cifar_record(set->classes);
  if (!mem_mul(count, CIFAR_PIXELS, &pixels) || !mem_mul(count, sizeof *out->labels, &labels)) {
    free(bytes);
    return err_no_memory(err, path, SIZE_MAX);
  }
  /* A byte more: nothing at all is asked for when the file is shorter than a record. */
  uint8_t *more_pixels = realloc(out->pixels, pixels + 1);
  if (more_pixels) out->pixels = more_pixels;
  int32_t *more_labels = realloc(out->labels, labels + 1);
  if (more_labels) out->labels = more_labels;
  if (!more_pixels || !more_labels)
    status = err_no_memory(err, path, pixels);
  else
    status = cifar_parse(path, bytes, size, set->classes, out->pixels + out->count * CIFAR_PIXELS,
                         out->labels + out->count, err);
  if (status == VGG_OK) out->count = count;
  free(bytes);
  return status;
}

/* The archive has a list of names beside the pictures; without it classes are numbers. */
static vgg_status name_classes(const cifar_set *set, const char *folder, dataset_store *out,
                               vgg_error *err) {
  if (!has_file(folder, set->names)) {
    if (!dataset_note(out, "%s/%s: is missing, the classes are called by their numbers", folder,
                      set->names))
      return err_no_memory(err, folder, strlen(folder));
    return dataset_number_classes(out, set->classes, err);
  }
  char *path = path_join(folder, set->names);
  if (!path) return err_no_memory(err, folder, strlen(folder));
  vgg_status status = class_table_read(&out->classes, path, err);
  if (status == VGG_OK && out->classes.names.count != (size_t)set->classes)
    status = err_set(err, VGG_BAD_CONTENT, "%s: names %zu classes, wanted %d", path,
                     out->classes.names.count, set->classes);
  free(path);
  return status;
}

static vgg_status read_set(const cifar_set *set, const dataset_query *q, dataset_store *out,
                           vgg_error *err) {
  vgg_status status = dataset_refuse_validation(q, err);
  if (status != VGG_OK) return status;
  char *folder = dataset_folder(q->path, set->below);
  if (!folder) return err_no_memory(err, q->path, strlen(q->path));
  out->shape = (vgg_shape){3, CIFAR_SIDE, CIFAR_SIDE};
  status = name_classes(set, folder, out, err);
  for (int i = 0; status == VGG_OK && i < MAX_FILES && set->files[q->split][i]; i++) {
    char *path = path_join(folder, set->files[q->split][i]);
    status = path ? add_file(set, path, out, err) : err_no_memory(err, folder, strlen(folder));
    free(path);
  }
  free(folder);
  return status;
}

vgg_status cifar10_read(const dataset_query *q, dataset_store *out, vgg_error *err) {
  return read_set(&cifar10, q, out, err);
}
vgg_status cifar100_read(const dataset_query *q, dataset_store *out, vgg_error *err) {
  return read_set(&cifar100, q, out, err);
}
unsigned cifar10_holds(const char *set, const char *path) {
  (void)set;
  return holds(&cifar10, path);
}
unsigned cifar100_holds(const char *set, const char *path) {
  (void)set;
  return holds(&cifar100, path);
}
