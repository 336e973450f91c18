/* SPDX-License-Identifier: Apache-2.0
 *
 * A few measurements of one thing, and their median.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stdlib.h>
#include <string.h>

enum { SAMPLE_MAX = 4096 };

typedef struct sample {
  int count;
  double at[SAMPLE_MAX];
} sample;

/* Beyond SAMPLE_MAX nothing is added. */
static inline void sample_add(sample *s, double x) {
  if (s->count < SAMPLE_MAX) s->at[s->count++] = x;
}

static inline int sample_compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The q-quantile, 0 the least, .5 the median, 1 the largest; sorts. */
static inline double sample_quantile(sample *s, double q) {
  if (s->count == 0) return 0;
  qsort(s->at, (size_t)s->count, sizeof s->at[0], sample_compare);
  return s->at[(int)(q * (s->count - 1) + 0.5)];
}

static inline double sample_median(sample *s) { return sample_quantile(s, 0.5); }

#endif
