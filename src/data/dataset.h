/* SPDX-License-Identifier: Apache-2.0
 *
 * What a dataset is inside, for the functions of datasets.def that fill it.
 */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include "vgg/data.h"

enum { DATASET_MAX_CLASSES = 256 }; /* labels are bytes */

struct vgg_dataset {
  char *spec;
  vgg_shape shape;
  size_t count;
  uint8_t *pixels; /* [count][h][w][c], owned, from malloc */
  uint8_t *labels; /* [count], each below `classes`, owned, from malloc */
  int classes;
  const char *const *names; /* [classes], static; NULL where a class has no name but its number */
  char numbers[DATASET_MAX_CLASSES][4];
  uint64_t digest;
};

/* Of one stored picture; the reader has checked that count * this fits. */
static inline size_t dataset_picture_bytes(const vgg_dataset *data) {
  return (size_t)data->shape.c * (size_t)data->shape.h * (size_t)data->shape.w;
}

/* Fills shape, count, pixels, labels, classes and names of one split stored in folder `dir`. What
 * it has put there when it fails, the caller frees. */
#define DATASET(word, folder, read) \
  vgg_status read(const char *dir, vgg_split split, vgg_dataset *data, vgg_error *err);
#include "data/datasets.def"
#undef DATASET

#endif
