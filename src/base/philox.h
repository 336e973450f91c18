/* SPDX-License-Identifier: Apache-2.0
 *
 * Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror, Shaw: "Parallel random numbers:
 * as easy as 1, 2, 3", SC11). A draw depends on its key and counter alone, never on who draws it
 * or when, so order, weights and dropout do not depend on threads.
 *
 *   key      seed (64 bits)
 *   counter  [element / 4 or block, sample, epoch, purpose]
 */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

/* Every use of randomness has a number of its own; never renumber, runs depend on it. */
typedef enum philox_purpose {
  PHILOX_WEIGHTS = 1, /* sample = parameter's place in the net, block = element / 4 */
  PHILOX_ORDER = 2,   /* block = draw / 4, epoch */
  PHILOX_DROPOUT = 3, /* sample = dataset index, epoch, block = layer * 2^16 + unit / 4 */
  PHILOX_SPLIT = 4,   /* sample = picture of the set that is divided */
  PHILOX_AUGMENT = 5, /* sample = dataset index, for mixup batch, epoch, block = change * 64 + k */
} philox_purpose;

static inline void philox(uint64_t seed, philox_purpose purpose, uint32_t epoch, uint32_t sample,
                          uint32_t block, uint32_t out[4]) {
  uint32_t c0 = block, c1 = sample, c2 = epoch, c3 = (uint32_t)purpose;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* A draw as a float in [0, 1): 24 bits, so that every value is exact. */
static inline float philox_unit(uint32_t draw) { return (float)(draw >> 8) * 0x1p-24f; }

#endif
