/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#if defined(__x86_64__)
#include "backend/native/first.h"
#include "backend/native/linear.h"
#include "backend/native/winograd.h"

bool winograd_row_at(size_t i, kernel_row *out) {
  const wg_kernels *k = wg_kernels_at(i);
  if (k) *out = (kernel_row){k->name, k->isa, 3, k->error};
  return k != NULL;
}

bool first_row_at(size_t i, kernel_row *out) {
  const first_kernels *k = first_kernels_at(i);
  if (k) *out = (kernel_row){k->name, k->isa, 3, k->error};
  return k != NULL;
}

bool linear_row_at(size_t i, kernel_row *out) {
  const linear_kernels *k = linear_kernels_at(i);
  if (k) *out = (kernel_row){k->name, k->isa, 1, k->error};
  return k != NULL;
}
#else
bool winograd_row_at(size_t i, kernel_row *out) { return (void)i, (void)out, false; }
bool first_row_at(size_t i, kernel_row *out) { return (void)i, (void)out, false; }
bool linear_row_at(size_t i, kernel_row *out) { return (void)i, (void)out, false; }
#endif
