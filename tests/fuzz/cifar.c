/* SPDX-License-Identifier: Apache-2.0 */
#include "data/cifar.h"

#include <stdlib.h>

#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  for (int classes = 10; classes <= 100; classes += 90) {
    const size_t count = size / cifar_record(classes);
    uint8_t *pixels = malloc(count * CIFAR_PIXELS + 1);
    int32_t *labels = malloc((count + 1) * sizeof *labels);
    if (pixels && labels) cifar_parse("fuzz", data, size, classes, pixels, labels, NULL);
    free(pixels);
    free(labels);
  }
  return 0;
}
