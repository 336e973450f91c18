/* SPDX-License-Identifier: Apache-2.0
 *
 * A net of two narrow convolutions and three small linear layers, learning to tell pictures of 8x8
 * pixels apart: a step takes well under a millisecond.
 */
#ifndef TESTS_TRAIN_TINY_H
#define TESTS_TRAIN_TINY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "vgg/vgg.h"

enum { TINY_BATCH = 4, TINY_HIDDEN = 96 };

typedef struct tiny {
  char dir[64]; /* a fresh directory for data and runs */
  vgg_arch *arch;
  vgg_dataset *train, *test;
} tiny;

/* Opens everything; fails the test if it cannot. */
void tiny_open(tiny *t, int train_count, int test_count);
void tiny_close(tiny *t); /* removes the directory, too */

/* dir/name in a buffer that lives until the eighth call after this one. */
const char *tiny_path(const tiny *t, const char *name);

/* Options that every test begins with: batch 4, lr .05, one thread, the reference backend. */
vgg_train_options tiny_options(const char *out);

/* A new run in dir/name with `options` (its `out` is set), not yet trained. */
vgg_trainer *tiny_create(const tiny *t, const char *name, vgg_train_options options);
/* The run resumed with `options`; NULL: none. */
vgg_trainer *tiny_resume(const tiny *t, const char *name, const vgg_train_options *options);

/* Trains until `steps` steps are done in the whole run, or to the end; closes the trainer. */
void tiny_train(vgg_trainer *trainer, uint64_t steps);

/* A file's text (free it); fails the test if there is none. */
char *tiny_read(const tiny *t, const char *run, const char *file);

/* Fails unless both runs have the same last and best weights, the same metrics but for timings and
 * the same curves. */
void assert_same_run(const tiny *t, const char *a, const char *b);

#endif
