/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluations as they come to be: see vgg/infer.h.
 */
#ifndef INFER_EVALUATION_H
#define INFER_EVALUATION_H

#include "vgg/infer.h"

/* VGG_BAD_VALUE unless the model takes pictures of the data's channels. */
vgg_status evaluation_check(const vgg_model *model, const vgg_dataset *data, vgg_error *err);

/* An empty one, to be freed with vgg_evaluation_free; NULL without memory. */
vgg_evaluation *evaluation_create(int classes);

/* One more picture, by its logits x [classes]: the loss is log(sum exp x) - x[label], the guess the
 * first maximum.
 *   room   for mistakes; 0 at the beginning
 *   index  in the dataset */
vgg_status evaluation_add(vgg_evaluation *e, size_t *room, const float *x, size_t index, int label,
                          vgg_error *err);

/* One more picture that could not be used. */
vgg_status evaluation_add_bad(vgg_evaluation *e, const char *line, vgg_error *err);

/* Sums become means; `begin` was clock_seconds(). VGG_BAD_CONTENT if there is no picture. */
vgg_status evaluation_end(vgg_evaluation *e, const vgg_dataset *data, double begin, vgg_error *err);

#endif
