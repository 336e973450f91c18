/* SPDX-License-Identifier: Apache-2.0
 *
 * Views: which pictures of a store a dataset shows.
 */
#ifndef DATA_VIEW_H
#define DATA_VIEW_H

#include "data/dataset.h"

/* A view, one more user of `store`.
 *   ids  [count] from malloc, the view's on success; NULL: the first `count` pictures
 * Fails with VGG_NO_MEMORY. */
vgg_status view_create(dataset_store *store, vgg_split split, uint32_t *ids, size_t count,
                       vgg_dataset **out, vgg_error *err);

#endif
