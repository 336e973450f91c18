/* SPDX-License-Identifier: Apache-2.0
 *
 * Datasets: numbered pictures with labels. Nothing is ever fetched.
 */
#ifndef VGG_DATA_H
#define VGG_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "vgg/arch.h"
#include "vgg/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vgg_split { VGG_TRAIN, VGG_TEST } vgg_split;

typedef struct vgg_dataset vgg_dataset;

/* Opens one split of a dataset.
 *   spec   "fashion-mnist[:DIR]": the published content, checked by the md5 of the unpacked bytes
 *          (DIR defaults to where Debian's package dataset-fashion-mnist puts it);
 *          "idx:DIR": the four IDX files train|t10k-images-idx3-ubyte, -labels-idx1-ubyte, any
 *          content. Each file may be gzipped, with or without ".gz".
 *   limit  keep the first `limit` pictures; 0 keeps all; more than there are is VGG_BAD_VALUE
 *   out    on success owns the dataset: close with vgg_dataset_close
 * Fails with VGG_BAD_VALUE for an unknown spec, VGG_NO_INPUT when a file is missing (the message
 * says what to install), VGG_BAD_CONTENT when a file is truncated, has a wrong magic or absurd
 * sizes, or is not the published one. */
VGG_API vgg_status vgg_dataset_open(const char *spec, vgg_split split, size_t limit,
                                    vgg_dataset **out, vgg_error *err);
VGG_API void vgg_dataset_close(vgg_dataset *data);

VGG_API size_t vgg_dataset_count(const vgg_dataset *data);
/* The stored pictures' shape, e.g. [1, 28, 28]. */
VGG_API vgg_shape vgg_dataset_shape(const vgg_dataset *data);
VGG_API int vgg_dataset_classes(const vgg_dataset *data);
/* The name of class 0 .. classes-1; lent. NULL when out of range. */
VGG_API const char *vgg_dataset_class_name(const vgg_dataset *data, int label);
/* Picture i, [h][w][c] bytes; lent until the dataset is closed. NULL when out of range. */
VGG_API const uint8_t *vgg_dataset_pixels(const vgg_dataset *data, size_t i);
/* The label of picture i, 0 .. classes-1; -1 when out of range. */
VGG_API int vgg_dataset_label(const vgg_dataset *data, size_t i);
/* The spec with DIR resolved; lent. */
VGG_API const char *vgg_dataset_spec(const vgg_dataset *data);
/* A 64-bit digest of the kept pictures and labels: equal data, equal digest. */
VGG_API uint64_t vgg_dataset_digest(const vgg_dataset *data);

#ifdef __cplusplus
}
#endif
#endif
