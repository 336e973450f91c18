/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast does a net train or run here, layer by layer, and how near is that to the processor's
 * peak?
 */
#ifndef VGG_BENCH_H
#define VGG_BENCH_H

#include <stdbool.h>

#include "vgg/arch.h"
#include "vgg/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vgg_bench_options {
  vgg_run_options run; /* batch: the images of every step */
  bool training;       /* whole training steps; else forward alone */
  bool layers;         /* also time every layer by itself */
  double seconds;      /* for whole steps, and as much again for the layers [3] */
} vgg_bench_options;

/* What a layer does at a time. */
typedef enum vgg_bench_pass {
  VGG_BENCH_FORWARD,
  VGG_BENCH_BACKWARD_DATA,    /* the gradient of its input */
  VGG_BENCH_BACKWARD_WEIGHTS, /* the gradient of its weights */
} vgg_bench_pass;

/* One fused run of layers in one direction. */
typedef struct vgg_bench_layer {
  int first_layer, num_layers; /* into the architecture */
  vgg_bench_pass pass;
  const char *backend; /* who ran it */
  char kernels[160];
  double us;       /* microseconds an image: the median */
  double spread;   /* from the quartile of the faster runs to that of the slower ones */
  double gflops;   /* GFLOP/s of the direct products, two a multiply-add, rim counted */
  double gbytes;   /* GB/s of what must move: input, output and weights once each */
  double expected; /* microseconds an image by the plan's cost model and the measured peak */
} vgg_bench_layer;

typedef struct vgg_bench_result {
  char precision[8], isa[16], processor[96];
  int threads, batch;
  double images_per_second;                /* by the median step */
  double step_median, step_low, step_high; /* seconds; low and high: the quartiles */
  int steps;
  double gflops;                  /* as for a layer, of whole steps */
  double peak_before, peak_after; /* GFLOP/s of fp32 multiply-adds on registers, all threads */
  int num_layers;                 /* 0 unless asked for */
  vgg_bench_layer *layers;        /* [num_layers] */
} vgg_bench_result;

/* Times `arch` with random weights and pictures. A training step is the tutorial's: from the batch
 * in memory to the updated weights. Layers are timed in the course of whole steps, so that they
 * find their data where training leaves it; for backward the two gradients are asked for one after
 * the other, and where a layer's update is one with its gradient, so is its time. The peak is
 * measured for a second just before and just after.
 *   options  borrowed
 *   out      on success owned by the caller: free with vgg_bench_free
 * Fails as vgg_plan_describe, with VGG_NO_MEMORY too. */
VGG_API vgg_status vgg_bench(const vgg_arch *arch, const vgg_bench_options *options,
                             vgg_bench_result **out, vgg_error *err);
VGG_API void vgg_bench_free(vgg_bench_result *result);

#ifdef __cplusplus
}
#endif
#endif
