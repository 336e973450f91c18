/* SPDX-License-Identifier: Apache-2.0
 *
 * Times every stage and direction in the course of whole steps.
 */
#ifndef BENCH_LAYERS_H
#define BENCH_LAYERS_H

#include "bench/step.h"

/* Fills result->layers. `peak` in GFLOP/s turns the plan's costs into time. */
vgg_status bench_layers(bench_net *b, double seconds, double peak, vgg_bench_result *result,
                        vgg_error *err);

#endif
