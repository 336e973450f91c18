/* SPDX-License-Identifier: Apache-2.0
 *
 * Using a model: logits, probabilities, evaluation. Dropout is off: the same input gives the same
 * bytes.
 */
#ifndef VGG_INFER_H
#define VGG_INFER_H

#include "vgg/data.h"
#include "vgg/model.h"
#include "vgg/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vgg_predictor vgg_predictor;

/* Prepares a model for use and allocates all it needs.
 *   model    borrowed until the predictor is closed
 *   options  borrowed for the call; NULL means defaults. batch is the most images one call takes.
 *   out      on success owns the predictor: close with vgg_predictor_close
 * Fails as vgg_plan_describe, and with VGG_NO_MEMORY. A predictor serves one thread at a time.
 * On native kernels one with a batch of 1 copies its linear layers' weights little by little from
 * the second to at most the 17th picture, to an order that lets it skip those of inputs that are 0:
 * these pictures take longer, later ones less time, and all give the same bits. */
VGG_API vgg_status vgg_predictor_create(const vgg_model *model, const vgg_run_options *options,
                                        vgg_predictor **out, vgg_error *err);
VGG_API void vgg_predictor_close(vgg_predictor *predictor);

/* Runs the net on n pictures.
 *   pixels  [n][h][w][c] bytes in the net's input shape, borrowed; the net sees x / 255
 *   logits  [n][classes], written: the last linear layer's output, before softmax
 * Fails with VGG_BAD_VALUE if n is not 1 .. batch. */
VGG_API vgg_status vgg_predictor_logits(vgg_predictor *predictor, int n, const uint8_t *pixels,
                                        float *logits, vgg_error *err);

/* p[i] = exp(x[i] - max x) / sum of them, summed in double. logits, probabilities [classes]; they
 * may be the same array. */
VGG_API void vgg_softmax(const float *logits, int classes, float *probabilities);

/* Which of the model's classes each class of a data set is: the one of its name; where either side
 * has only its number, the one of that number.
 *   map  [vgg_dataset_classes(data)], written
 * Fails with VGG_BAD_VALUE: more classes than the model's, one that the model does not know, two
 * that would be one. */
VGG_API vgg_status vgg_class_map(const vgg_model *model, const vgg_dataset *data, int *map,
                                 vgg_error *err);

/* What an evaluation found. Classes are the model's. */
typedef struct vgg_mistake {
  size_t index;      /* in the dataset */
  int label, guess;  /* classes */
  float probability; /* of the guess */
} vgg_mistake;

typedef struct vgg_evaluation {
  size_t total, correct;
  double loss; /* mean cross-entropy */
  int classes;
  size_t *confusion; /* [classes][classes]: row = label, column = guess */
  size_t num_mistakes;
  vgg_mistake *mistakes; /* [num_mistakes], in the dataset's order */
  size_t num_bad;        /* pictures that could not be used and are not in `total` */
  char **bad;            /* [num_bad] which, and why */
  char views[128];       /* as vgg_evaluate_views has it; "none" by vgg_evaluate */
  double seconds;        /* whole time, loading included */
} vgg_evaluation;

/* Runs a whole dataset through the net; pictures become input as the model's rule says, EXIF
 * orientations included.
 *   stop  called between batches with `user`; a true answer ends with VGG_STOPPED; may be NULL
 *   out   on success owned by the caller: free with vgg_evaluation_free
 * Fails with VGG_BAD_VALUE if the dataset's classes (vgg_class_map) or channels do not fit the
 * model, VGG_BAD_CONTENT if more than 1 % of its pictures cannot be used. */
VGG_API vgg_status vgg_evaluate(vgg_predictor *predictor, const vgg_dataset *data,
                                bool (*stop)(void *user), void *user, vgg_evaluation **out,
                                vgg_error *err);
/* The same by several views of every picture, whose probabilities are averaged, as Simonyan &
 * Zisserman have it (arXiv 1409.1556, 3.2).
 *   options  of the predictors that this makes, as vgg_predictor_create has them; `dense` wants one
 *            after the other for every size of picture that there is
 *   views    a list of words of vgg_view_name_at, for instance "dense,crops,flip,scales": of each
 *            kind, dense and crops, the mean over all sizes and mirror images is taken, and then
 *            that of both; with neither it is the middle that the model's rule cuts out, of each
 *            size. "none": that alone. NULL: what the model's recipe says
 * Fails also with VGG_BAD_VALUE if `views` is wrong or a size smaller than the model's input. */
VGG_API vgg_status vgg_evaluate_views(const vgg_model *model, const vgg_run_options *options,
                                      const vgg_dataset *data, const char *views,
                                      bool (*stop)(void *user), void *user, vgg_evaluation **out,
                                      vgg_error *err);
/* The i-th word of such a list and a line about it (may be NULL); NULL after the last. */
VGG_API const char *vgg_view_name_at(size_t i, const char **about);

VGG_API void vgg_evaluation_free(vgg_evaluation *evaluation);

#ifdef __cplusplus
}
#endif
#endif
