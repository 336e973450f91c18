/* SPDX-License-Identifier: Apache-2.0
 *
 * What every compiler can do with four floats at a time. */
typedef float vec __attribute__((vector_size(16)));
static inline vec splat(float x) { return (vec){x, x, x, x}; }
static inline vec fmadd(vec a, vec b, vec c) { return a * b + c; }
static inline float first(vec a) { return a[0]; }
#ifdef __aarch64__
#define KEEP(x) __asm__("" : "+w"(x))
#elif defined(__x86_64__)
#define KEEP(x) __asm__("" : "+x"(x))
#else
#define KEEP(x) __asm__("" : "+m"(x))
#endif

#include "bench/peak_rows.h"

extern const peak_loop peak_c;
const peak_loop peak_c = {"c", CPU_BASE, CHAINS * 8.0, run};
