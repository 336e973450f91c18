/* SPDX-License-Identifier: Apache-2.0
 *
 * The filters' gradient sums over tiles, and a sum's order must not depend on the threads.
 *
 *   small S   the tiles are divided into groups, each with an S of its own and summed in order by
 *             one thread, with V and D in its own caches; then the groups are added in order
 *   large S   the threads transform a block of tiles together and then divide S, by point and strip
 *             of output channels: there is one S, and it passes by once for many tiles. Point after
 *             point, so that a point's V stays in the second-level cache while its strips go by
 *   few products   likewise, but tap by tap from the tiles' values themselves: the rounding of a
 *             transform, nothing beside that of a long sum, would be several times a short one's
 *
 * Which way is taken, and all numbers of groups and tiles, depend on the shape alone.
 */
#include <omp.h>
#include <string.h>

#include "backend/native/winograd_stage.h"

enum { CHUNK = 8, GROUPS = 8, TAPS = 3 };
enum { FEW_PRODUCTS = 9 * 32 }; /* of a sum; forward's shortest within the bound on accuracy */

/* Measured: eight S of 32 MB, or of 16 where planes are small. Large planes with their sources
 * would pass through the third-level cache beside V, D and S, which is slow when others use it,
 * too. */
static bool is_large(const wg_stage *s, int C, int K) {
  enum { SMALL_PLANE = 64, BOUND = 32 << 20, SMALL_BOUND = 16 << 20 };
  const size_t bound = s->grid.TY * s->grid.TX <= SMALL_PLANE ? SMALL_BOUND : BOUND;
  return (size_t)wg_round(C, WG_LANES) * (size_t)wg_round(K, WG_LANES) >
         bound / (GROUPS * WG_POINTS * sizeof(float));
}

/* Measured. V and D of a group's block lie beside its S in the second-level cache, those of all
 * threads in the third; an S that does not lie there with them wants more tiles for its passage. */
static size_t block_tiles(const wg_stage *s, int C, int K) {
  enum { GROUP = 28, TOGETHER = 64, LONG = 96, MOST = 256 * 256 };
  if (!is_large(s, C, K)) return GROUP;
  return wg_round(C, WG_LANES) * wg_round(K, WG_LANES) <= MOST ? TOGETHER : LONG;
}

static size_t most_tiles(const wg_stage *s, int C, int K) { return block_tiles(s, C, K) * 5 / 4; }

static size_t v_plane(size_t tiles, int C) {
  return wg_plane(tiles * (size_t)wg_round(C, WG_LANES));
}

static size_t d_plane(const wg_stage *s, size_t tiles, int K) {
  return wg_plane(tiles * (size_t)wg_round(K, s->kernels->wide));
}

static size_t v_and_d(const wg_stage *s, size_t tiles, int C, int K) {
  return WG_POINTS * (v_plane(tiles, C) + d_plane(s, tiles, K));
}

static size_t chunks_of(size_t tiles) { return (tiles + CHUNK - 1) / CHUNK; }

size_t wg_reduce_floats(const wg_stage *s, int C, int K) {
  const size_t padded = (size_t)wg_round(K, s->kernels->wide), S = wg_u_floats(s, C, K);
  const size_t work = v_and_d(s, most_tiles(s, C, K), C, K);
  if (is_large(s, C, K)) return work + S + chunks_of(most_tiles(s, C, K)) * padded;
  return (size_t)s->base.env.threads * work + GROUPS * (S + padded);
}

/* Of a strip's output channels those that there are, in sixteens. */
static wg_accumulate accumulate_of(const wg_kernels *k, int K, size_t strip) {
  const size_t outs = wg_least((size_t)K - strip * (size_t)k->wide, (size_t)k->wide);
  return k->accumulate[(outs - 1) / WG_LANES];
}

/* ---- small S --------------------------------------------------------------------------------- */

/* The sums of one group: its range of tiles, block by block. */
static void reduce_group(const wg_stage *s, const wg_source *x, const wg_source *dz, size_t first,
                         size_t stop, float *scratch, float *S, float *sums) {
  const wg_kernels *k = s->kernels;
  const int c16 = wg_round(x->C, WG_LANES) / WG_LANES, strips = wg_strips(s, dz->C);
  const size_t s_step = (size_t)(c16 * WG_LANES * k->wide), calls = (size_t)(WG_POINTS * strips);
  const size_t block = block_tiles(s, x->C, dz->C), times = calls / 2 * (size_t)c16;
  memset(sums, 0, (size_t)(strips * k->wide) * sizeof *sums);
  if (first == stop) memset(S, 0, calls * s_step * sizeof *S);
  for (size_t t = first, count; t < stop; t += count) {
    count = wg_next_block(stop - t, block);
    const size_t next = t + count, following = wg_next_block(stop - next, block);
    wg_ahead ahead[] = {wg_look_ahead(&s->grid, x, next, following, times),
                        wg_look_ahead(&s->grid, dz, next, following, times)};
    const size_t vp = v_plane(count, x->C), dp = d_plane(s, count, dz->C);
    float *V = scratch, *D = scratch + WG_POINTS * vp;
    k->input(&s->grid, x, t, (int)count, (int)count, true, V, vp);
    k->gradient(&s->grid, dz, t, (int)count, (int)count, true, D, dp, sums);
    for (size_t call = 0; call < calls; call++) {
      const size_t p = call / (size_t)strips, strip = call % (size_t)strips;
      accumulate_of(k, dz->C, strip)((int)count, c16, t == first, V + p * vp,
                                     D + p * dp + strip * count * (size_t)k->wide,
                                     S + call * s_step, &ahead[call % 2]);
    }
  }
}

static void reduce_groups(const wg_stage *s, size_t tiles, const wg_source *x, const wg_source *dz,
                          float *scratch, float *S, float *sums) {
  const int threads = s->base.env.threads;
  const size_t work = v_and_d(s, most_tiles(s, x->C, dz->C), x->C, dz->C);
  const size_t S_floats = wg_u_floats(s, x->C, dz->C);
  const size_t padded = (size_t)wg_round(dz->C, s->kernels->wide);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (size_t g = 0; g < GROUPS; g++)
    reduce_group(s, x, dz, tiles * g / GROUPS, tiles * (g + 1) / GROUPS,
                 scratch + (size_t)omp_get_thread_num() * work, S + g * S_floats,
                 sums + g * padded);
}

/* ---- large S or few products ----------------------------------------------------------------- */

typedef struct block_work {
  const wg_source *x, *dz;
  bool transformed; /* else V holds 6x6, D 4x4 values of a tile, and S the nine taps */
  size_t first, count, next_count, v_plane, d_plane;
  float *V, *D;
} block_work;

/* The bias' sums stay apart by chunk. */
static void transform_chunk(const wg_stage *s, const block_work *b, size_t chunk, float *sums) {
  const wg_kernels *k = s->kernels;
  const size_t tile = chunk * CHUNK;
  const int count = (int)wg_least(b->count - tile, CHUNK), all = (int)b->count;
  memset(sums, 0, (size_t)wg_round(b->dz->C, k->wide) * sizeof *sums);
  k->input(&s->grid, b->x, b->first + tile, count, all, b->transformed, b->V + tile * WG_LANES,
           b->v_plane);
  k->gradient(&s->grid, b->dz, b->first + tile, count, all, b->transformed,
              b->D + tile * (size_t)k->wide, b->d_plane, sums);
}

/* One point, or one tap, of a strip of output channels: S of it. */
static void reduce_unit(const wg_stage *s, const block_work *b, size_t strip, size_t p, bool fresh,
                        float *S, wg_ahead *ahead) {
  const int c16 = wg_round(b->x->C, WG_LANES) / WG_LANES, count = (int)b->count;
  const float *D = b->D + strip * b->count * (size_t)s->kernels->wide;
  const wg_accumulate accumulate = accumulate_of(s->kernels, b->dz->C, strip);
  if (b->transformed) {
    accumulate(count, c16, fresh, b->V + p * b->v_plane, D + p * b->d_plane, S, ahead);
    return;
  }
  for (size_t i = 0; i < 4; i++)
    for (size_t j = 0; j < 4; j++)
      accumulate(count, c16, fresh && i + j == 0,
                 b->V + ((i + p / TAPS) * 6 + j + p % TAPS) * b->v_plane,
                 D + (4 * i + j) * b->d_plane, S, ahead);
}

/* This thread's share of the next block's sources, to be fetched with its `units`. */
static void look_ahead(const wg_stage *s, const block_work *b, size_t units, wg_ahead ahead[2]) {
  const size_t thread = (size_t)omp_get_thread_num(), all = (size_t)omp_get_num_threads();
  const size_t begin = b->next_count * thread / all, end = b->next_count * (thread + 1) / all;
  const size_t first = b->first + b->count + begin;
  const size_t c16 = (size_t)wg_round(b->x->C, WG_LANES) / WG_LANES;
  const size_t times = wg_most(units / all / 2 * c16, 1);
  ahead[0] = wg_look_ahead(&s->grid, b->x, first, end - begin, times);
  ahead[1] = wg_look_ahead(&s->grid, b->dz, first, end - begin, times);
}

static void reduce_block(const wg_stage *s, const block_work *b, bool fresh, float *S, float *sums,
                         float *db) {
  const wg_kernels *k = s->kernels;
  const int threads = s->base.env.threads, c16 = wg_round(b->x->C, WG_LANES) / WG_LANES;
  const size_t strips = (size_t)wg_strips(s, b->dz->C);
  const size_t units = strips * (b->transformed ? WG_POINTS : TAPS * TAPS);
  const size_t s_step = (size_t)(c16 * WG_LANES * k->wide), chunks = chunks_of(b->count);
  const size_t padded = (size_t)wg_round(b->dz->C, k->wide);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (size_t chunk = 0; chunk < chunks; chunk++)
      transform_chunk(s, b, chunk, sums + chunk * padded);
    wg_ahead ahead[2];
    look_ahead(s, b, units, ahead);
#pragma omp for schedule(static)
    for (size_t unit = 0; unit < units; unit++)
      reduce_unit(s, b, unit % strips, unit / strips, fresh, S + unit * s_step, &ahead[unit % 2]);
  }
  for (int i = 0; i < b->dz->C; i++) {
    float sum = fresh ? 0 : db[i];
    for (size_t chunk = 0; chunk < chunks; chunk++) sum += sums[chunk * padded + (size_t)i];
    db[i] = sum;
  }
}

static void reduce_together(const wg_stage *s, size_t tiles, const wg_source *x,
                            const wg_source *dz, bool transformed, float *scratch, float *S,
                            float *sums, float *db) {
  const size_t block = block_tiles(s, x->C, dz->C);
  block_work b = {.x = x, .dz = dz, .transformed = transformed};
  for (; b.first < tiles; b.first += b.count) {
    b.count = wg_next_block(tiles - b.first, block);
    b.next_count = wg_next_block(tiles - b.first - b.count, block);
    b.v_plane = v_plane(b.count, x->C), b.d_plane = d_plane(s, b.count, dz->C);
    b.V = scratch, b.D = scratch + WG_POINTS * b.v_plane;
    reduce_block(s, &b, b.first == 0, S, sums, db);
  }
}

/* dw [K][3][3][C] from S [9][K/wide][C][wide]. */
static void turn_taps(int wide, int C, int K, const float *S, int threads, float *dw) {
  const int strips = wg_round(K, wide) / wide;
  const size_t step = (size_t)(wg_round(C, WG_LANES) * wide);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int k = 0; k < K; k++)
    for (int tap = 0; tap < TAPS * TAPS; tap++) {
      const float *from = S + (size_t)(tap * strips + k / wide) * step + k % wide;
      float *to = dw + ((size_t)k * TAPS * TAPS + (size_t)tap) * (size_t)C;
      for (int c = 0; c < C; c++) to[c] = from[(size_t)(c * wide)];
    }
}

/* ---- all ways -------------------------------------------------------------------------------- */

void wg_reduce(const wg_stage *s, int n, const wg_source *x, const wg_source *dz, float *scratch,
               float *dw, float *db) {
  const int C = x->C, K = dz->C, threads = s->base.env.threads, wide = s->kernels->wide;
  const size_t tiles = wg_tiles(s, n), work = v_and_d(s, most_tiles(s, C, K), C, K);
  const size_t padded = (size_t)wg_round(K, wide), S_floats = wg_u_floats(s, C, K);
  const bool few = n * s->grid.H * s->grid.W < FEW_PRODUCTS;
  if (few || is_large(s, C, K)) {
    float *S = scratch + work;
    reduce_together(s, tiles, x, dz, !few, scratch, S, S + S_floats, db);
    if (few)
      turn_taps(wide, C, K, S, threads, dw);
    else
      wg_filter_gradient(wide, C, K, 1, S, threads, dw);
    return;
  }
  float *S = scratch + (size_t)threads * work, *sums = S + GROUPS * S_floats;
  reduce_groups(s, tiles, x, dz, scratch, S, sums);
  wg_filter_gradient(wide, C, K, GROUPS, S, threads, dw);
  for (size_t k = 0; k < (size_t)K; k++) {
    db[k] = sums[k];
    for (size_t g = 1; g < GROUPS; g++) db[k] += sums[g * padded + k];
  }
}
