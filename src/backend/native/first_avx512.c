/* SPDX-License-Identifier: Apache-2.0
 *
 * First-layer kernels for AVX-512. */
#include "backend/native/lanes_avx512.h"

#include "backend/native/first_rows.h"

extern const first_kernels first_avx512;
const first_kernels first_avx512 = {.name = "first3x3_fp32_avx512",
                                    .isa = CPU_AVX512,
                                    .error = FIRST_ERROR,
                                    .read = read_row,
                                    .points = make_points,
                                    .blocks = make_blocks,
                                    .forward = forward,
                                    .backward = backward};
