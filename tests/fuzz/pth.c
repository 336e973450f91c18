/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "format/weights.h"
#include "fuzz/target.h"

enum { SAMPLE = 4096 };

/* Every element that a tensor claims to have can be read, and all together are no more than the
 * file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  weights_file *f;
  if (weights_open_bytes("input", data, size, &f, NULL) != VGG_OK) return 0;
  static float values[SAMPLE];
  uint64_t total = 0;
  for (size_t i = 0; i < weights_count(f); i++) {
    const weights_tensor *t = weights_at(f, i);
    if (!t->type) continue;
    total += t->count * t->type->size;
    for (uint64_t first = 0; first < t->count; first += SAMPLE)
      weights_read(f, t, first, t->count - first < SAMPLE ? t->count - first : SAMPLE, values);
  }
  if (total > size) abort();
  weights_close(f);
  return 0;
}
