/* SPDX-License-Identifier: Apache-2.0
 *
 * First-layer kernels for AVX2 and FMA. */
#include "backend/native/lanes_avx2.h"

#include "backend/native/first_rows.h"

extern const first_kernels first_avx2;
const first_kernels first_avx2 = {.name = "first3x3_fp32_avx2",
                                  .isa = CPU_AVX2,
                                  .error = FIRST_ERROR,
                                  .read = read_row,
                                  .points = make_points,
                                  .blocks = make_blocks,
                                  .forward = forward,
                                  .backward = backward};
