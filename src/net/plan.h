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

enum { PLAN_MAX_STAGES = NET_MAX_LAYERS };

typedef struct plan_stage {
  stage *impl; /* owned */
  int first_layer, num_layers;
  /* Into params, -1: none. Of a norm, weight and bias are its scale and shift. */
  int weight, bias, mean, variance;
  bool bias_is_lost; /* a norm follows: what the bias adds goes with the mean, its gradient is 0 */
  int scale, shift;  /* of the norm that is folded into this convolution, likewise */
  int dropout_layer; /* -1: none */
  stage_cost cost;   /* as expected */
  char others[320];  /* why nobody else runs it */
  size_t x_floats, y_floats; /* elements of one image's edges */
} plan_stage;

/* What a plan is for. */
typedef enum plan_use {
  PLAN_INFERENCE, /* batch norms are folded into the convolutions before them */
  PLAN_TRAINING,  /* stages that can apply the update where the gradient arises do so */
  PLAN_GRADIENTS  /* training with all gradients kept, for those who want to see or add them */
} plan_use;

enum { PLAN_NO_GRADIENT = -1 };

/* A part of a net: layers begin .. end - 1, of which those before `trained` take no gradient and
 * are never updated. A training plan's part ends with the net; an inference plan's may end before
 * any convolution or linear layer, and its last edge is then that of the plan which begins there.
 */
typedef struct plan_part {
  int begin, end, trained;
} plan_part;

typedef struct plan {
  vgg_arch *arch; /* owned copy */
  net_params params;
  stage_env env;
  bool force_winograd; /* every 3x3 convolution of stride 1 runs on own kernels or not at all */
  char device[16];
  int num_stages;
  plan_stage stages[PLAN_MAX_STAGES];
  int first_trained; /* the stages before it are frozen */
  size_t trained_at; /* where its parameters begin, in floats: what is trained lies behind */
  /* Where a parameter's gradient begins in the arena, in floats; PLAN_NO_GRADIENT: its stage
   * applies it where it arises, or it is a running statistic. As in params if all are there. */
  ptrdiff_t gradient_at[2 * NET_MAX_LAYERS];
  size_t kept_gradients; /* of edge_gradients: those that such stages keep until their update */
  /* Arena sizes in bytes for max_n images. */
  size_t masters, gradients, packs, activations, edge_gradients, aux, masks, workspace, library;
  size_t folded;           /* weights and biases of convolutions with their norms */
  size_t batch_statistics; /* of norms, from forward to the update */
  size_t optimizer;        /* the trainer's: what the rule of the options keeps from step to step */
} plan;

/* The whole net, all of it trained. */
plan_part plan_whole(const vgg_arch *arch);

/* What `--precision auto` means: true fp32 where own kernels do with a quarter of the products,
 * bf16 where the processor multiplies it so fast that this does not matter, or without them. */
bool plan_prefers_bf16(cpu_isa isa, const char *backend_name, bool no_winograd);

/* options may be NULL. Fails as vgg_plan_describe. */
vgg_status plan_create(const vgg_arch *arch, const vgg_run_options *options, plan_use use,
                       plan **out, vgg_error *err);
/* The same for a part of the net. Parameters keep their places in the masters of the whole. */
vgg_status plan_create_part(const vgg_arch *arch, const vgg_run_options *options, plan_use use,
                            const plan_part *part, plan **out, vgg_error *err);
void plan_close(plan *p);

/* The part of plan.folded that belongs to a stage with a folded norm: weights, then biases, each
 * rounded by mem_round. */
size_t plan_folded_bytes(const plan *p, const plan_stage *st);

#endif
