/* SPDX-License-Identifier: Apache-2.0
 *
 * checkkernel: every row of every list of kernels against plain definitions in double, and with
 * --bench its speed. A row that is wrong ends the program with what was found and wanted.
 */
#ifndef TESTS_KERNEL_CHECKKERNEL_H
#define TESTS_KERNEL_CHECKKERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct check_options {
  const char *row; /* this one alone; NULL: all */
  uint64_t seed;
  cpu_isa isa; /* not beyond this */
  int threads;
  /* --bench */
  const char *net;   /* "small", "vgg11" or "vgg16"; NULL: all */
  const char *layer; /* those whose names begin so; NULL: all */
  int batch;
  double seconds; /* a layer and direction */
} check_options;

/* Whether the row is asked for and runs here; says why not. */
bool check_wants(const check_options *o, const char *row, cpu_isa isa);

/* ---- families -------------------------------------------------------------------------------- */

void check_winograd(const check_options *o);
void check_first(const check_options *o);
void check_linear(const check_options *o);
void check_passes(const check_options *o);
void check_repack(const check_options *o);

/* The layers of the nets that native claims, beside oneDNN; 1 when one of them is slower. */
int bench_layers(const check_options *o);
/* Passes beside the row in plain C. */
void bench_passes(const check_options *o);

#endif
