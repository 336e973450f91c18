/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/layers.h"

#include <stdlib.h>
#include <string.h>

#include "backend/cost.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/sample.h"

enum { PASSES = 3 };

/* Laps of every stage and pass; the engine calls lap() as each ends. */
typedef struct stopwatch {
  double last;
  sample *laps; /* [num_stages][PASSES] */
} stopwatch;

static void lap(void *user, int index, engine_pass pass) {
  stopwatch *w = user;
  const double now = clock_seconds();
  if (index >= 0) sample_add(&w->laps[index * PASSES + (int)pass], now - w->last);
  w->last = clock_seconds(); /* without the bookkeeping */
}

static vgg_bench_layer row_of(const plan *p, int index, int pass, sample *laps, double peak) {
  const plan_stage *st = &p->stages[index];
  const int n = p->env.max_n;
  const double scale = 1e6 / n, us = sample_median(laps) * scale;
  const double backward = st->cost.backward / (st->impl->spec.need_dx ? 2 : 1);
  vgg_bench_layer row = {
      .first_layer = st->first_layer,
      .num_layers = st->num_layers,
      .pass = (vgg_bench_pass)pass,
      .backend = st->impl->backend,
      .us = us,
      .spread = (sample_quantile(laps, 0.75) - sample_quantile(laps, 0.25)) * scale,
      .gflops = cost_flop(&st->impl->spec) / us * 1e-3,
      .gbytes = cost_bytes(&st->impl->spec, n) / us * 1e-3,
      .expected = (pass == VGG_BENCH_FORWARD ? st->cost.forward : backward) / peak * 1e-3};
  memcpy(row.kernels, st->impl->detail, sizeof row.kernels);
  return row;
}

vgg_status bench_layers(bench_net *b, double seconds, double peak, vgg_bench_result *result,
                        vgg_error *err) {
  const plan *p = engine_plan(b->engine);
  const size_t most = (size_t)p->num_stages * PASSES;
  stopwatch watch = {.laps = calloc(most, sizeof *watch.laps)};
  result->layers = calloc(most, sizeof *result->layers);
  if (!watch.laps || !result->layers) {
    free(watch.laps);
    return err_no_memory(err, "bench", most * sizeof *watch.laps);
  }
  engine_watch(b->engine, lap, &watch);
  vgg_status status = VGG_OK;
  const double start = clock_seconds();
  for (int runs = 0; status == VGG_OK && (runs < 3 || clock_seconds() - start < seconds); runs++)
    status = bench_net_step(b, err);
  engine_watch(b->engine, NULL, NULL);
  for (int i = 0; i < p->num_stages && status == VGG_OK; i++)
    for (int pass = 0; pass < PASSES; pass++) {
      sample *laps = &watch.laps[i * PASSES + pass];
      if (laps->count) result->layers[result->num_layers++] = row_of(p, i, pass, laps, peak);
    }
  free(watch.laps);
  return status;
}
