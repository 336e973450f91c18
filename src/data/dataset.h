/* SPDX-License-Identifier: Apache-2.0
 *
 * What a dataset is inside: views of a store, which the functions of datasets.def fill.
 */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdatomic.h>

#include "data/classes.h"
#include "data/names.h"
#include "vgg/data.h"

/* The pictures of a split, either all of one size in memory or in files of their own. */
typedef struct dataset_store {
  atomic_uint users; /* views; the last frees it */
  char *spec;
  size_t count;
  int32_t *labels; /* [count], each a class; owned, from malloc */
  class_table classes;
  name_list notes;
  vgg_shape shape; /* in files: h = w = 0 */
  uint8_t *pixels; /* [count][h][w][c], owned, from malloc; NULL when the pictures are in files */
  char *folder;    /* where `paths` begin */
  name_list paths; /* [count] */
  vgg_decode_options decode;
} dataset_store;

struct vgg_dataset {
  dataset_store *store;
  vgg_split split;
  uint32_t *ids; /* [count] pictures of the store; NULL: the first `count` */
  size_t count;
  uint64_t digest;
};

/* What a reader is asked for. */
typedef struct dataset_query {
  const char *word, *path; /* of the spec */
  vgg_split split;
  const char *class_order;
} dataset_query;

enum { DATASET_MAX_COUNT = 1 << 30 };

/* Fills a store but for its spec. What it has put there when it fails, the caller frees. */
#define DATASET(word, folder, name) \
  vgg_status name##_read(const dataset_query *query, dataset_store *out, vgg_error *err);
#include "data/datasets.def"
#undef DATASET

/* Which splits of dataset `set` (a word) lie at `path`, as bits 1 << vgg_split; 0 when there is no
 * training set of this kind. */
#define DATASET(word, folder, name) unsigned name##_holds(const char *set, const char *path);
#include "data/datasets.def"
#undef DATASET

/* Of one picture in memory; the reader has checked that count * this fits. */
static inline size_t dataset_picture_bytes(const dataset_store *store) {
  return (size_t)store->shape.c * (size_t)store->shape.h * (size_t)store->shape.w;
}

/* For readers: one more line for vgg_dataset_note. False without memory. */
bool dataset_note(dataset_store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For readers of archives: the folder `below` in `path`, where such an archive is unpacked, or
 * `path` itself if there is none. Free with free(); NULL without memory. */
char *dataset_folder(const char *path, const char *below);

/* For readers of sets without a validation set: VGG_NO_INPUT if the query asks for it. */
vgg_status dataset_refuse_validation(const dataset_query *query, vgg_error *err);

/* For readers: `count` classes named by their numbers. */
vgg_status dataset_number_classes(dataset_store *store, int count, vgg_error *err);

/* For readers of classes with names: a note for each that no picture of the split has. */
vgg_status dataset_note_missing(dataset_store *store, vgg_split split, vgg_error *err);

/* The whole path of picture i of a store of files; free with free(), NULL without memory. */
char *dataset_file(const dataset_store *store, size_t i);

/* Picture i of the store: lent from memory, or decoded (*owned: free with vgg_image_free).
 *   decode  for pictures in files; NULL: as the dataset was opened */
vgg_status dataset_picture(const dataset_store *store, size_t i, const vgg_decode_options *decode,
                           vgg_image *out, bool *owned, vgg_error *err);

/* The place of picture i in the store. */
static inline size_t dataset_place(const vgg_dataset *data, size_t i) {
  return data->ids ? data->ids[i] : i;
}

#endif
