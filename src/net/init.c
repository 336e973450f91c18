/* SPDX-License-Identifier: Apache-2.0
 *
 * Fresh weights: xavier by Glorot & Bengio 2010, eq. 16, with PyTorch's default biases; he by
 * arXiv 1502.01852, eq. 10.
 */
#include <math.h>
#include <string.h>

#include "base/philox.h"
#include "net/net.h"

/* What a tensor is drawn from. */
typedef struct distribution {
  bool normal;  /* else uniform in -width .. width */
  double width; /* the standard deviation of a normal one; 0: all are 0 */
} distribution;

struct net_init {
  const char *name;
  distribution (*of)(const net_param *param);
};

static distribution uniform(double bound) { return (distribution){false, bound}; }
static distribution normal(double deviation) { return (distribution){true, deviation}; }
static distribution zeros(void) { return (distribution){false, 0}; }

static distribution init_xavier(const net_param *p) {
  if (p->role == NET_BIAS) return uniform(1 / sqrt((double)p->fan_in));
  return uniform(sqrt(6 / (double)(p->fan_in + p->fan_out)));
}

static distribution init_he(const net_param *p) {
  return p->role == NET_BIAS ? zeros() : normal(sqrt(2 / (double)p->fan_in));
}

static distribution init_torchvision(const net_param *p) {
  if (p->role == NET_BIAS) return zeros();
  return normal(p->rank == 4 ? sqrt(2 / (double)p->fan_out) : 0.01);
}

static distribution init_gauss(const net_param *p) {
  return p->role == NET_BIAS ? zeros() : normal(0.01);
}

static const net_init inits[] = {
#define INIT(name, about) {#name, init_##name},
#include "net/inits.def"
#undef INIT
};

const net_init *net_init_find(const char *name) {
  for (size_t i = 0; i < sizeof inits / sizeof *inits; i++)
    if (strcmp(name, inits[i].name) == 0) return &inits[i];
  return NULL;
}

#define INIT(name, about) " " #name
static const char names[] =
#include "net/inits.def"
    ;
#undef INIT

const char *net_init_names(void) { return names; }

/* A draw has 24 bits, so 2u - 1 is exact and a value is rounded once: the same on every machine. */
static void make_uniform(const uint32_t draws[4], float bound, float out[4]) {
  for (int i = 0; i < 4; i++) out[i] = bound * (2 * philox_unit(draws[i]) - 1);
}

/* Box and Muller's pairs; a unit draw's 0 becomes 2^-24, whose logarithm exists. */
static void make_normal(const uint32_t draws[4], double deviation, float out[4]) {
  const double two_pi = 6.28318530717958647692;
  for (int i = 0; i < 4; i += 2) {
    const double u = (double)((draws[i] >> 8) + 1) * 0x1p-24;
    const double radius = deviation * sqrt(-2 * log(u)), angle = two_pi * philox_unit(draws[i + 1]);
    out[i] = (float)(radius * cos(angle));
    out[i + 1] = (float)(radius * sin(angle));
  }
}

/* Element e of tensor t takes draw e % 4 of the counter (e / 4, t); the block's upper half stands
 * where other purposes have the epoch. */
static void fill(distribution d, size_t count, uint64_t seed, uint32_t tensor, float *values) {
  for (size_t e = 0; e < count; e += 4) {
    const uint64_t block = e / 4;
    uint32_t draws[4];
    float four[4];
    philox(seed, PHILOX_WEIGHTS, (uint32_t)(block >> 32), tensor, (uint32_t)block, draws);
    if (d.normal)
      make_normal(draws, d.width, four);
    else
      make_uniform(draws, (float)d.width, four);
    for (size_t i = 0; i < 4 && e + i < count; i++) values[e + i] = four[i];
  }
}

void net_init_fill(const net_init *init, const net_params *params, uint64_t seed, float *values) {
  for (int t = 0; t < params->count; t++) {
    const net_param *param = &params->at[t];
    const size_t end = param->offset + param->count;
    const size_t next = t + 1 < params->count ? params->at[t + 1].offset : params->floats;
    memset(values + param->offset, 0, (next - param->offset) * sizeof *values);
    if (param->role == NET_WEIGHT || param->role == NET_BIAS) {
      const distribution d = init->of(param);
      if (d.width > 0) fill(d, end - param->offset, seed, (uint32_t)t, values + param->offset);
    } else if (param->role == NET_SCALE || param->role == NET_VARIANCE) {
      for (size_t i = param->offset; i < end; i++) values[i] = 1;
    }
  }
}

void net_init_d2l(const net_params *params, uint64_t seed, float *values) {
  net_init_fill(&inits[0], params, seed, values);
}
