/* SPDX-License-Identifier: Apache-2.0
 *
 * Engines: every mutable buffer of a running net. After engine_create no call allocates.
 *
 * A training step is
 *   engine_set_pixels, engine_draw_dropout, engine_forward(train), engine_loss(with gradient),
 *   engine_backward, then, when all gradients are known to be finite, engine_update_statistics and
 *   engine_update.
 *
 * An engine may run a part of a net (plan_part): another one's output is then its input.
 */
#ifndef NET_ENGINE_H
#define NET_ENGINE_H

#include "net/plan.h"

typedef struct engine engine;

/* Takes `p` over, also on failure. masters [params.floats] are borrowed until engine_close and
 * packed at once. */
vgg_status engine_create(plan *p, float *masters, engine **out, vgg_error *err);
void engine_close(engine *e);

const plan *engine_plan(const engine *e);
float *engine_masters(engine *e);
/* [params.count], the gradient of every parameter; NULL where its stage applies it by itself, where
 * the plan does not train it, and of running statistics, which have none. An engine for
 * PLAN_GRADIENTS of a whole net has all of them, one after the other as the masters. */
float *const *engine_gradients(const engine *e);

/* From now on pixels become (x / 255 - mean[c]) / std[c], in double and rounded to float. mean, std
 * [channels of the input], at most 3 of them; std is not 0. */
void engine_normalise(engine *e, const double *mean, const double *std);
/* Bytes [n][h][w][c] become the input edge as x / 255, or as engine_normalise says, rounded to the
 * edge's type. */
void engine_set_pixels(engine *e, int n, const uint8_t *pixels);
/* Floats [n][h][w][c] likewise, unscaled: for tests. */
void engine_set_input(engine *e, int n, const float *x);

/* The first edge, to be written, and the last one of the newest forward, as they lie in memory: one
 * image after the other, engine_input_bytes and engine_output_bytes each. */
void *engine_input(engine *e);
const void *engine_output(const engine *e);
size_t engine_input_bytes(const engine *e);
size_t engine_output_bytes(const engine *e);

/* Draws all dropout masks by Philox from (seed, epoch, ids[i]), ids [n] = dataset indices. */
void engine_draw_dropout(engine *e, int n, uint64_t seed, uint32_t epoch, const uint32_t *ids);
/* The mask of the k-th dropout layer, [n][units] of 0 and 1, for tests to write; NULL if none. */
uint8_t *engine_dropout_mask(engine *e, int k);

/* Runs the net; logits land in engine_logits. `train` keeps what backward needs and applies the
 * masks. VGG_BUG if a backend reports an internal fault. */
vgg_status engine_forward(engine *e, int n, bool train, vgg_error *err);
const float *engine_logits(const engine *e); /* [n][classes] */

/* Cross-entropy of the newest forward: *sum_loss over the rows, *correct by the first maximum.
 * `gradient`: also leaves (softmax - onehot) / n for engine_backward. labels [n]. */
void engine_loss(engine *e, int n, const int32_t *labels, bool gradient, double *sum_loss,
                 int *correct);

/* What rows are to be: (1 - smoothing) * (share * onehot(labels[i]) + (1 - share) * onehot(label))
 * + smoothing / classes, where `label` is that of the image which was mixed into image i. */
typedef struct engine_targets {
  const int32_t *labels; /* [n] */
  const int32_t *mixed;  /* image i's is mixed[-i]; NULL when share is 1 */
  float share, smoothing;
  const float *weights; /* [classes] by which a class counts in target and loss; NULL: all alike */
} engine_targets;

/* The same for a part of a step's images, always with the gradient, which is divided by `over`,
 * what all images of the step count together (engine_counts). *correct is by the label of the
 * larger share. */
void engine_loss_part(engine *e, int n, const engine_targets *targets, double over,
                      double *sum_loss, int *correct);
/* What n images count: n, or the sum of their labels' weights by their shares. */
double engine_counts(int n, const engine_targets *targets);

/* Gradients of all parameters that are trained (written, not added). */
vgg_status engine_backward(engine *e, int n, vgg_error *err);

/* The weights whose gradient never is anywhere as a whole, between engine_backward and the update:
 * the first of them (an index into params) with an infinity or a NaN in it, or -1; ... */
int engine_fused_not_finite(engine *e, int n);
/* ... the sum of their gradients' squares. */
double engine_fused_norm2(engine *e, int n);

/* One step of the rule by the gradients of n images, with args [params.count] for each parameter:
 * masters and states [rule->states][params.floats - trained_at of the plan] move stage by stage,
 * and each one's pack follows while its weights are in the caches. No bit depends on threads.
 * VGG_BUG if a backend fails. */
vgg_status engine_update(engine *e, int n, const op_rule *rule, const op_rule_args *args,
                         float *const states[], vgg_error *err);

/* Batch norms' running statistics, among the masters, move towards those of the newest forward of n
 * images, as PyTorch does: by a tenth, the variance by the unbiased one. To be called once for
 * every training forward, when all gradients are known to be finite. */
void engine_update_statistics(engine *e, int n);

typedef enum engine_pass { ENGINE_FORWARD, ENGINE_DATA, ENGINE_WEIGHTS } engine_pass;

/* For measuring: calls lap(user, index, pass) after every stage of forward and
 * backward and every update that a stage does by itself, with index -1 before such a run. While
 * somebody watches, backward asks every stage for its two gradients in two calls; where a stage
 * changes dy in place, the second call's are then not the right ones. lap NULL: nobody watches. */
void engine_watch(engine *e, void (*lap)(void *user, int index, engine_pass pass), void *user);

/* The packs follow changed masters. */
vgg_status engine_repack(engine *e, vgg_error *err);

/* Forward on the engine of a trainer for evaluation is engine_forward(train = false): one set of
 * packs and buffers serves both. */

#endif
