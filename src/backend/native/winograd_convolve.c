/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward and backward-data: how tiles and output channels are divided.
 *
 *   many tiles   every thread has a range of tiles of its own and takes it block by block, with V
 *                and M in its own caches; U passes by once a block
 *   few tiles    the threads transform all tiles together and then divide the strips of output
 *                channels, so that each part of U is read by one thread
 *
 * No sum is divided, so both give the same bits, whatever the number of threads.
 */
#include <omp.h>

#include "backend/native/winograd_stage.h"

/* Tiles in a block, measured: so few that V and M stay in the second-level cache while U, read once
 * a block, passes through it. Small U stays there as well; large U comes from memory, and only many
 * tiles can make up for that. */
int wg_block_tiles(int C) { return C <= 32 ? 28 : C <= 256 ? 14 : 56; }

/* How tiles stand in panels: as few as can be, of equal rows but for the last, which has what is
 * left: 49 tiles in 13, 13, 13 and 10. */
typedef struct panels {
  int count, rows, last;
} panels;

static panels panels_for(const wg_stage *s, size_t tiles) {
  const int most = s->kernels->panel, all = (int)tiles, count = (all + most - 1) / most;
  const int rows = (all + count - 1) / count;
  return (panels){count, rows, all - (count - 1) * rows};
}

static size_t v_plane(const wg_source *x, size_t tiles) {
  return wg_plane(tiles * (size_t)wg_round(x->C, WG_LANES));
}

static size_t m_plane(const wg_stage *s, size_t tiles) {
  return wg_plane(tiles * (size_t)s->kernels->wide);
}

/* Floats for the V of one thread's tiles, a quarter more than a block at most, and their M. */
static size_t own_floats(const wg_stage *s, const wg_source *x) {
  const size_t tiles = (size_t)wg_block_tiles(x->C) * 5 / 4;
  return WG_POINTS * (v_plane(x, tiles) + m_plane(s, tiles));
}

size_t wg_convolve_floats(const wg_stage *s, int C) {
  const size_t threads = (size_t)s->base.env.threads, block = (size_t)wg_block_tiles(C);
  const size_t all = wg_least(threads * block, wg_tiles(s, s->base.env.max_n));
  const wg_source x = {.C = C};
  const size_t together = WG_POINTS * (v_plane(&x, all) + threads * m_plane(s, all));
  return wg_most(threads * own_floats(s, &x), together);
}

wg_ahead wg_look_ahead(const wg_grid *g, const wg_source *s, size_t first, size_t count,
                       size_t times) {
  enum { LINE = 64 };
  const size_t H = (size_t)(s->masks ? g->H / 2 : g->H), W = (size_t)(s->masks ? g->W / 2 : g->W);
  const size_t TY = (size_t)g->TY, TX = (size_t)g->TX, tile = s->masks ? 2 : 4;
  const size_t begin = (first + TX - 1) / TX, end = (first + count + TX - 1) / TX;
  const size_t row = W * (size_t)s->C * (s->bf16 ? 2 : 4);
  /* All images' rows are one after the other. */
  const size_t top = begin / TY * H + begin % TY * tile + 1;
  size_t bottom = end / TY * H + end % TY * tile + 1;
  if (bottom < top) bottom = top;
  const size_t lines = ((bottom - top) * row / times + LINE - 1) / LINE;
  const char *values = s->values;
  return (wg_ahead){values + top * row, values + bottom * row, lines * LINE};
}

/* A strip of output channels takes panels p .. stop - 1: 36 products, transformed back. V is that
 * of the tiles from number `first` on, `count` in all. */
typedef struct strip_work {
  const wg_source *x;
  const wg_target *y;
  const float *U, *V;
  size_t v_plane, first, count;
  panels panels;
} strip_work;

/* The first tile of panel p, and of panels p .. stop - 1 those that are full. */
static size_t tile_of_panel(const strip_work *w, int p) {
  return wg_least((size_t)(p * w->panels.rows), w->count);
}
static int full_panels(const strip_work *w, int p, int stop) {
  return stop - p - (stop == w->panels.count && w->panels.last < w->panels.rows);
}

/* V of panels p .. stop - 1, the last panel of all by itself: its rows are fewer. */
static void transform_panels(const wg_stage *s, const strip_work *w, int p, int stop, float *V) {
  const int C = wg_round(w->x->C, WG_LANES), full = p < stop ? full_panels(w, p, stop) : 0;
  const size_t tile = tile_of_panel(w, p), last = tile_of_panel(w, p + full);
  s->kernels->input(&s->grid, w->x, w->first + tile, full * w->panels.rows, w->panels.rows, true,
                    V + tile * (size_t)C, w->v_plane);
  if (p + full < stop)
    s->kernels->input(&s->grid, w->x, w->first + last, w->panels.last, w->panels.last, true,
                      V + last * (size_t)C, w->v_plane);
}

static void multiply_strip(const wg_stage *s, const strip_work *w, int strip, int p, int stop,
                           wg_ahead next[2], float *M) {
  const wg_kernels *k = s->kernels;
  const int C = wg_round(w->x->C, WG_LANES), c16 = C / WG_LANES, full = full_panels(w, p, stop);
  const int left = w->y->C - strip * k->wide, outs = left < k->wide ? left : k->wide;
  const size_t u_step = (size_t)(C * k->wide), tile = tile_of_panel(w, p);
  const size_t tiles = tile_of_panel(w, stop) - tile, mp = m_plane(s, tiles);
  const size_t before_last = (size_t)(full * w->panels.rows);
  const wg_product product = k->product[w->panels.rows - 1][(outs - 1) / WG_LANES];
  const wg_product product_last = k->product[w->panels.last - 1][(outs - 1) / WG_LANES];
  const float *U = w->U + (size_t)(strip * WG_POINTS) * u_step;
  for (size_t point = 0; point < WG_POINTS; point++, U += u_step) {
    const float *V = w->V + point * w->v_plane + tile * (size_t)C;
    if (full) product(full, c16, V, U, M + point * mp, &next[point % 2]);
    if (p + full < stop)
      product_last(1, c16, V + before_last * (size_t)C, U,
                   M + point * mp + before_last * (size_t)k->wide, &next[point % 2]);
  }
  k->output(&s->grid, w->y, w->first + tile, (int)tiles, strip, M, mp);
}

static void convolve_range(const wg_stage *s, strip_work w, size_t first, size_t stop,
                           float *scratch) {
  const int strips = wg_strips(s, w.y->C);
  const size_t block = (size_t)wg_block_tiles(w.x->C);
  const size_t times = (size_t)(WG_POINTS / 2 * strips * (wg_round(w.x->C, WG_LANES) / WG_LANES));
  const wg_source positive = {.values = w.y->positive, .bf16 = w.y->bf16, .C = w.y->C};
  for (w.first = first; w.first < stop; w.first += w.count) {
    w.count = wg_next_block(stop - w.first, block);
    w.panels = panels_for(s, w.count);
    w.v_plane = v_plane(w.x, w.count);
    w.V = scratch;
    const size_t next = w.first + w.count, following = wg_next_block(stop - next, block);
    const size_t each = times * (size_t)w.panels.count;
    wg_ahead ahead[2] = {wg_look_ahead(&s->grid, w.x, next, following, each)};
    if (positive.values) ahead[1] = wg_look_ahead(&s->grid, &positive, next, following, each);
    transform_panels(s, &w, 0, w.panels.count, scratch);
    for (int strip = 0; strip < strips; strip++)
      multiply_strip(s, &w, strip, 0, w.panels.count, ahead, scratch + WG_POINTS * w.v_plane);
  }
}

static void convolve_apart(const wg_stage *s, const strip_work *w, size_t tiles, float *scratch) {
  const int threads = s->base.env.threads;
  const size_t each = own_floats(s, w->x);
#pragma omp parallel num_threads(threads)
  {
    const size_t thread = (size_t)omp_get_thread_num(), all = (size_t)omp_get_num_threads();
    convolve_range(s, *w, tiles * thread / all, tiles * (thread + 1) / all,
                   scratch + thread * each);
  }
}

static void convolve_together(const wg_stage *s, strip_work w, size_t tiles, float *scratch) {
  const int threads = s->base.env.threads, strips = wg_strips(s, w.y->C);
  w.count = tiles;
  w.panels = panels_for(s, tiles);
  w.v_plane = v_plane(w.x, tiles);
  w.V = scratch;
  float *M = scratch + WG_POINTS * w.v_plane;
  const size_t m_each = WG_POINTS * m_plane(s, tiles);
  const int count = w.panels.count, units = strips * count;
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num(), all = omp_get_num_threads();
    transform_panels(s, &w, count * thread / all, count * (thread + 1) / all, scratch);
#pragma omp barrier
    const int stop = units * (thread + 1) / all;
    wg_ahead nothing[2] = {0};
    for (int unit = units * thread / all, next; unit < stop; unit = next) {
      const int strip = unit / count, begin = strip * count;
      next = begin + count < stop ? begin + count : stop;
      multiply_strip(s, &w, strip, unit - begin, next - begin, nothing,
                     M + (size_t)thread * m_each);
    }
  }
}

void wg_convolve(const wg_stage *s, int n, const wg_source *x, const wg_target *y, const float *U,
                 float *scratch) {
  const size_t tiles = wg_tiles(s, n);
  const strip_work w = {.x = x, .y = y, .U = U};
  const size_t threads = (size_t)s->base.env.threads;
  if (threads > 1 && tiles < threads * (size_t)wg_block_tiles(x->C))
    convolve_together(s, w, tiles, scratch);
  else
    convolve_apart(s, &w, tiles, scratch);
}
