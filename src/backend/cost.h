/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan's cost model: about how long would a stage take here?
 *
 * Unit: FLOP at the processor's fp32 peak, an image. A direct fp32 convolution that runs at the
 * peak costs its own multiplications and additions; halving them, or taking them in bf16 at twice
 * the rate, halves its cost. What is not multiplication is counted as the FLOP that the processor
 * could have done meanwhile. So the model needs no clock, and `vgg bench --layers` can set it
 * beside what was measured: cost / peak = seconds.
 *
 * On Zen 4 it was right within about a quarter for the layers of the small net that take longer
 * than a few microseconds an image, which is enough to choose by: the ways differ by a half and
 * more. The constants in cost.c say where they are from.
 */
#ifndef BACKEND_COST_H
#define BACKEND_COST_H

#include "backend/backend.h"

/* The products of one direction, two FLOP a multiply-add, rim counted; 0 where there are none. */
double cost_flop(const stage_spec *s);

/* Bytes an image that must move in a direction of a run of n: input, output and weights once each.
 */
double cost_bytes(const stage_spec *s, int n);

/* What it costs an image to go over all weights so many more times. */
double cost_weight_passes(const stage_spec *s, const stage_env *env, double passes);

/* A stage whose products run at `forward` and `backward` times the fp32 peak, with separate passes
 * for ReLU and pool. */
stage_cost cost_direct(const stage_spec *s, const stage_env *env, double forward, double backward);

/* The same with ReLU and pool done on the way. */
stage_cost cost_fused(const stage_spec *s, const stage_env *env, double forward, double backward);

/* A stage without products: walks over memory. */
stage_cost cost_walks(const stage_spec *s);

/* A convolution by F(4x4, 3x3). */
stage_cost cost_winograd(const stage_spec *s, const stage_env *env);

#endif
