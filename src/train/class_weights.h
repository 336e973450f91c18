/* SPDX-License-Identifier: Apache-2.0
 *
 * Class weights: how much a picture counts in the loss, by its label.
 *
 *   none      all the same
 *   balanced  pictures / (classes * pictures of the class): every class counts the same
 *   1,2,0.5   one number for each class
 */
#ifndef TRAIN_CLASS_WEIGHTS_H
#define TRAIN_CLASS_WEIGHTS_H

#include "vgg/data.h"

/* Fails with VGG_BAD_VALUE if `word` is none of the above. */
vgg_status class_weights_check(const char *word, vgg_error *err);

/* *out [classes], the caller's (free()), or NULL for none. `classes` are the net's; those without
 * pictures count for nothing when balanced. Fails with VGG_BAD_VALUE if there are more or fewer
 * numbers than the data has classes, VGG_NO_MEMORY. */
vgg_status class_weights_make(const char *word, const vgg_dataset *data, int classes, float **out,
                              vgg_error *err);

#endif
