/* SPDX-License-Identifier: Apache-2.0
 *
 * The fp32 peak of this machine, measured: multiply-adds on registers alone, on all threads at
 * once.
 */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "base/cpu.h"

/* One instruction set's loop. */
typedef struct peak_loop {
  const char *name;
  cpu_isa isa;
  double flop; /* of one round: a multiply-add is two */
  /* Runs `rounds` rounds; returns a number that depends on all of them. */
  float (*run)(long rounds);
} peak_loop;

/* GFLOP/s of `threads` threads for about `seconds` with registers as wide as `isa` allows: the
 * median of some twenty parts. */
double peak_measure(cpu_isa isa, int threads, double seconds);

#endif
