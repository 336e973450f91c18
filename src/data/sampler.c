/* SPDX-License-Identifier: Apache-2.0 */
#include "base/philox.h"
#include "data/loader.h"

/* The epoch's draws, one after another. */
typedef struct draws {
  uint64_t seed;
  uint32_t epoch, used, block[4];
} draws;

static uint32_t next_draw(draws *d) {
  if (d->used % 4 == 0) philox(d->seed, PHILOX_ORDER, d->epoch, 0, d->used / 4, d->block);
  return d->block[d->used++ % 4];
}

/* Uniform in 0 .. n-1. The high half of draw * n falls into n bins; the 2^32 mod n lowest products
 * of each bin are what some bins have too many of, so they are drawn again (Lemire, "Fast random
 * integer generation in an interval", 2019). */
static uint32_t draw_below(draws *d, uint32_t n) {
  uint64_t product = (uint64_t)next_draw(d) * n;
  if ((uint32_t)product < n) {
    const uint32_t excess = -n % n;
    while ((uint32_t)product < excess) product = (uint64_t)next_draw(d) * n;
  }
  return (uint32_t)(product >> 32);
}

void sampler_order(uint64_t seed, uint32_t epoch, uint32_t *order, uint32_t count) {
  draws d = {.seed = seed, .epoch = epoch};
  for (uint32_t i = 0; i < count; i++) order[i] = i;
  for (uint32_t i = count; i > 1; i--) {
    const uint32_t j = draw_below(&d, i), last = order[i - 1];
    order[i - 1] = order[j];
    order[j] = last;
  }
}
