/* SPDX-License-Identifier: Apache-2.0
 *
 * PyTorch's .pth files from the inside. A file is a pickle of a state dictionary, whose tensors
 * name storages, and the storages' bytes:
 *
 *   zip (PyTorch 1.6 on)  stored entries P/data.pkl, P/data/KEY for each storage, P/version,
 *                         P/byteorder, under one prefix P
 *   legacy (before)       five pickles in a row: magic, version 1001, facts about the system, the
 *                         state dictionary, the list of storage keys; then for each key an i64
 *                         count of elements and their bytes
 *
 * In the pickle a storage is the persistent name ('storage', TYPE, KEY, place, elements [, view]),
 * a tensor torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, ...), offset and stride
 * in elements.
 */
#ifndef FORMAT_PTH_H
#define FORMAT_PTH_H

#include "format/pickle.h"
#include "format/weight_formats.h"

/* One file's pickle, while it is read. */
typedef struct pth_reader {
  const char *file;
  const pickle_tree *tree;
  uint64_t file_size;
  /* Gives the bytes of a storage that the pickle names; fails with VGG_BAD_CONTENT if there is
   * none, or it is not of `bytes` bytes. */
  vgg_status (*find)(const struct pth_reader *r, const char *key, size_t key_length, uint64_t bytes,
                     const uint8_t **data, vgg_error *err);
  const void *context; /* of find */
} pth_reader;

/* A storage as the pickle names it. */
typedef struct pth_storage {
  const weights_type *type;
  const char *key; /* [key_length] */
  size_t key_length;
  uint64_t count;            /* elements of the whole storage */
  uint64_t view, view_count; /* the part of it that is meant */
} pth_storage;

/* Reads a persistent name. Fails with VGG_BAD_CONTENT. */
vgg_status pth_read_storage(const pth_reader *r, const pickle_node *node, pth_storage *out,
                            vgg_error *err);

/* Finds the state dictionary and lists its tensors: the pickle's value itself, or what it holds
 * under "state_dict", "model_state_dict" or "model".
 * Fails with VGG_BAD_CONTENT (no dictionary of tensors; a tensor reaches out of its storage; all
 * together over the file's size), VGG_NO_MEMORY. */
vgg_status pth_read_state(const pth_reader *r, weights_content *out, vgg_error *err);

#endif
