/* SPDX-License-Identifier: Apache-2.0
 *
 * The `native` backend: our own kernels. Each way of running a stage has a prepare of the
 * backend's form; native.c asks them in turn.
 */
#ifndef NATIVE_NATIVE_H
#define NATIVE_NATIVE_H

#include "backend/backend.h"

#define NATIVE_NAME "native"

/* 3x3 convolutions of one to three channels, the first layer of a net: direct. */
vgg_status first_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                         size_t size, vgg_error *err);

/* 3x3 convolutions of 16 channels and more: Winograd. */
vgg_status winograd_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                            size_t size, vgg_error *err);

/* Linear layers in fp32. */
vgg_status linear_prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                          size_t size, vgg_error *err);

#endif
