/* SPDX-License-Identifier: Apache-2.0
 *
 * What a recipe settles and a run keeps: see vgg_train_options for the meaning of each.
 */
#ifndef TRAIN_SETTINGS_H
#define TRAIN_SETTINGS_H

#include <jansson.h>

#include "vgg/train.h"

typedef struct settings {
  char optimizer[16], schedule[16], init[16], freeze[24], class_weights[256];
  double lr, head_lr; /* head_lr 0: as lr */
  double momentum, weight_decay;
  double clip_norm;        /* 0: no limit */
  double warmup, lr_gamma; /* warmup in epochs */
  double ema;              /* 0: none */
  int lr_step, patience;   /* in epochs */
  int epochs, batch;
  int micro_batch;   /* 0: the batch at once */
  int early_stop;    /* 0: never */
  char augment[128]; /* "" or "none": none */
  char views[128];   /* of the model's evaluation; "" or "none": one */
  double label_smoothing;
} settings;

/* What config.json will say, so that a resumed run has the very same number. */
double settings_round(double value);

/* Fields that options set are taken over; a negative number stands for 0, none. Fails with
 * VGG_BAD_VALUE when a word is too long to be any choice. */
vgg_status settings_override(settings *s, const vgg_train_options *options, vgg_error *err);

/* Whether every field has a value that is allowed, and all fit together: VGG_BAD_VALUE names the
 * first that does not. */
vgg_status settings_check(const settings *s, vgg_error *err);

/* VGG_BAD_VALUE if options set any field but epochs to another value than it has. */
vgg_status settings_same(const settings *s, const vgg_train_options *options, vgg_error *err);

/* Fills the same fields of `options`; words are lent. */
void settings_to_options(const settings *s, vgg_train_options *options);

/* Adds all fields to an object; false without memory. */
bool settings_to_json(const settings *s, json_t *object);
/* False if a field is missing or of another type. */
bool settings_from_json(const json_t *object, settings *out);

#endif
