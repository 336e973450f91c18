/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes that cannot wrap, and arenas aligned for vector loads.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum { MEM_ALIGN = 64 }; /* one cache line, one AVX-512 vector */

/* *out = a * b or a + b; false when the result does not fit. */
static inline bool mem_mul(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool mem_add(size_t a, size_t b, size_t *out) {
  return !__builtin_add_overflow(a, b, out);
}

/* The next multiple of MEM_ALIGN; sizes here are far from SIZE_MAX. */
static inline size_t mem_round(size_t bytes) {
  return (bytes + MEM_ALIGN - 1) & ~(size_t)(MEM_ALIGN - 1);
}

/* Memory aligned to MEM_ALIGN (to 2 MB and marked for huge pages from 4 MB on), not zeroed: fresh
 * pages come from the system and cost nothing until touched. NULL when there is none. Free with
 * mem_free. */
void *mem_alloc(size_t bytes);
void mem_free(void *p);

#endif
