/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward of one image by the inputs that are not 0, see linear.h.
 *
 * Behind a ReLU many inputs are 0: of the tutorial's net, trained, 76 % of fc6's and 74 % of fc7's,
 * of a drawn VGG-16 half. A layer takes as long as its weights for the others come from memory:
 * measured on two cores of Zen 4, 25088 -> 4096, 12 ms with all inputs, 6 with half of them, 3 with
 * a quarter, at 34 GB/s each time.
 *
 *   pack       w^T [C][K rounded up]
 *   workspace  numbers of the inputs that count | their values | all values |
 *              for every thread its units' sums, twice
 *
 * To turn all weights takes as long as several images, and who comes with a single one should not
 * pay for it. So the first image is taken from the masters, every further one turns a part more,
 * and the inputs beyond it come from the masters still. Both ways give the same bits: inputs are
 * summed in order, by groups, and a 0 times a number changes no sum. 0 times an infinity would be
 * NaN, so where a weight is not finite no input is left out.
 *
 * Threads divide the units, so that each reads long parts of rows of w^T and no sum depends on
 * their number.
 */
#include <omp.h>
#include <string.h>

#include "backend/native/linear_stage.h"
#include "base/finite.h"

enum {
  GROUP = 256,     /* inputs that are summed by themselves: sums of sums err less than long ones */
  TURN_UNITS = 256 /* turned at a time: the pages of so many rows stay known to the processor */
};

static size_t padded_units(const linear_stage *s) {
  return linear_round((size_t)s->base.spec.K, LINEAR_GROUP);
}

size_t linear_by_input_pack(const linear_stage *s) {
  return (size_t)s->base.spec.C * padded_units(s);
}

size_t linear_by_input_shared(const linear_stage *s) { return 3 * (size_t)s->base.spec.C; }

size_t linear_by_input_scratch(const linear_stage *s) { return 2 * padded_units(s); }

void linear_by_input_reset(linear_stage *s) {
  s->warm = false;
  s->finite = true;
  s->turned = 0;
}

/* ---- turning --------------------------------------------------------------------------------- */

/* The pack of inputs begin .. end - 1; says whether all their weights are finite. */
static bool turn_inputs(const linear_stage *s, const float *w, float *pack, size_t begin,
                        size_t end) {
  const size_t C = (size_t)s->base.spec.C, K = (size_t)s->base.spec.K, padded = padded_units(s);
  bool finite = true;
  for (size_t k = 0; k < K; k += TURN_UNITS)
    for (size_t c = begin; c < end; c += LINEAR_GROUP) {
      const size_t units = linear_least(TURN_UNITS, K - k);
      const size_t depth = linear_least(LINEAR_GROUP, end - c);
      const float *from = w + k * C + c;
      for (size_t u = 0; u < units; u++) finite = finite_all(from + u * C, depth) && finite;
      s->kernels->turn(units, depth, from, C, pack + c * padded + k, padded);
    }
  return finite;
}

/* The next part of the pack. */
static void turn_more(linear_stage *s, const stage_io *io) {
  const size_t C = (size_t)s->base.spec.C, begin = s->turned;
  const size_t some = linear_round(linear_parts(C, LINEAR_WARM_PASSES - 1), GROUP);
  const size_t end = linear_least(begin + some, C);
  bool finite = true;
#pragma omp parallel num_threads(s->base.env.threads) reduction(&& : finite)
  {
    const linear_range mine = linear_range_of(linear_parts(end - begin, LINEAR_GROUP));
    finite = turn_inputs(s, io->w, io->pack, begin + mine.begin * LINEAR_GROUP,
                         linear_least(begin + mine.end * LINEAR_GROUP, end));
  }
  s->finite = s->finite && finite;
  s->turned = end;
}

/* ---- summing --------------------------------------------------------------------------------- */

typedef struct by_input {
  const linear_stage *s;
  const stage_io *io;
  const float *x;       /* [C] */
  const int32_t *rows;  /* [count] inputs of the pack that count, ascending */
  const float *factors; /* [count] */
  int count;
} by_input;

static by_input list_inputs(const linear_stage *s, const stage_io *io) {
  const stage_spec *d = &s->base.spec;
  int32_t *rows = io->workspace;
  float *factors = (float *)io->workspace + d->C, *x = factors + d->C;
  by_input b = {.s = s, .io = io, .x = x, .rows = rows, .factors = factors};
  for (int i = 0; i < d->C; i++)
    x[i] =
        d->x_type == EDGE_F32 ? ((const float *)io->x)[i] : bf16_to_float(((const bf16 *)io->x)[i]);
  for (int i = 0; i < (int)s->turned; i++) {
    rows[b.count] = i;
    factors[b.count] = x[i];
    b.count += x[i] != 0 || !s->finite;
  }
  return b;
}

static void add(float *sums, const float *part, size_t count) {
  for (size_t u = 0; u < count; u++) sums[u] += part[u];
}

/* Groups of inputs from the pack, `count` units from `first` on. */
static void sum_turned(const by_input *b, size_t first, size_t count, float *sums, float *part) {
  const linear_stage *s = b->s;
  const size_t padded = padded_units(s);
  int done = 0;
  for (size_t c = GROUP; c < s->turned + GROUP; c += GROUP) {
    int end = done;
    while (end < b->count && (size_t)b->rows[end] < c) end++;
    memset(part, 0, count * sizeof *part);
    s->kernels->combine(&(linear_combination){.count = end - done,
                                              .rows = b->rows + done,
                                              .factors = b->factors + done,
                                              .w = (const float *)b->io->pack + first,
                                              .w_step = padded,
                                              .units = (int)count,
                                              .y = part});
    add(sums, part, count);
    done = end;
  }
}

/* Groups of inputs from the masters, `count` units that exist from `first` on. */
static void sum_masters(const by_input *b, size_t first, size_t count, float *sums, float *part) {
  const linear_stage *s = b->s;
  const size_t C = (size_t)s->base.spec.C;
  for (size_t c = s->turned; c < C; c += GROUP) {
    memset(part, 0, LINEAR_GROUP * sizeof *part);
    s->kernels->combine_columns(&(linear_combination){.count = (int)linear_least(GROUP, C - c),
                                                      .factors = b->x + c,
                                                      .w = b->io->w + first * C + c,
                                                      .w_step = C,
                                                      .units = (int)count,
                                                      .y = part});
    add(sums, part, LINEAR_GROUP);
  }
}

/* Units in whole groups of 16, some of which may not exist. */
static void sum_units(const by_input *b, size_t first, size_t count, float *sums) {
  const stage_spec *d = &b->s->base.spec;
  const size_t exist = linear_least(count, (size_t)d->K - first);
  float *part = sums + count;
  memset(sums, 0, count * sizeof *sums);
  sum_turned(b, first, count, sums, part);
  for (size_t u = 0; u < exist; u += LINEAR_GROUP)
    sum_masters(b, first + u, linear_least(LINEAR_GROUP, exist - u), sums + u, part);
  for (size_t u = 0; u < exist; u++)
    linear_store(d->y_type, b->io->y, first + u, sums[u] + b->io->b[first + u]);
}

void linear_forward_by_input(linear_stage *s, const stage_io *io) {
  if (s->warm && s->turned < (size_t)s->base.spec.C) turn_more(s, io);
  s->warm = true;
  const by_input b = list_inputs(s, io);
#pragma omp parallel num_threads(s->base.env.threads)
  {
    const linear_range groups = linear_range_of(padded_units(s) / LINEAR_GROUP);
    if (groups.begin < groups.end)
      sum_units(&b, groups.begin * LINEAR_GROUP, (groups.end - groups.begin) * LINEAR_GROUP,
                linear_scratch(s, io));
  }
}
