/* SPDX-License-Identifier: Apache-2.0 */
#include "vgg/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/cost.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/layers.h"
#include "bench/peak.h"
#include "bench/sample.h"
#include "bench/step.h"

/* The direct products of an image in a step. */
static double step_flop(const plan *p) {
  double sum = 0;
  for (int i = 0; i < p->num_stages; i++) {
    const stage_spec *s = &p->stages[i].impl->spec;
    sum += cost_flop(s) * (p->env.training ? (s->need_dx ? 3 : 2) : 1);
  }
  return sum;
}

/* Steps until pages and caches are filled and every stage is as fast as it gets. */
static vgg_status warm_up(bench_net *b, vgg_error *err) {
  const plan *p = engine_plan(b->engine);
  int passes = 1;
  for (int i = 0; i < p->num_stages; i++)
    if (p->stages[i].impl->warm_passes > passes) passes = p->stages[i].impl->warm_passes;
  vgg_status status = VGG_OK;
  for (int i = 0; i < passes && status == VGG_OK; i++) status = bench_net_step(b, err);
  return status;
}

static vgg_status time_steps(bench_net *b, double seconds, vgg_bench_result *r, vgg_error *err) {
  sample *steps = calloc(1, sizeof *steps);
  if (!steps) return err_no_memory(err, "bench", sizeof *steps);
  vgg_status status = warm_up(b, err);
  const double begin = clock_seconds();
  while (status == VGG_OK && (steps->count < 5 || clock_seconds() - begin < seconds)) {
    const double start = clock_seconds();
    status = bench_net_step(b, err);
    sample_add(steps, clock_seconds() - start);
    if (steps->count == SAMPLE_MAX) break;
  }
  r->steps = steps->count;
  r->step_median = sample_median(steps);
  r->step_low = sample_quantile(steps, 0.25);
  r->step_high = sample_quantile(steps, 0.75);
  free(steps);
  return status;
}

static vgg_status run(bench_net *b, const vgg_bench_options *o, vgg_bench_result *r,
                      vgg_error *err) {
  const plan *p = engine_plan(b->engine);
  const double seconds = o->seconds > 0 ? o->seconds : 3;
  snprintf(r->precision, sizeof r->precision, "%s", p->env.bf16 ? "bf16" : "fp32");
  snprintf(r->isa, sizeof r->isa, "%s", cpu_isa_name(p->env.isa));
  cpu_model_name(r->processor, sizeof r->processor);
  r->threads = p->env.threads;
  r->batch = b->n;
  r->peak_before = peak_measure(p->env.isa, p->env.threads, 1);
  vgg_status status = time_steps(b, seconds, r, err);
  if (status != VGG_OK) return status;
  r->images_per_second = b->n / r->step_median;
  r->gflops = step_flop(p) * r->images_per_second * 1e-9;
  if (o->layers) status = bench_layers(b, seconds, r->peak_before, r, err);
  r->peak_after = peak_measure(p->env.isa, p->env.threads, 1);
  return status;
}

vgg_status vgg_bench(const vgg_arch *arch, const vgg_bench_options *options, vgg_bench_result **out,
                     vgg_error *err) {
  vgg_bench_result *r = calloc(1, sizeof *r);
  if (!r) return err_no_memory(err, "bench", sizeof *r);
  bench_net b = {0};
  vgg_status status = bench_net_open(&b, arch, options, err);
  if (status == VGG_OK) status = run(&b, options, r, err);
  bench_net_close(&b);
  if (status != VGG_OK) {
    vgg_bench_free(r);
    return status;
  }
  *out = r;
  return VGG_OK;
}

void vgg_bench_free(vgg_bench_result *result) {
  if (!result) return;
  free(result->layers);
  free(result);
}
