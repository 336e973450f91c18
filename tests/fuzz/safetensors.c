/* SPDX-License-Identifier: Apache-2.0 */
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"

/* Every byte that a tensor or a piece of metadata claims to have can be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  st_file *f;
  if (st_open_bytes("input", data, size, &f, NULL) != VGG_OK) return 0;
  uint64_t total = 0;
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < st_count(f); i++) {
    const st_tensor *t = st_at(f, i);
    if (st_find(f, t->name) != t) abort();
    for (uint64_t k = 0; k < t->bytes; k++) sum = (uint8_t)(sum + t->data[k]);
    total += t->bytes;
  }
  if (total > size) abort();
  const char *format = st_metadata(f, "format");
  if (format && strlen(format) > size) abort();
  st_close(f);
  return 0;
}
