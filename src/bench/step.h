/* SPDX-License-Identifier: Apache-2.0
 *
 * A net with random weights and pictures that can do steps: what `vgg bench` times.
 */
#ifndef BENCH_STEP_H
#define BENCH_STEP_H

#include "net/engine.h"
#include "vgg/bench.h"

typedef struct bench_net {
  bool training;
  int n;
  engine *engine; /* owned */
  float *masters; /* owned */
  uint8_t *pixels;
  int32_t *labels;
  uint32_t *ids;
} bench_net;

/* Fails as plan_create, with VGG_NO_MEMORY too. Free with bench_net_close, also after a failure. */
vgg_status bench_net_open(bench_net *b, const vgg_arch *arch, const vgg_bench_options *options,
                          vgg_error *err);
void bench_net_close(bench_net *b);

/* From the batch in memory to the updated weights, or to the logits. */
vgg_status bench_net_step(bench_net *b, vgg_error *err);

#endif
