/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fuzz/picture.h"
#include "fuzz/target.h"

static uint32_t big_endian(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A changed chunk seldom has the right CRC: without it nothing behind the check would be reached.
 */
static void mend_crcs(uint8_t *data, size_t size) {
  size_t at = 8;
  while (size >= at + 12 && big_endian(data + at) <= size - at - 12) {
    const size_t length = big_endian(data + at);
    const uint32_t crc = (uint32_t)crc32(0, data + at + 4, (uInt)length + 4);
    for (int i = 0; i < 4; i++) data[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    at += length + 12;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_picture(data, size, 0);
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy) return 0;
  memcpy(copy, data, size);
  mend_crcs(copy, size);
  fuzz_picture(copy, size, 0);
  free(copy);
  return 0;
}
