/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: an architecture cut into stages, each prepared by the backend that is expected to run it
 * fastest, with all sizes known. Nothing large is allocated here.
 */
#ifndef NET_PLAN_H
#define NET_PLAN_H

#include "backend/backend.h"
#include "net/net.h"
#include "vgg/plan.h"

/* A stage has two layers at least, but for the last: no architecture has more. */
enum { PLAN_MAX_STAGES = NET_MAX_LAYERS / 2 };

typedef struct plan_stage {
  stage *impl; /* owned */
  int first_layer, num_layers;
  int weight, bias;          /* into params */
  int dropout_layer;         /* -1: none */
  stage_cost cost;           /* as expected */
  char others[320];          /* why nobody else runs it */
  size_t x_floats, y_floats; /* elements of one image's edges */
} plan_stage;

typedef struct plan {
  vgg_arch *arch; /* owned copy */
  net_params params;
  stage_env env;
  bool force_winograd; /* every 3x3 convolution of stride 1 runs on own kernels or not at all */
  char device[16];
  int num_stages;
  plan_stage stages[PLAN_MAX_STAGES];
  /* Arena sizes in bytes for max_n images. */
  size_t masters, gradients, packs, activations, edge_gradients, aux, masks, workspace, library;
  size_t optimizer; /* the trainer's: what the rule of the options keeps from step to step */
} plan;

/* What `--precision auto` means: true fp32 where own kernels do with a quarter of the products,
 * bf16 where the processor multiplies it so fast that this does not matter, or without them. */
bool plan_prefers_bf16(cpu_isa isa, const char *backend_name, bool no_winograd);

/* options may be NULL. Fails as vgg_plan_describe. */
vgg_status plan_create(const vgg_arch *arch, const vgg_run_options *options, bool training,
                       plan **out, vgg_error *err);
void plan_close(plan *p);

#endif
