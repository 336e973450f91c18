/* SPDX-License-Identifier: Apache-2.0
 *
 * The lists of kernels that run stages, all alike.
 */
#ifndef TESTS_KERNEL_ROWS_H
#define TESTS_KERNEL_ROWS_H

#include "backend/backend.h"

typedef struct kernel_row {
  const char *name;
  cpu_isa isa;
  int R;        /* of its filters; 1: linear layers */
  double error; /* see backend.h, error_factor */
} kernel_row;

/* Row i of a list, fastest first; false after the last. */
bool winograd_row_at(size_t i, kernel_row *out);
bool first_row_at(size_t i, kernel_row *out);
bool linear_row_at(size_t i, kernel_row *out);

/* native's stage on this row; ends the program when there is none. */
stage *row_prepare(const kernel_row *row, const stage_spec *spec, int n, bool training,
                   int threads);

#endif
