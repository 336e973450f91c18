/* SPDX-License-Identifier: Apache-2.0
 *
 * A stage with numbers to run it on, and what must come out, in double, with the error allowed.
 *
 * Kinds of numbers:
 *   random    uniform; judged by bounds (see problem.c). Where a ReLU's input or a pool's
 *             runner-up is so near to its kink that rounding may cross it, dy is made 0.
 *   offset    the same with 10^4 added to x and dy: what differences of neighbours would lose
 *   large     the same with x times 10^15
 *   normal    N(0, 1) for x, w and dy: what accuracies are compared on
 *   zeros     x is 0, so that all of a pool's window are equal: every maximum is a tie
 *   integers  -1, 0, 1: every sum is exact in any order, also in bf16, so that nothing is allowed
 *             but the rounding of an output; full of ties and zeros.
 */
#ifndef TESTS_BACKEND_PROBLEM_H
#define TESTS_BACKEND_PROBLEM_H

#include "backend/backend.h"

/* Values in double with the largest error that a right backend can make: `rest`, and `sum` for
 * direct sums or `tile` times the stage's error_factor for others. Those compute a 4x4 tile (or a
 * whole filter) together, so that the largest of its sums rounds all of them. */
typedef struct answer {
  size_t count;
  double *value, *sum, *tile, *rest;
} answer;

static inline double answer_error(const answer *a, size_t i, double factor) {
  return (factor > 1 ? factor * a->tile[i] : a->sum[i]) + a->rest[i];
}

typedef enum problem_values {
  VALUES_RANDOM,
  VALUES_OFFSET,
  VALUES_LARGE,
  VALUES_NORMAL,
  VALUES_ZEROS,
  VALUES_INTEGERS
} problem_values;

typedef struct problem {
  stage_spec spec;
  stage_env env;
  int n;
  double error_factor; /* the largest of all stages that are to run it */
  problem_values values;
  bool masked; /* dropout is on in this pass */
  size_t x_count, y_count, w_count;
  double *x, *w, *b, *dy; /* already rounded to the types that the stage reads */
  uint8_t *mask;
  answer y, dx, dw, db;
} problem;

/* Makes and solves one, by forward alone or by a training pass (with dropout, and gradients); ends
 * the test without memory. Free with problem_free. */
problem *problem_create(const stage_spec *spec, const stage_env *env, double error_factor, int n,
                        problem_values values, bool backward, uint64_t seed);
void problem_free(problem *p);

#endif
