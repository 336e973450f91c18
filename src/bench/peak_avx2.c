/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

typedef __m256 vec;
static inline vec splat(float x) { return _mm256_set1_ps(x); }
static inline vec fmadd(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline float first(vec a) { return _mm256_cvtss_f32(a); }
#define KEEP(x) __asm__("" : "+x"(x))

#include "bench/peak_rows.h"

extern const peak_loop peak_avx2;
const peak_loop peak_avx2 = {"avx2", CPU_AVX2, CHAINS * 16.0, run};
