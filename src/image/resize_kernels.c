/* SPDX-License-Identifier: Apache-2.0 */
#include "image/resize_kernels.h"

#define RESIZE(row) extern const resize_kernels row;
#include "image/resizes.def"
#undef RESIZE

static const resize_kernels *const rows[] = {
#define RESIZE(row) &row,
#include "image/resizes.def"
#undef RESIZE
};

const resize_kernels *resize_kernels_at(size_t i) {
  return i < sizeof rows / sizeof *rows ? rows[i] : NULL;
}

const resize_kernels *resize_kernels_for(cpu_isa isa) {
  size_t i = 0;
  while (rows[i]->isa > isa) i++;
  return rows[i];
}
