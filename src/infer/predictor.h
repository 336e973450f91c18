/* SPDX-License-Identifier: Apache-2.0
 *
 * Predictors from the inside: see vgg/infer.h.
 */
#ifndef INFER_PREDICTOR_H
#define INFER_PREDICTOR_H

#include "format/model.h"
#include "net/engine.h"
#include "vgg/infer.h"

struct vgg_predictor {
  const vgg_model *model; /* borrowed */
  engine *engine;         /* owned; reads the model's values, never writes them */
  int batch, threads;
};

/* Runs n pictures, 1 <= n <= batch; *logits [n][classes] is lent until the next run. */
vgg_status predictor_run(vgg_predictor *p, int n, const uint8_t *pixels, const float **logits,
                         vgg_error *err);

#endif
