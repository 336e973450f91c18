/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the Winograd stage share: winograd_stage.c prepares and runs it,
 * winograd_convolve.c divides forward and backward-data among threads, winograd_reduce.c the
 * filters' gradient.
 */
#ifndef NATIVE_WINOGRAD_STAGE_H
#define NATIVE_WINOGRAD_STAGE_H

#include "backend/backend.h"
#include "backend/native/winograd.h"
#include "backend/pass/pass.h"

typedef struct wg_stage {
  stage base;
  const wg_kernels *kernels;
  const pass_kernels *pass;
  wg_grid grid;
  size_t u_forward, u_data; /* floats in the pack */
  bool full_plane;          /* the pool is a pass of its own over a plane in the workspace */
  size_t plane_bytes, scratch_floats;
} wg_stage;

/* Groups of output channels that a product takes at a time. */
static inline int wg_strips(const wg_stage *s, int K) {
  return wg_round(K, s->kernels->wide) / s->kernels->wide;
}

static inline size_t wg_u_floats(const wg_stage *s, int C, int K) {
  return (size_t)WG_POINTS * (size_t)wg_round(C, WG_LANES) * (size_t)wg_round(K, s->kernels->wide);
}

static inline size_t wg_tiles(const wg_stage *s, int n) {
  return (size_t)n * (size_t)s->grid.TY * (size_t)s->grid.TX;
}

static inline size_t wg_least(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t wg_most(size_t a, size_t b) { return a > b ? a : b; }

/* Of the `left` tiles of a range: a block, or all or half of them where little more is left. */
static inline size_t wg_next_block(size_t left, size_t block) {
  const size_t most = block + block / 4;
  return left <= most ? left : left <= 2 * most ? (left + 1) / 2 : block;
}

/* The bytes of source rows that tiles first .. first + count - 1 read and the block before did not.
 * `times`: how often wg_fetch will be called. */
wg_ahead wg_look_ahead(const wg_grid *g, const wg_source *s, size_t first, size_t count,
                       size_t times);

/* y = x convolved with U, the same whatever the threads. `scratch` has as many floats as the first
 * says for C inputs. */
size_t wg_convolve_floats(const wg_stage *s, int C);
void wg_convolve(const wg_stage *s, int n, const wg_source *x, const wg_target *y, const float *U,
                 float *scratch);

/* The gradients of filters and bias: dw [K][3][3][C], db [K]. */
size_t wg_reduce_floats(const wg_stage *s, int C, int K);
void wg_reduce(const wg_stage *s, int n, const wg_source *x, const wg_source *dz, float *scratch,
               float *dw, float *db);

/* Tiles in a block of wg_convolve, for `describe --plan`. */
int wg_block_tiles(int C);

#endif
