/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cost.h"

#include <math.h>

/* FLOP that pass while a byte comes from memory or goes there: 230 GF/s and 50 GB/s on Zen 4, 500
 * and 83 on Zen 5. */
static const double byte_flop = 5;

/* FLOP that pass while 16 channels of a tile are transformed, with the waiting for their memory: 6
 * to 10 thousand from 32 to 128 channels on Zen 4. */
static const double transform_flop = 8e3;

/* The filters' gradient of fewer than 16 channels is transforms most of all: it takes half as long
 * again as forward. */
static const double few_channels = 1.5;

/* Share of the peak that Winograd's small products reach from the second-level cache. */
static const double product_rate = 0.95;

double cost_flop(const stage_spec *s) {
  return stage_has_products(s) ? 2.0 * s->R * s->S * s->C * s->K * s->P * s->Q : 0;
}

static double input_bytes(const stage_spec *s) {
  return (double)s->C * s->H * s->W * (double)edge_size(s->x_type);
}

static double output_bytes(const stage_spec *s) {
  return (double)s->K * s->OP * s->OQ * (double)edge_size(s->y_type);
}

/* What lies between a convolution and its pool. */
static double inner_bytes(const stage_spec *s) {
  return (double)s->K * s->P * s->Q * (double)edge_size(s->y_type);
}

stage_cost cost_walks(const stage_spec *s) {
  const double x = input_bytes(s), y = output_bytes(s);
  const int looks = s->kind == STAGE_NORM ? 2 : 1; /* statistics first, both ways */
  return (stage_cost){.forward = byte_flop * (looks * x + y),
                      .backward = byte_flop * (looks * (x + y) + x)};
}

/* Weights are read once a pass of max_n images; only linear layers have enough of them to count. */
static double weight_bytes(const stage_spec *s, int n) {
  if (!stage_has_products(s)) return 0;
  return (double)s->R * s->S * s->C * s->K * 4 / n;
}

double cost_bytes(const stage_spec *s, int n) {
  return input_bytes(s) + output_bytes(s) + weight_bytes(s, n);
}

double cost_weight_passes(const stage_spec *s, const stage_env *env, double passes) {
  return passes * byte_flop * weight_bytes(s, env->max_n);
}

stage_cost cost_fused(const stage_spec *s, const stage_env *env, double forward, double backward) {
  const double memory = byte_flop * cost_bytes(s, env->max_n);
  const int directions = s->need_dx ? 2 : 1;
  return (stage_cost){
      .forward = cost_flop(s) / forward + memory,
      .backward = directions * (cost_flop(s) / backward + memory),
  };
}

stage_cost cost_direct(const stage_spec *s, const stage_env *env, double forward, double backward) {
  stage_cost c = cost_fused(s, env, forward, backward);
  const double passes = byte_flop * (inner_bytes(s) + output_bytes(s));
  if (s->pool_size) {
    c.forward += passes;
    c.backward += passes;
  }
  if (s->relu) c.backward += 2 * byte_flop * output_bytes(s);
  return c;
}

static double up(double x, double to) { return ceil(x / to) * to; }

stage_cost cost_winograd(const stage_spec *s, const stage_env *env) {
  enum { LANES = 16, POINTS = 36, TILE = 4 };
  const double tiles = up(s->P, TILE) / TILE * (up(s->Q, TILE) / TILE);
  const double C = up(s->C, LANES), K = up(s->K, LANES);
  const double tile = 2 * POINTS * C * K / product_rate + transform_flop * (C + K) / LANES;
  /* U is read once a block of tiles, which at a batch of one is hardly more than once. */
  const double one = tiles * tile + byte_flop * POINTS * C * K * 4 / env->max_n;
  const double weights = s->C < LANES || s->K < LANES ? few_channels : 1;
  return (stage_cost){.forward = one, .backward = (s->need_dx ? 1 + weights : weights) * one};
}
