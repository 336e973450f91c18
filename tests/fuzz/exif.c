/* SPDX-License-Identifier: Apache-2.0 */
#include "image/exif.h"

#include <stdlib.h>

#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const int orientation = exif_orientation(data, size);
  if (orientation < 1 || orientation > 8) abort();
  return 0;
}
