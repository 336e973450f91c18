/* SPDX-License-Identifier: Apache-2.0
 *
 * A step: forward, loss, backward, update. With --micro-batch the first three run on one part of
 * the batch after the other,
 *
 *   sums = g(part 1);  sums += g(part 2); ...  g(last part) += sums;  update by g
 *
 * where each part's loss is divided by what the whole batch counts, so that the sum is the batch's
 * gradient but for rounding.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "train/trainer.h"

double trainer_lr(const vgg_trainer *t, int64_t step) {
  const schedule_place place = {step, t->batches, t->state.drops};
  return t->config.settings.lr * schedule_factor(&t->config.settings, &place);
}

static vgg_status diverged(const vgg_trainer *t, const char *what, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT,
                 "step %" PRId64
                 ", lr %g: %s is not finite; try a lower --lr (%s keeps its last "
                 "good files)",
                 t->state.step + 1, trainer_lr(t, t->state.step), what, t->dir);
}

/* Nothing of the weights changes unless all gradients are finite. */
static vgg_status update(vgg_trainer *t, int n, vgg_error *err) {
  const settings *s = &t->config.settings;
  const rule_numbers numbers = {.lr = trainer_lr(t, t->state.step),
                                .momentum = s->momentum,
                                .weight_decay = s->weight_decay,
                                .clip_norm = s->clip_norm,
                                .rates = t->rates};
  int bad;
  const vgg_status status =
      rule_update(t->engine, n, t->rule, &numbers, t->state.step + 1, t->rule_states, &bad, err);
  if (status != VGG_OK || bad < 0) return status;
  char what[64];
  snprintf(what, sizeof what, "a gradient of %s",
           t->model->arch->layers[t->model->params.at[bad].layer].name);
  return diverged(t, what, err);
}

/* The newest weights count more in the first steps, when the average is of few. */
static void follow_ema(vgg_trainer *t) {
  const double step = (double)t->state.step, early = (1 + step) / (10 + step);
  const double kept = t->config.settings.ema < early ? t->config.settings.ema : early;
  const float share = (float)(1 - kept);
  const float *w = t->model->values + (t->model->params.floats - t->trained);
#pragma omp parallel for num_threads(engine_plan(t->engine)->env.threads) schedule(static)
  for (size_t i = 0; i < t->trained; i++) t->ema[i] += share * (w[i] - t->ema[i]);
}

vgg_status trainer_exchange_ema(vgg_trainer *t, vgg_error *err) {
  if (!t->ema) return VGG_OK;
  float *w = t->model->values + (t->model->params.floats - t->trained);
#pragma omp parallel for num_threads(engine_plan(t->engine)->env.threads) schedule(static)
  for (size_t i = 0; i < t->trained; i++) {
    const float own = w[i];
    w[i] = t->ema[i];
    t->ema[i] = own;
  }
  return engine_repack(t->engine, err);
}

/* to = from, or to += from. */
static void add(const vgg_trainer *t, const float *from, float *to, bool first) {
  const plan *p = engine_plan(t->engine);
  const size_t count = p->gradients / sizeof(float);
#pragma omp parallel for num_threads(p->env.threads) schedule(static)
  for (size_t i = 0; i < count; i++) to[i] = first ? from[i] : to[i] + from[i];
}

/* All gradients of the engine, one behind the other. */
static float *gradients_of(const vgg_trainer *t) {
  for (int i = 0; i < t->model->params.count; i++)
    if (engine_gradients(t->engine)[i]) return engine_gradients(t->engine)[i];
  return NULL; /* not with PLAN_GRADIENTS: something is trained */
}

/* Of the batch's images from `first` on. Mixup pairs the ends of the batch. */
static engine_targets targets_of(const vgg_trainer *t, const loader_batch *b, int first) {
  return (engine_targets){.labels = b->labels + first,
                          .mixed = b->share < 1 ? b->labels + (b->n - 1 - first) : NULL,
                          .share = b->share,
                          .smoothing = (float)t->config.settings.label_smoothing,
                          .weights = t->class_weights};
}

static vgg_status run_part(vgg_trainer *t, const loader_batch *b, int first, int n, double over,
                           double *loss, int *correct, vgg_error *err) {
  engine *e = t->engine;
  const engine_targets targets = targets_of(t, b, first);
  vgg_status status = feed_put(t->train, first, n, err);
  if (status != VGG_OK) return status;
  engine_draw_dropout(e, n, t->config.seed, (uint32_t)t->state.epoch, b->ids + first);
  status = engine_forward(e, n, true, err);
  if (status != VGG_OK) return status;
  engine_loss_part(e, n, &targets, over, loss, correct);
  if (!isfinite(*loss)) return diverged(t, "the loss", err);
  return engine_backward(e, n, err);
}

vgg_status trainer_step(vgg_trainer *t, const loader_batch *b, double *loss, int *correct,
                        vgg_error *err) {
  const int part = engine_plan(t->engine)->env.max_n;
  const engine_targets targets = targets_of(t, b, 0);
  const double counts = engine_counts(b->n, &targets), over = counts > 0 ? counts : 1;
  *loss = 0;
  *correct = 0;
  int n = 0;
  for (int first = 0; first < b->n; first += n) {
    double part_loss;
    int part_correct;
    n = b->n - first < part ? b->n - first : part;
    const vgg_status status = run_part(t, b, first, n, over, &part_loss, &part_correct, err);
    if (status != VGG_OK) return status;
    *loss += part_loss;
    *correct += part_correct;
    if (first + n < b->n) {
      add(t, gradients_of(t), t->sums, first == 0);
      engine_update_statistics(t->engine, n); /* those of the last part follow in the update */
    } else if (first > 0) {
      add(t, t->sums, gradients_of(t), false);
    }
  }
  if (t->class_weights) *loss *= b->n / over;
  const vgg_status status = update(t, n, err);
  if (status == VGG_OK && t->ema) follow_ema(t);
  return status;
}
