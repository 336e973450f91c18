/* SPDX-License-Identifier: Apache-2.0
 *
 * A run as it is watched: on a terminal a live line and a small curve, elsewhere a line an epoch.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "vgg/vgg.h"

typedef struct progress {
  const vgg_trainer *trainer; /* borrowed */
  bool live;                  /* stderr is a terminal */
  int shown;                  /* columns of the live line that stands there */
  double last;                /* when it was written, in seconds */
} progress;

void progress_begin(progress *p, const vgg_trainer *trainer);
void progress_show(progress *p, const vgg_train_state *state);
/* Takes the live line away. */
void progress_clear(progress *p);

#endif
