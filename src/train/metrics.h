/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics: one record for each point of the curves, in memory and in the run directory.
 *
 * The held-out set's columns carry its name: test_acc or val_acc.
 *
 *   metrics.jsonl  one JSON object a line; null where not measured
 *   metrics.csv    the same with a heading; empty where not measured
 *   curves.svg     replaced at every point; curves.png too where the build has cairo
 *
 * The checkpoint carries the records, so that a resumed run begins by writing these files anew.
 */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "vgg/train.h"

/* All doubles, so that a checkpoint keeps records as a plain [count][METRICS_COLUMNS] tensor. */
typedef struct metrics_record {
  double step, epoch, x; /* steps done; 1-based epoch; place in epochs */
  double train_loss, train_acc;
  double held_acc, held_loss;
  double lr;
  double images_per_sec; /* by the tutorial's formula */
  double wall;           /* seconds from the start of the run */
} metrics_record;

enum { METRICS_COLUMNS = sizeof(metrics_record) / sizeof(double) };

typedef struct metrics {
  const char *dir; /* borrowed */
  int epochs;      /* the curves' x axis */
  vgg_split held;
  size_t count, capacity;
  metrics_record *records; /* [count], owned */
  vgg_curve_point *points; /* [count], owned */
} metrics;

/* Takes `count` records over from a checkpoint (0 for a new run) and writes all files of `dir`
 * anew. *m is {0}. Fails with VGG_NO_MEMORY, VGG_NO_OUTPUT, VGG_IO. */
vgg_status metrics_open(metrics *m, const char *dir, int epochs, vgg_split held,
                        const metrics_record *records, size_t count, vgg_error *err);
void metrics_close(metrics *m);

/* Adds a record to memory and files. Fails with VGG_NO_MEMORY, VGG_NO_OUTPUT, VGG_IO. */
vgg_status metrics_add(metrics *m, const metrics_record *record, vgg_error *err);

#endif
