/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

typedef __m512 vec;
static inline vec splat(float x) { return _mm512_set1_ps(x); }
static inline vec fmadd(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline float first(vec a) { return _mm512_cvtss_f32(a); }
#define KEEP(x) __asm__("" : "+v"(x))

#include "bench/peak_rows.h"

extern const peak_loop peak_avx512;
const peak_loop peak_avx512 = {"avx512", CPU_AVX512, CHAINS * 32.0, run};
