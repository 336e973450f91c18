/* SPDX-License-Identifier: Apache-2.0
 *
 * Freezing: the first layers of a net keep their weights.
 */
#ifndef TRAIN_FREEZE_H
#define TRAIN_FREEZE_H

#include "vgg/arch.h"

typedef struct frozen {
  int trained; /* the first convolution or linear layer that is trained; 0: all of them */
  int cut;     /* a frozen or the first trained one: nothing before it is random in training, so
                  that the values on its edge may be computed once; 0: nothing is gained */
} frozen;

/* Finds the layers up to and with `word`: "none", "features" (all convolutions) or a layer's name,
 * the paper's or torchvision's. Fails with VGG_BAD_VALUE if there is no such layer or nothing would
 * be left to train. */
vgg_status freeze_find(const vgg_arch *arch, const char *word, frozen *out, vgg_error *err);

#endif
