/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/picture.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_picture(data, size, 0);
  return 0;
}
