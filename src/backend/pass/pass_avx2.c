/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/pass/pass_rows.h"

extern const pass_kernels pass_avx2;
PASS_ROW(pass_avx2, "avx2", CPU_AVX2);
