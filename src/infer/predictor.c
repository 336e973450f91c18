/* SPDX-License-Identifier: Apache-2.0 */
#include "infer/predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

vgg_status vgg_predictor_create(const vgg_model *model, const vgg_run_options *options,
                                vgg_predictor **out, vgg_error *err) {
  plan *made;
  vgg_status status = plan_create(model->arch, options, PLAN_INFERENCE, &made, err);
  if (status != VGG_OK) return status;
  vgg_predictor *p = calloc(1, sizeof *p);
  if (!p) {
    plan_close(made);
    return err_no_memory(err, "predictor", sizeof *p);
  }
  p->model = model;
  p->batch = made->env.max_n;
  p->threads = made->env.threads;
  status = engine_create(made, model->values, &p->engine, err);
  if (status != VGG_OK) {
    free(p);
    return status;
  }
  if (model->preprocess.std[0] > 0)
    engine_normalise(p->engine, model->preprocess.mean, model->preprocess.std);
  *out = p;
  return VGG_OK;
}

void vgg_predictor_close(vgg_predictor *predictor) {
  if (!predictor) return;
  engine_close(predictor->engine);
  free(predictor);
}

vgg_status predictor_run(vgg_predictor *p, int n, const uint8_t *pixels, const float **logits,
                         vgg_error *err) {
  engine_set_pixels(p->engine, n, pixels);
  const vgg_status status = engine_forward(p->engine, n, false, err);
  if (status == VGG_OK) *logits = engine_logits(p->engine);
  return status;
}

vgg_status vgg_predictor_logits(vgg_predictor *predictor, int n, const uint8_t *pixels,
                                float *logits, vgg_error *err) {
  if (n < 1 || n > predictor->batch)
    return err_set(err, VGG_BAD_VALUE, "%d pictures at once: wanted 1 to %d", n, predictor->batch);
  const float *lent;
  const vgg_status status = predictor_run(predictor, n, pixels, &lent, err);
  if (status != VGG_OK) return status;
  const size_t classes = (size_t)predictor->model->arch->options.classes;
  memcpy(logits, lent, (size_t)n * classes * sizeof *logits);
  return VGG_OK;
}

void vgg_softmax(const float *logits, int classes, float *probabilities) {
  double most = logits[0], sum = 0;
  for (int i = 1; i < classes; i++)
    if (logits[i] > most) most = logits[i];
  for (int i = 0; i < classes; i++) sum += exp(logits[i] - most);
  for (int i = 0; i < classes; i++) probabilities[i] = (float)(exp(logits[i] - most) / sum);
}
