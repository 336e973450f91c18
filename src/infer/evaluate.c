/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/loader.h"
#include "infer/evaluation.h"
#include "infer/predictor.h"

vgg_status evaluation_check(const vgg_model *model, const vgg_dataset *data, vgg_error *err) {
  const int have = vgg_dataset_shape(data).c, wanted = model->preprocess.input.c;
  if (have < wanted && model->preprocess.channels != VGG_CHANNELS_REPLICATE)
    return err_set(err, VGG_BAD_VALUE, "%s: its pictures have %d channel%s, the model takes %d",
                   vgg_dataset_spec(data), have, have == 1 ? "" : "s", wanted);
  return VGG_OK;
}

static vgg_status add_mistake(vgg_evaluation *e, size_t *room, vgg_mistake mistake,
                              vgg_error *err) {
  if (e->num_mistakes == *room) {
    const size_t more = *room ? 2 * *room : 64;
    vgg_mistake *p = realloc(e->mistakes, more * sizeof *p);
    if (!p) return err_no_memory(err, "mistakes", more * sizeof *p);
    e->mistakes = p;
    *room = more;
  }
  e->mistakes[e->num_mistakes++] = mistake;
  return VGG_OK;
}

vgg_status evaluation_add(vgg_evaluation *e, size_t *room, const float *x, size_t index, int label,
                          vgg_error *err) {
  int guess = 0;
  for (int k = 1; k < e->classes; k++)
    if (x[k] > x[guess]) guess = k;
  double sum = 0;
  for (int k = 0; k < e->classes; k++) sum += exp((double)x[k] - x[guess]);
  e->loss += log(sum) - ((double)x[label] - x[guess]);
  e->total++;
  e->confusion[(size_t)label * (size_t)e->classes + (size_t)guess]++;
  if (guess == label) {
    e->correct++;
    return VGG_OK;
  }
  const vgg_mistake mistake = {
      .index = index, .label = label, .guess = guess, .probability = (float)(1 / sum)};
  return add_mistake(e, room, mistake, err);
}

static vgg_status run_batches(vgg_predictor *p, loader *l, const int *map, bool (*stop)(void *user),
                              void *user, vgg_evaluation *e, vgg_error *err) {
  size_t room = 0;
  vgg_status status = loader_start(l, 0, 0, err);
  while (status == VGG_OK) {
    const loader_batch *batch;
    const float *logits;
    if (stop && stop(user)) return err_set(err, VGG_STOPPED, "the evaluation was stopped");
    status = loader_next(l, &batch, err);
    if (status != VGG_OK || !batch) break;
    if (batch->n == 0) continue; /* every picture was bad */
    status = predictor_run(p, batch->n, batch->pixels, &logits, err);
    for (int i = 0; i < batch->n && status == VGG_OK; i++)
      status = evaluation_add(e, &room, logits + (size_t)i * (size_t)e->classes, batch->ids[i],
                              map[batch->labels[i]], err);
  }
  return status;
}

vgg_status evaluation_add_bad(vgg_evaluation *e, const char *line, vgg_error *err) {
  char **more = realloc(e->bad, (e->num_bad + 1) * sizeof *more);
  if (more) e->bad = more;
  if (!more || !(more[e->num_bad] = strdup(line)))
    return err_no_memory(err, "evaluation", strlen(line));
  e->num_bad++;
  return VGG_OK;
}

vgg_evaluation *evaluation_create(int classes) {
  vgg_evaluation *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  e->classes = classes;
  e->confusion = calloc((size_t)classes * (size_t)classes, sizeof *e->confusion);
  strcpy(e->views, "none");
  if (e->confusion) return e;
  free(e);
  return NULL;
}

vgg_status evaluation_end(vgg_evaluation *e, const vgg_dataset *data, double begin,
                          vgg_error *err) {
  if (e->total == 0)
    return err_set(err, VGG_BAD_CONTENT, "%s: no picture can be used", vgg_dataset_spec(data));
  e->loss /= (double)e->total;
  e->seconds = clock_seconds() - begin;
  return VGG_OK;
}

vgg_status vgg_evaluate(vgg_predictor *predictor, const vgg_dataset *data, bool (*stop)(void *user),
                        void *user, vgg_evaluation **out, vgg_error *err) {
  const double begin = clock_seconds();
  const vgg_model *model = predictor->model;
  loader *l = NULL;
  vgg_evaluation *e = NULL;
  const size_t map_bytes = ((size_t)vgg_dataset_classes(data) + 1) * sizeof(int);
  int *map = malloc(map_bytes);
  if (!map) return err_no_memory(err, "evaluation", map_bytes);
  vgg_status status = evaluation_check(model, data, err);
  if (status == VGG_OK) status = vgg_class_map(model, data, map, err);
  if (status != VGG_OK) goto done;
  const bool files = vgg_dataset_shape(data).h == 0; /* the loader knows what they need */
  const loader_options options = {.data = data,
                                  .rule = model->preprocess,
                                  .batch = predictor->batch,
                                  .workers = files ? 0 : 1 + predictor->threads / 4};
  status = loader_create(&options, &l, err);
  if (status != VGG_OK) goto done;
  e = evaluation_create(model->arch->options.classes);
  if (!e) {
    status = err_no_memory(err, "evaluation", sizeof *e);
    goto done;
  }
  status = run_batches(predictor, l, map, stop, user, e, err);
  for (size_t i = 0; i < loader_bad(l) && status == VGG_OK; i++)
    status = evaluation_add_bad(e, loader_bad_line(l, i), err);
  if (status == VGG_OK) status = evaluation_end(e, data, begin, err);
  if (status != VGG_OK) goto done;
  *out = e;
  e = NULL;
done:
  vgg_evaluation_free(e);
  loader_close(l);
  free(map);
  return status;
}

void vgg_evaluation_free(vgg_evaluation *evaluation) {
  if (!evaluation) return;
  for (size_t i = 0; i < evaluation->num_bad; i++) free(evaluation->bad[i]);
  free(evaluation->bad);
  free(evaluation->confusion);
  free(evaluation->mistakes);
  free(evaluation);
}
