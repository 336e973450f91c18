/* SPDX-License-Identifier: Apache-2.0
 *
 * The tutorial's initialisation.
 */
#include <math.h>
#include <string.h>

#include "base/philox.h"
#include "net/net.h"

/* Element e of tensor t takes draw e % 4 of the counter (e / 4, t); the block's upper half stands
 * where other purposes have the epoch. A draw has 24 bits, so 2u - 1 is exact and a value is
 * rounded once: the same on every machine. */
static void fill_uniform(float *values, size_t count, float bound, uint64_t seed, uint32_t tensor) {
  for (size_t e = 0; e < count; e += 4) {
    const uint64_t block = e / 4;
    uint32_t draws[4];
    philox(seed, PHILOX_WEIGHTS, (uint32_t)(block >> 32), tensor, (uint32_t)block, draws);
    for (size_t i = 0; i < 4 && e + i < count; i++)
      values[e + i] = bound * (2 * philox_unit(draws[i]) - 1);
  }
}

void net_init_d2l(const net_params *params, uint64_t seed, float *values) {
  for (int t = 0; t < params->count; t++) {
    const net_param *param = &params->at[t];
    const double bound = param->is_bias ? 1 / sqrt((double)param->fan_in)
                                        : sqrt(6 / (double)(param->fan_in + param->fan_out));
    fill_uniform(values + param->offset, param->count, (float)bound, seed, (uint32_t)t);
    const size_t end = param->offset + param->count;
    const size_t next = t + 1 < params->count ? params->at[t + 1].offset : params->floats;
    memset(values + end, 0, (next - end) * sizeof *values);
  }
}
