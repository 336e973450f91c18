/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipes: the settings that a training run starts from.
 */
#ifndef TRAIN_RECIPE_H
#define TRAIN_RECIPE_H

#include "train/settings.h"

typedef struct recipe {
  const char *name, *about;
  settings settings;
  double lr_alexnet, lr_norms; /* of nets with batch norm; 0: as of others */
  const char *augment_grey;    /* of nets that see no colours; NULL: as of others */
  bool test_chooses;           /* `best` by the test set where data has no validation set */
  const char *net;             /* where nobody names one; NULL: no net of its own */
  vgg_arch_options net_options;
} recipe;

/* Fails with VGG_BAD_VALUE, naming those that there are. */
vgg_status recipe_find(const char *name, const recipe **out, vgg_error *err);

/* The settings of `r` for `arch` (NULL: a VGG net), changed by options (NULL: none). Another
 * optimizer brings the rate and momentum that go with it, another rate takes the head's along.
 * Fails with VGG_BAD_VALUE as settings_check. */
vgg_status recipe_settings(const recipe *r, const vgg_arch *arch, const vgg_train_options *options,
                           settings *out, vgg_error *err);

#endif
