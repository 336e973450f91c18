/* SPDX-License-Identifier: Apache-2.0
 *
 * A training run from the inside.
 *
 *   trainer.c     start, close, look at a run
 *   start.c       the model of a new run: drawn, or from elsewhere
 *   loop.c        the steps, train_ch6
 *   step.c        one of them
 *   config.c      config.json: what the run is
 *   checkpoint.c  last.safetensors and best.safetensors: how far it has come
 *   resume.c      going on
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "format/model.h"
#include "net/engine.h"
#include "train/config.h"
#include "train/feed.h"
#include "train/freeze.h"
#include "train/metrics.h"
#include "train/recipe.h"
#include "train/rule.h"
#include "train/schedule.h"
#include "vgg/train.h"

/* All that changes while a run goes on, beside weights and metrics; kept in last.safetensors.
 * batch == batches means that the epoch's steps are done and its end (evaluation) is not. After an
 * epoch's end the sums stay until the next one begins. */
typedef struct run_state {
  int64_t epoch, batch;       /* where the next step is */
  int64_t step, images;       /* done in the whole run */
  int64_t stale, flat, drops; /* epochs since the best one; since it or the last fall of the rate;
                                 such falls, of schedule plateau */
  int64_t best_epoch;         /* of best_acc, from 1 on; 0: none */
  int64_t correct, seen;      /* in this epoch: right answers, pictures ... */
  double loss_sum;            /* ... and the sum of their losses */
  double held_acc, held_loss, best_acc; /* NaN before the first evaluation */
  double compute_seconds, data_wait_seconds, eval_seconds, wall_seconds;
} run_state;

enum { TRAINER_MAX_NOTES = 12 };

struct vgg_trainer {
  run_config config;         /* owns the strings of options */
  vgg_train_options options; /* filled in */
  char *dir;
  int lock; /* the directory, locked while this trainer lives */
  char notes[TRAINER_MAX_NOTES][320];
  int num_notes;
  vgg_model *model;
  frozen frozen;
  engine *below, *engine; /* on the model's values; below: of frozen layers, NULL: none */
  /* All that follows is for the parameters that are trained alone: the last `trained` floats. */
  size_t trained;
  const op_rule *rule;
  float *rule_states[OP_RULE_MAX_STATES]; /* [rule->states][trained], owned */
  float *ema;                             /* [trained], owned; NULL: no average is wanted */
  float *sums;          /* of the gradients of a step's parts; owned; NULL: steps have one part */
  double *rates;        /* [params.count]: see rule_numbers; owned */
  float *class_weights; /* [classes], owned; NULL: none */
  const vgg_dataset *train_data, *held_data; /* borrowed */
  feed *train, *held;                        /* held NULL without evaluation */
  double max_bad;                            /* for them */
  int batches;                               /* in an epoch */
  bool stalled;                              /* that was said */
  run_state state;
  metrics metrics;
  double part_start;  /* when this part of the run began, on the clock of clock_seconds ... */
  double wall_before; /* ... and the seconds of the parts before */
  double last_save, save_took;
  bool unsaved; /* the state moved since last.safetensors was written */
};

/* An empty trainer for these data sets (borrowed) with what no run keeps of the options (may be
 * NULL); NULL without memory. */
vgg_trainer *trainer_new(const vgg_dataset *train, const vgg_dataset *held,
                         const vgg_train_options *options);

/* One more line for vgg_trainer_note; beyond TRAINER_MAX_NOTES it is dropped. */
void trainer_say(vgg_trainer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* t->config and t->model of a new run. arch may be NULL with options->from. Fails as
 * vgg_trainer_create. */
vgg_status start_model(vgg_trainer *t, const vgg_arch *arch, const vgg_train_options *options,
                       vgg_error *err);

/* Finds what of t->model is trained and the rule of t->config, and makes its arrays, all zero, and
 * the average, as the weights are. Fails with VGG_BAD_VALUE, VGG_NO_MEMORY. */
vgg_status trainer_make_states(vgg_trainer *t, vgg_error *err);

/* The parts of a trainer that need no run directory yet: engines and feeds for t->model, t->config
 * and the data; checks that they fit together. */
vgg_status trainer_prepare(vgg_trainer *t, vgg_error *err);

/* The learning rate of step `step`, counted from 0, as far as it is known: with schedule plateau,
 * from now on. */
double trainer_lr(const vgg_trainer *t, int64_t step);

/* A step on the newest batch of t->train, which has a picture at least: *loss becomes the mean loss
 * times its pictures, *correct how many were right. When a loss or a gradient is not finite,
 * nothing changes and VGG_BAD_CONTENT says where it was. */
vgg_status trainer_step(vgg_trainer *t, const loader_batch *b, double *loss, int *correct,
                        vgg_error *err);

/* Exchanges the weights with their average, if there is one, for evaluating and saving; the second
 * call brings them back. */
vgg_status trainer_exchange_ema(vgg_trainer *t, vgg_error *err);

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
