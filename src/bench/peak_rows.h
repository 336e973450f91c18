/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of peak.h; an instruction set gives `vec`, splat and fmadd and includes this.
 *
 * Twelve chains of multiply-adds do not wait for each other: two pipelines of four or five cycles
 * are kept busy, and even 16 registers hold them all. x (1 - e) + e stays near 1 for ever, so that
 * no value is slow.
 */
#include "bench/peak.h"

enum { CHAINS = 12 };

static float run(long rounds) {
  vec a[CHAINS];
#pragma GCC unroll 12
  for (int i = 0; i < CHAINS; i++) a[i] = splat(1 + (float)i);
  vec factor = splat(1 - 0x1p-12f);
  const vec addend = splat(0x1p-12f);
  for (long r = 0; r < rounds; r++) {
    KEEP(factor); /* as if it were another one each time: no round can be worked out beforehand */
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) a[i] = fmadd(a[i], factor, addend);
  }
  vec sum = a[0];
#pragma GCC unroll 12
  for (int i = 1; i < CHAINS; i++) sum = fmadd(a[i], factor, sum);
  return first(sum);
}
