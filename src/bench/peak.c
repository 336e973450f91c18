/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/peak.h"

#include <omp.h>
#include <stddef.h>

#include "base/clock.h"
#include "bench/sample.h"

#define PEAK(row) extern const peak_loop row;
#include "bench/peak.def"
#undef PEAK

static const peak_loop *const loops[] = {
#define PEAK(row) &row,
#include "bench/peak.def"
#undef PEAK
};

static const peak_loop *loop_for(cpu_isa isa) {
  size_t i = 0;
  while (loops[i]->isa > isa) i++;
  return loops[i];
}

/* Seconds in which every thread has done so many rounds. */
static double once(const peak_loop *loop, int threads, long rounds) {
  const double start = clock_seconds();
  float sum = 0; /* asked for, so that no compiler leaves the loops out */
#pragma omp parallel num_threads(threads) reduction(+ : sum)
  sum += loop->run(rounds);
  const double took = clock_seconds() - start;
  return sum > 0 ? took : -took;
}

/* Of three: one that lost its processor for a while says nothing about the loop. */
static double least_of(const peak_loop *loop, int threads, long rounds) {
  double least = once(loop, threads, rounds);
  for (int i = 0; i < 2; i++) {
    const double took = once(loop, threads, rounds);
    if (took < least) least = took;
  }
  return least;
}

double peak_measure(cpu_isa isa, int threads, double seconds) {
  enum { PARTS = 20 };
  const peak_loop *loop = loop_for(isa);
  long rounds = 1000;
  while (least_of(loop, threads, rounds) < seconds / PARTS / 2) rounds *= 2;
  sample parts = {0};
  for (int i = 0; i < PARTS; i++)
    sample_add(&parts, (double)rounds * loop->flop * threads / once(loop, threads, rounds) * 1e-9);
  return sample_median(&parts);
}
