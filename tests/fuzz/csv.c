/* SPDX-License-Identifier: Apache-2.0 */
#include "data/csv.h"

#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  for (int i = 0; i < 2; i++) {
    name_list paths = {0}, labels = {0};
    csv_parse("fuzz", data, size, i ? '\t' : ',', &paths, &labels, NULL);
    name_list_free(&paths);
    name_list_free(&labels);
  }
  return 0;
}
