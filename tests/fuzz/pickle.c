/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pickle.h"

#include <stdlib.h>

#include "fuzz/target.h"

/* Every node that a tree names is there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  pickle_tree tree;
  size_t used;
  if (pickle_read("input", data, size, &tree, &used, NULL) != VGG_OK) return 0;
  if (used > size || tree.root >= tree.count) abort();
  for (size_t i = 0; i < tree.count; i++) {
    const pickle_node *n = &tree.nodes[i];
    if (n->at >= used) abort();
    for (uint32_t k = 0; k < n->count; k++)
      if (n->items[k] >= tree.count) abort();
    if (n->kind == PICKLE_DICT && n->count % 2 != 0) abort();
  }
  pickle_free(&tree);
  return 0;
}
