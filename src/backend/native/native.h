/* SPDX-License-Identifier: Apache-2.0
 *
 * The `native` backend: our own kernels. Each way of running a stage has a prepare of the
 * backend's form; native.c asks them in turn.
 */
#ifndef NATIVE_NATIVE_H
#define NATIVE_NATIVE_H

#include "backend/backend.h"
#include "base/memory.h"

#define NATIVE_NAME "native"

/* Whether an fp32 output [..][K] of `bytes` should go past the caches: where it does not fit the
 * second-level cache, its lines come from memory only to be written over. Its reader fetches ahead
 * (measured: from there on never slower, with one image of 224x224 3 % of VGG-16). */
static inline bool native_streams(edge_type type, const void *values, int K, size_t bytes) {
  enum { KEPT = 1 << 20, LINE = 16 };
  return type == EDGE_F32 && K % LINE == 0 && (uintptr_t)values % MEM_ALIGN == 0 && bytes > KEPT;
}

/* 3x3 convolutions of one to three channels, the first layer of a net: F(2, 3) or direct. The pool,
 * if any, is 2x2, stride 2, and stands behind a ReLU. */
vgg_status first_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                         size_t size, vgg_error *err);

/* Other 3x3 convolutions: Winograd's F(4x4, 3x3). */
vgg_status winograd_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                            size_t size, vgg_error *err);

/* Linear layers in fp32. */
vgg_status linear_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                          size_t size, vgg_error *err);

#endif
