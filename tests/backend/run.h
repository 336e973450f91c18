/* SPDX-License-Identifier: Apache-2.0
 *
 * A stage run on a problem, with guard bytes around every buffer. What is wrong ends the test.
 */
#ifndef TESTS_BACKEND_RUN_H
#define TESTS_BACKEND_RUN_H

#include "backend/problem.h"

/* Filled with NaN when fresh. */
typedef struct buffer {
  size_t size;
  uint8_t *start, *data;
} buffer;

buffer buffer_create(size_t size);
buffer buffer_of_values(edge_type type, size_t count, const double *x);
float buffer_at(edge_type type, const buffer *b, size_t i);
/* Ends the test when a guard byte was overwritten. */
void buffer_close(buffer *b, const char *name);

/* All that a stage reads and writes. */
typedef struct buffers {
  buffer x, w, b, mask, pack, workspace, aux, y, dy, dx, dw, db;
} buffers;

buffers buffers_create(const problem *p, const stage *s);
/* Ends the test when a guard or something that a stage only reads was written. */
void buffers_close(buffers *m, const problem *p);

/* Repack, forward and, as in training, all of backward. */
void run_stage(stage *s, const problem *p, buffers *m, bool backward);
/* After a training forward: the gradients that are wanted, from a fresh dy. */
void run_backward(stage *s, const problem *p, buffers *m, bool weights, bool data);

/* stage->error_factor, 1 where it is 0. */
double stage_error_factor(const stage *s);
/* Runs a stage and compares all that it wrote with the problem's answers; the largest error as a
 * part of the one allowed. */
double check_stage(stage *s, const problem *p, bool backward);

/* Wherever the reference has an infinity or a NaN, a kernel must have one or the other; it may have
 * more of them in the same image, for kernels of tiles spread them, but none in another. */
void assert_not_lost(const char *what, edge_type type, const buffer *got, const buffer *want,
                     size_t images);

#endif
