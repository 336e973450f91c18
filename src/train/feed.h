/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds: the batches of an epoch, put onto an engine's input.
 *
 *   loader -> pixels ------------------------------> engine of the whole net
 *   loader -> pixels -> engine of frozen layers ---> engine of the others
 *                                  `-> rows, by picture
 *   rows --------------------------------------------> once all pictures have theirs
 *
 * Frozen layers with nothing random before or among them give a picture the same values in every
 * epoch: they are kept, and after the epoch in which the last of them was computed neither loader
 * nor frozen layers run any more. Batches are the same with and without rows: same pictures, same
 * order, those that cannot be used missing.
 */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include "data/loader.h"
#include "net/engine.h"

typedef struct feed feed;

typedef struct feed_options {
  loader_options loader;
  engine *frozen; /* borrowed; NULL: `engine` takes the pixels */
  engine *engine; /* borrowed */
  bool keep;      /* rows; with `frozen` alone, and not of pictures that change at random */
} feed_options;

/* Fails as loader_create. */
vgg_status feed_create(const feed_options *options, feed **out, vgg_error *err);
void feed_close(feed *f);

size_t feed_batches(const feed *f); /* in an epoch */
/* Bytes of the rows of a data set: SIZE_MAX beyond counting. */
size_t feed_row_bytes(const engine *frozen, const vgg_dataset *data);

/* As loader_start and loader_next; the batch has no pixels when it comes from rows. */
vgg_status feed_start(feed *f, uint32_t epoch, size_t first, vgg_error *err);
vgg_status feed_next(feed *f, const loader_batch **out, vgg_error *err);

/* Images first .. first + n - 1 of the newest batch become the engine's input. VGG_BUG if a backend
 * fails. */
vgg_status feed_put(feed *f, int first, int n, vgg_error *err);

/* As loader_bad and loader_bad_line. */
size_t feed_bad(const feed *f);
const char *feed_bad_line(const feed *f, size_t i);

#endif
