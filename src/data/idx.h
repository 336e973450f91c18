/* SPDX-License-Identifier: Apache-2.0
 *
 * IDX, the files of MNIST and its kin, plain or gzipped (told by the content, 1f 8b).
 *
 *   1. 00 00
 *   2. element type: 08, unsigned byte; nothing else is read here
 *   3. rank: 1 for labels, 3 for pictures
 *   4. rank sizes, 32 bits, big-endian
 *   5. product(sizes) bytes, row-major, and then nothing more
 */
#ifndef DATA_IDX_H
#define DATA_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

enum { IDX_MAX_RANK = 3, IDX_MAX_SIDE = 16384 };

typedef struct idx_array {
  int rank;
  uint32_t dims[IDX_MAX_RANK];
  uint8_t header[4 + 4 * IDX_MAX_RANK]; /* as it stood in the file, 4 + 4 * rank bytes */
  size_t size;                          /* product of the dims */
  uint8_t *data;                        /* [size], owned: free with free() */
} idx_array;

/* Reads an IDX file that lies in memory.
 *   path  named in errors
 *   raw   [size], borrowed, plain or gzipped
 * Fails with VGG_BAD_CONTENT, before anything is allocated if the sizes are absurd or more than
 * the file can hold; VGG_NO_MEMORY. */
vgg_status idx_parse(const char *path, const uint8_t *raw, size_t size, int rank, idx_array *out,
                     vgg_error *err);

/* The four files of a folder as MNIST names them. */
typedef enum idx_file { IDX_PICTURES, IDX_LABELS } idx_file;
const char *idx_name(vgg_split split, idx_file file); /* train-images-idx3-ubyte, ... */

/* Reads DIR/NAME or DIR/NAME.gz. `advice` ends the message when neither is there. */
vgg_status idx_read(const char *dir, const char *name, int rank, const char *advice, idx_array *out,
                    vgg_error *err);
bool idx_exists(const char *dir, const char *name);

/* Moves the pictures into the store (and leaves them empty) and copies the labels. Fails with
 * VGG_BAD_CONTENT if there are not as many labels as pictures, VGG_NO_MEMORY. */
vgg_status idx_adopt(const char *dir, const char *pictures_name, idx_array *pictures,
                     const char *labels_name, const idx_array *labels, dataset_store *out,
                     vgg_error *err);

#endif
