/* SPDX-License-Identifier: Apache-2.0
 *
 * A training run from the inside.
 *
 *   trainer.c     start, close, look at a run
 *   loop.c        the steps, train_ch6
 *   config.c      config.json: what the run is
 *   checkpoint.c  last.safetensors and best.safetensors: how far it has come
 *   resume.c      going on
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "data/loader.h"
#include "format/model.h"
#include "net/engine.h"
#include "train/config.h"
#include "train/metrics.h"
#include "train/recipe.h"
#include "train/rule.h"
#include "vgg/train.h"

/* All that changes while a run goes on, beside weights and metrics; kept in last.safetensors.
 * batch == batches means that the epoch's steps are done and its end (evaluation) is not. After an
 * epoch's end the sums stay until the next one begins. */
typedef struct run_state {
  int64_t epoch, batch;                 /* where the next step is */
  int64_t step, images;                 /* done in the whole run */
  int64_t best_epoch;                   /* of best_acc, from 1 on; 0: none */
  int64_t correct, seen;                /* in this epoch: right answers, pictures ... */
  double loss_sum;                      /* ... and the sum of their losses */
  double held_acc, held_loss, best_acc; /* NaN before the first evaluation */
  double compute_seconds, data_wait_seconds, eval_seconds, wall_seconds;
} run_state;

struct vgg_trainer {
  run_config config;         /* owns the strings of options */
  vgg_train_options options; /* filled in */
  char *dir;
  int lock; /* the directory, locked while this trainer lives */
  char note[256];
  vgg_model *model;
  engine *engine; /* on the model's values */
  const op_rule *rule;
  float *rule_states[OP_RULE_MAX_STATES];    /* [rule->states][params.floats], owned */
  const vgg_dataset *train_data, *held_data; /* borrowed */
  loader *train, *held;                      /* held NULL without evaluation */
  double max_bad;                            /* for them */
  int batches;                               /* in an epoch */
  run_state state;
  metrics metrics;
  double part_start;  /* when this part of the run began, on the clock of clock_seconds ... */
  double wall_before; /* ... and the seconds of the parts before */
  double last_save;
  bool unsaved; /* the state moved since last.safetensors was written */
};

/* An empty trainer for these data sets (borrowed) with what no run keeps of the options (may be
 * NULL); NULL without memory. */
vgg_trainer *trainer_new(const vgg_dataset *train, const vgg_dataset *held,
                         const vgg_train_options *options);

/* Finds the rule of t->config and makes its arrays for t->model, all zero. Fails with
 * VGG_NO_MEMORY. */
vgg_status trainer_make_rule(vgg_trainer *t, vgg_error *err);

/* The parts of a trainer that need no run directory yet: engine and loaders for t->model,
 * t->config and the data; checks that they fit together. */
vgg_status trainer_prepare(vgg_trainer *t, vgg_error *err);

/* Fills t->options from t->config, t->dir and the plan. */
void trainer_fill_options(vgg_trainer *t);

/* Makes and locks a directory for a new run, claimed by an empty config.json, into t->dir.
 * out NULL: runs/ARCH-N. Fails with VGG_NO_OUTPUT, VGG_NO_MEMORY. */
vgg_status rundir_create(vgg_trainer *t, const char *out, vgg_error *err);
/* Locks the directory of a run that exists. */
vgg_status rundir_lock(vgg_trainer *t, const char *dir, vgg_error *err);
/* Removes what a process that was killed was writing. The directory is locked. */
void rundir_sweep(const vgg_trainer *t);

/* Writes config.json of the run as it stands, and its recipe into the model. */
vgg_status trainer_save_config(vgg_trainer *t, vgg_error *err);

/* last.safetensors: weights, state, metrics. Atomic. */
vgg_status checkpoint_save(vgg_trainer *t, vgg_error *err);
/* best.safetensors: weights only. Atomic. */
vgg_status checkpoint_save_best(vgg_trainer *t, vgg_error *err);
/* t->model, t->state and the metrics' records from last.safetensors of `dir`.
 *   records  [*count], on success the caller's: free with free() */
vgg_status checkpoint_load(vgg_trainer *t, const char *dir, metrics_record **records, size_t *count,
                           vgg_error *err);

#endif
