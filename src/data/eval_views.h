/* SPDX-License-Identifier: Apache-2.0
 *
 * What an evaluation sees of each picture, by name: its words are those of Simonyan & Zisserman
 * (arXiv 1409.1556, 3.2).
 */
#ifndef DATA_EVAL_VIEWS_H
#define DATA_EVAL_VIEWS_H

#include <stdbool.h>

#include "vgg/arch.h"

enum { VIEWS_MAX_SCALES = 8, VIEWS_MAX_GRID = 16 };

typedef struct views {
  bool flip, dense, middle; /* middle: as the rule cuts it out, when neither dense nor crops is */
  int grid;                 /* crops: grid x grid; 0: none */
  bool scaled;              /* by more than the rule's own size */
  int num_scales;           /* 0: as many as views_settle gives */
  int scales[VIEWS_MAX_SCALES];
} views;

/* "dense,crops=5,flip,scales=256/384/512". NULL, "" and "none" mean none: the middle alone. Fails
 * with VGG_BAD_VALUE: an unknown word, one twice, a number out of range. */
vgg_status views_parse(const char *list, views *out, vgg_error *err);

/* Fills in the scales for a net's input, the paper's for 224: 256, 384, 512. Fails with
 * VGG_BAD_VALUE when one is smaller than the input. */
vgg_status views_settle(views *v, vgg_shape input, vgg_error *err);

/* As views_parse reads it: "none", "dense,scales=256/384/512". Returns text. */
enum { VIEWS_MAX_TEXT = 128 };
const char *views_text(const views *v, char text[VIEWS_MAX_TEXT]);

#endif
