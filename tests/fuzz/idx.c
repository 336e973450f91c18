/* SPDX-License-Identifier: Apache-2.0 */
#include "data/idx.h"

#include <stdlib.h>

#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  for (int rank = 1; rank <= IDX_MAX_RANK; rank += 2) {
    idx_array a;
    if (idx_parse("fuzz", data, size, rank, &a, NULL) == VGG_OK) free(a.data);
  }
  return 0;
}
