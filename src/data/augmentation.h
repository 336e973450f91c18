/* SPDX-License-Identifier: Apache-2.0
 *
 * Random changes of training pictures, by name.
 *
 *   decoded picture --crop | jitter | the rule--> input --pad, flip, colours, cutout--> batch
 *   batch --mixup--> batch
 *
 * What a picture becomes depends on (seed, epoch, sample) alone, and leaving one change away does
 * not alter the draws of the others.
 */
#ifndef DATA_AUGMENTATION_H
#define DATA_AUGMENTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "image/preprocess.h"
#include "vgg/data.h"

typedef enum augment_kind {
#define AUGMENT(name, number, first, second, least, most, about) AUGMENT_##name,
#include "data/augments.def"
#undef AUGMENT
  NUM_AUGMENTS
} augment_kind;

typedef struct augmentation {
  bool any, on[NUM_AUGMENTS];
  double first[NUM_AUGMENTS], second[NUM_AUGMENTS];
} augmentation;

/* "flip,pad=4,jitter=256-512" for pictures that become `input`. NULL, "" and "none" mean none.
 * Fails with VGG_BAD_VALUE: an unknown word, one twice, a number out of range, crop, jitter and pad
 * together, colours of a grey net. */
vgg_status augmentation_parse(const char *text, vgg_shape input, augmentation *out, vgg_error *err);

/* Whose draws: a picture of an epoch. */
typedef struct augment_key {
  uint64_t seed;
  uint32_t epoch, sample;
} augment_key;

/* Which part of a picture of height x width becomes the input. False: what the rule says. */
bool augmentation_part(const augmentation *a, const augment_key *key, const vgg_preprocess *rule,
                       int height, int width, preprocess_part *part);

/* What happens to the input's bytes.
 *   image    of the input's shape, changed in place
 *   scratch  as many bytes; written when there is a pad */
void augmentation_apply(const augmentation *a, const augment_key *key, vgg_image *image,
                        uint8_t *scratch);

/* Mixup of a whole batch: row i becomes share * row i + (1 - share) * row n-1-i, rounded.
 *   key  sample: the batch's number
 * Returns the share, 1 when nothing was mixed. */
float augmentation_mix(const augmentation *a, const augment_key *key, int n, size_t picture,
                       uint8_t *pixels);

#endif
