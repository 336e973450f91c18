/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: who runs each part of a net on this machine, and what memory that takes.
 *
 * Describing a plan prepares everything that running would, but allocates no arena.
 */
#ifndef VGG_PLAN_H
#define VGG_PLAN_H

#include <stdbool.h>

#include "vgg/arch.h"
#include "vgg/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How to run. NULL or zero means the value in brackets. `auto` is the only word that chooses;
 * anything else that is absent here is refused with VGG_ABSENT. */
typedef struct vgg_run_options {
  const char *device;    /* auto, cpu, cuda, cuda:i [auto: the tutorial's try_gpu] */
  const char *backend;   /* auto, native, onednn, reference [auto] */
  const char *precision; /* auto, fp32, bf16 [auto: bf16 with AMX, else fp32 on own kernels] */
  const char *winograd;  /* auto, on, off: fewer products in 3x3 layers [auto: if faster] */
  const char *isa;       /* auto, avx2, avx512, avx512bf16, amx: narrows, never widens [auto] */
  const char *optimizer; /* sgd, momentum, nesterov, caffe, adamw [the recipe's: sgd] */
  int threads;           /* compute threads [the processors this process may use] */
  int batch;             /* largest number of images a step takes [128] */
} vgg_run_options;

/* One fused run of layers. */
typedef struct vgg_stage_info {
  int first_layer, num_layers; /* into the architecture */
  const char *backend;         /* who runs it: "onednn", "reference" */
  char detail[160];            /* its kernels, e.g. "brgconv:avx512_core_bf16, 8 images a chunk" */
  /* What the plan expects an image to cost: FLOP at the processor's fp32 peak. */
  double forward_cost, backward_cost;
  char others[320]; /* why no other backend runs it, each with its name */
} vgg_stage_info;

typedef struct vgg_memory_line {
  char name[48];
  uint64_t bytes;
} vgg_memory_line;

typedef struct vgg_plan_info {
  char device[16], precision[8], isa[16]; /* as chosen */
  int threads, batch;
  int num_stages;
  vgg_stage_info *stages; /* [num_stages] */
  int num_inference, num_training;
  vgg_memory_line *inference; /* [num_inference] lines that add up to the total */
  vgg_memory_line *training;  /* [num_training] likewise */
} vgg_plan_info;

/* Works out the plan for `arch`.
 *   options  borrowed; NULL means all defaults
 *   train, test  datasets whose caches are counted; borrowed; NULL leaves that line out
 *   out      on success owned by the caller: free with vgg_plan_info_free
 * Fails with VGG_ABSENT when the device, backend, precision or instruction set is not here,
 * with VGG_BAD_VALUE for unknown words. */
VGG_API vgg_status vgg_plan_describe(const vgg_arch *arch, const vgg_run_options *options,
                                     const vgg_dataset *train, const vgg_dataset *test,
                                     vgg_plan_info **out, vgg_error *err);
VGG_API void vgg_plan_info_free(vgg_plan_info *info);

/* One fact about this machine or this build, for `vgg info`. */
typedef struct vgg_fact {
  char name[32], value[224];
} vgg_fact;

/* Writes up to `max` facts (processor, features, threads, libraries with versions, backends, what
 * auto chooses) to `facts` and returns how many there are. */
VGG_API int vgg_system_facts(vgg_fact *facts, int max);

#ifdef __cplusplus
}
#endif
#endif
