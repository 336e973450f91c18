/* SPDX-License-Identifier: Apache-2.0
 *
 * Loaders: batches made ahead of time by their own threads.
 *
 *   dataset -> order of the epoch -> decoded, resized as the model's rule says, or at random, and
 *   changed at random -> batch
 *
 * What a batch holds depends on (seed, epoch, its number) alone, never on the threads.
 *
 * A picture that cannot be read, or that the rule refuses, is missing from its batch: no other
 * takes its place, and the pictures of all other batches stay where they are. It is not tried
 * again.
 */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include <stdbool.h>

#include "data/augmentation.h"

typedef struct loader_options {
  const vgg_dataset *data; /* borrowed until loader_close */
  vgg_preprocess rule;
  int batch;
  bool shuffle; /* by Philox from (seed, epoch); else the dataset's order */
  uint64_t seed;
  augmentation augment; /* {0}: none */
  int workers;          /* threads; more than 3 only wait; 0 means 1, or for files up to 3 */
  double max_bad;       /* share of the pictures that may be bad; 0 means .01, negative none */
} loader_options;

typedef struct loader_batch {
  int n; /* 0 .. batch: the last batch of an epoch may be short, and bad pictures are missing */
  const uint8_t *pixels; /* [n][h][w][c] */
  const int32_t *labels; /* [n] */
  const uint32_t *ids;   /* [n] dataset indices */
  float share;           /* of picture i in row i, the rest is of n-1-i; 1 without mixup */
} loader_batch;

typedef struct loader loader;

/* Fails with VGG_BAD_VALUE if the dataset's channels do not fit the rule, VGG_NO_MEMORY. */
vgg_status loader_create(const loader_options *options, loader **out, vgg_error *err);
void loader_close(loader *l);

size_t loader_batches(const loader *l); /* in an epoch */

/* Begins an epoch at its batch `first`; drops what was under way. */
vgg_status loader_start(loader *l, uint32_t epoch, size_t first, vgg_error *err);
/* The next batch, lent until the next call; *out NULL after the epoch's last. Fails with
 * VGG_BAD_CONTENT when more pictures were bad than max_bad allows, VGG_NO_MEMORY. */
vgg_status loader_next(loader *l, const loader_batch **out, vgg_error *err);

/* The pictures that were bad in the batches taken so far, each once. */
size_t loader_bad(const loader *l);
/* Which one and why: "DIR/train/cat/7.jpg: ..."; lent until loader_close. */
const char *loader_bad_line(const loader *l, size_t i);

/* Bytes that a loader holds for a dataset of `count` pictures, beside a few KB for each thread;
 * SIZE_MAX when they are beyond counting. */
size_t loader_bytes(vgg_shape input, int batch, size_t count);
/* Bytes that an open dataset holds. */
size_t dataset_bytes(const vgg_dataset *data);

/* order[count] becomes the epoch's permutation of 0 .. count-1 (Fisher-Yates). */
void sampler_order(uint64_t seed, uint32_t epoch, uint32_t *order, uint32_t count);

#endif
