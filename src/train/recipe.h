/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipes: the numbers that a training run starts from.
 */
#ifndef TRAIN_RECIPE_H
#define TRAIN_RECIPE_H

#include "train/rule.h"
#include "vgg/train.h"

typedef struct recipe {
  const char *name;
  const char *rule;
  double lr, lr_alexnet;
  int epochs, batch;
  bool test_chooses; /* `best` by the test set where data has no validation set */
} recipe;

/* NULL means the first recipe, d2l. Fails with VGG_BAD_VALUE, naming those that there are. */
vgg_status recipe_find(const char *name, const recipe **out, vgg_error *err);

/* The learning rate that the recipe gives to `arch`. */
double recipe_lr(const recipe *r, const vgg_arch *arch);

#endif
