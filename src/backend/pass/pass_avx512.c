/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/pass/pass_rows.h"

extern const pass_kernels pass_avx512;
PASS_ROW(pass_avx512, "avx512", CPU_AVX512);
