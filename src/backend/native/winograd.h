/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's F(4x4, 3x3) in fp32 (Lavin & Gray, arXiv 1509.09308): a 4x4 tile of outputs from a
 * 6x6 tile of inputs with 36 products a channel pair where the direct way takes 144.
 *
 *      input 6x6 --B'dB--> V      filter 3x3 --GgG'--> U
 *                            \    /
 *              M[point] = V[point] U[point]         36 small matrix products: tiles x C x K
 *                              |
 *                           A'MA --> output 4x4, bias, ReLU, 2x2 max-pool
 *
 * Points 0, +-sqrt(1/2), +-sqrt(2), infinity: as cheap as the usual 0, +-1, +-2, infinity, with a
 * quarter of their rounding error. With a = sqrt(1/2), b = sqrt(2), so a^2 + b^2 = 5/2, ab = 1:
 *
 *         | 1  0  -5/2  0   1  0 |        |  1      0     0  |
 *         | 0 -b   -2   a   1  0 |        | -2/3 -2a/3  -1/3 |
 *    B' = | 0  b   -2  -a   1  0 |   G =  | -2/3  2a/3  -1/3 |   A'[i][point] = point^i
 *         | 0 -a  -1/2  b   1  0 |        |  1/6   b/6   1/3 |
 *         | 0  a  -1/2 -b   1  0 |        |  1/6  -b/6   1/3 |
 *         | 0  1    0 -5/2  0  1 |        |  0      0     1  |
 *
 * The gradient of the input is the same product with flipped, transposed filters. The gradient of
 * the filter is F(3x3, 4x4): B' of the input times the outputs' gradient evaluated at the points,
 * reduced over tiles, then taken back.
 *
 * Tiles are numbered through all images: image, tile row, tile column. A block of tiles stands in
 * panels of `rows` tiles, output channels in groups that are `wide`, so that the products of a
 * panel and a group stay in registers. Each instruction set has its own greatest `rows` and its
 * `wide`, see wg_kernels:
 *
 *    V  [36][panel][C/16][row][16]         M  [36][panel][row][wide], of one group at a time
 *    U  [K/wide][36][C][wide]
 *
 * The filters' gradient takes all tiles of a block for one panel:
 *
 *    V  [36][C/16][tile][16]               D  [36][K/wide][tile][wide]
 *    S  [36][K/wide][C][wide]
 *
 * with C rounded up to 16 and K to `wide` by zeros. `plane` is the distance of two points in
 * floats: an odd number of cache lines, or 36 planes would fall on the same few sets of the cache.
 * The last panel has the rows that are left.
 *
 * A NaN or an infinity in a tile's input reaches every output that depends on it, and may spread as
 * NaN to the rest of its tile.
 */
#ifndef NATIVE_WINOGRAD_H
#define NATIVE_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum { WG_POINTS = 36, WG_LANES = 16 };

/* The tiles of a plane H x W, over all images. */
typedef struct wg_grid {
  int H, W, TY, TX; /* TY = ceil(H / 4), TX = ceil(W / 4) */
} wg_grid;

/* Values that a transform reads: a plane [n][H][W][C], or a gradient that a 2x2 max-pool has
 * shrunk to [n][H/2][W/2][C]. Its value belongs where its mask has a bit: one 16-bit word for 16
 * channels and each of the four places, masks [n][H/2][W/2][ceil(C/16)][4]. */
typedef struct wg_source {
  const void *values;
  const uint16_t *masks; /* NULL: a full plane */
  bool bf16;
  int C;
} wg_source;

/* Where the inverse transform writes: a plane, or its 2x2 max-pool with masks as above. */
typedef struct wg_target {
  void *values;
  uint16_t *masks;   /* pool: written if not NULL */
  const float *bias; /* [C rounded up to `wide`]; NULL: none */
  bool bf16, relu, pool;
  const void *positive; /* like values, no pool: where one is not above 0, 0 is stored; or NULL */
  bool stream;          /* past the caches: C is a multiple of 16, values are aligned to 64 bytes */
  int C;
} wg_target;

/* By how much F(4x4, 3x3) raises the rounding error of a sum, root mean square. In one dimension an
 * output is the sum over points of A' times (G g) times (B' d). The norms of the rows of B' are
 * 2.87, 2.74, 2.74, 1.94, 1.94, 2.87, those of G 1, .88, .88, .44, .44, 1, and an output's sum has
 * a norm of at most 4.8 where three direct products have sqrt(3): a factor of 2.8, and its square
 * in two dimensions. F(3x3, 4x4) comes to 2.45 the same way. */
enum { WG_ERROR = 8 };

/* What the next block will read, fetched while this one multiplies, a little whenever 16 channels
 * are done: many lines at once would keep the multipliers waiting for theirs. */
typedef struct wg_ahead {
  const char *at, *stop;
  size_t step; /* bytes a time */
} wg_ahead;

static inline void wg_fetch(wg_ahead *a) {
  const char *stop = a->at + a->step < a->stop ? a->at + a->step : a->stop;
  for (; a->at < stop; a->at += 64) __builtin_prefetch(a->at, 0, 3);
}

/* M = V U for one point: v [panels][c16][rows][16], u [c16 * 16][wide], m [panels][rows][wide].
 * Calls wg_fetch panels * c16 times. */
typedef void (*wg_product)(int panels, int c16, const float *v, const float *u, float *m,
                           wg_ahead *ahead);

/* s [c16 * 16][wide] += sum over tiles of v [c16][tiles][16] times d [tiles][wide], for one point;
 * `fresh`: = instead of +=. Calls wg_fetch c16 times. */
typedef void (*wg_accumulate)(int tiles, int c16, bool fresh, const float *v, const float *d,
                              float *s, wg_ahead *ahead);

typedef struct wg_kernels {
  const char *name;
  cpu_isa isa;
  double error;    /* bound of its sums, see error_factor in backend.h */
  int panel, wide; /* most rows of a panel, and output channels; wide is a multiple of 16 */
  /* `count` tiles from number `first` become V, in panels of `rows`. Not `transformed`: the 36
   * values themselves. */
  void (*input)(const wg_grid *g, const wg_source *x, size_t first, int count, int rows,
                bool transformed, float *V, size_t plane);
  /* Likewise their 4x4 tiles become the first `count` of `tiles` of D, of 16 values if not
   * transformed; adds every value to sums[C rounded up to wide]. */
  void (*gradient)(const wg_grid *g, const wg_source *dz, size_t first, int count, int tiles,
                   bool transformed, float *D, size_t plane, float *sums);
  /* product[rows - 1][i] takes the first 16 (i + 1) of the `wide` output channels; the rest of m is
   * not written. */
  const wg_product (*product)[2];
  /* M of output channels wide * k .. goes back to outputs. */
  void (*output)(const wg_grid *g, const wg_target *y, size_t first, int count, int k,
                 const float *M, size_t plane);
  /* accumulate[i] takes the first 16 (i + 1) of the `wide` output channels; the rest of s is not
   * written. */
  wg_accumulate accumulate[2];
} wg_kernels;

/* The fastest row not beyond `isa`; NULL: there is none. */
const wg_kernels *wg_kernels_for(cpu_isa isa);
/* Rows of the table, fastest first; NULL after the last. */
const wg_kernels *wg_kernels_at(size_t i);

/* U of filters w [K][3][3][C]; `flip`: the filters of backward-data, turned by 180 degrees, with C
 * and K exchanged (the result is then laid out for K inputs and C outputs). */
void wg_filters(int wide, int C, int K, const float *w, bool flip, int threads, float *U);

/* dw [K][3][3][C] from `groups` partial S, added in order. */
void wg_filter_gradient(int wide, int C, int K, int groups, const float *S, int threads, float *dw);

static inline int wg_round(int x, int to) { return (x + to - 1) / to * to; }

/* Floats between two points for blocks of `floats` each. */
static inline size_t wg_plane(size_t floats) { return ((floats + 15) / 16 | 1) * 16; }

#endif
