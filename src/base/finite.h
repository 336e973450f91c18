/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether floats are numbers.
 */
#ifndef BASE_FINITE_H
#define BASE_FINITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether none of x [count] is an infinity or a NaN. On the bits, an exponent of all ones, so that
 * the compiler may compare several values at a time whatever it thinks of NaN. */
static inline bool finite_all(const float *x, size_t count) {
  int bad = 0;
  for (size_t i = 0; i < count; i++) {
    int32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    bad |= (bits & 0x7fffffff) > 0x7f7fffff;
  }
  return !bad;
}

#endif
