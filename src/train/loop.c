/* SPDX-License-Identifier: Apache-2.0
 *
 * The tutorial's train_ch6:
 *
 *   for every epoch
 *     for every batch
 *       fetch it                                   data_wait_seconds
 *       forward, loss, backward, update            compute_seconds, the tutorial's timer
 *       metric += (loss * n, right answers, n)     weights before the update, dropout on
 *       train point when (i + 1) % (batches / 5) == 0 or at the last batch
 *     held-out accuracy, held-out point            eval_seconds
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "train/trainer.h"

/* What a run's functions share beside the trainer. */
typedef struct loop {
  vgg_trainer *t;
  vgg_train_callback callback;
  void *user;
  bool stop; /* the callback asked for it */
  double step_loss;
} loop;

/* ---- what the caller sees -------------------------------------------------------------------- */

static uint64_t planned_steps(const vgg_trainer *t) {
  const uint64_t all = (uint64_t)t->config.settings.epochs * (uint64_t)t->batches;
  return t->config.max_steps && t->config.max_steps < all ? t->config.max_steps : all;
}

static double wall_seconds(const vgg_trainer *t) {
  return t->wall_before + clock_seconds() - t->part_start;
}

/* From what steps and evaluations took so far; before the first evaluation a picture's forward is
 * taken for a third of its training. */
static double seconds_left(const vgg_trainer *t, uint64_t steps) {
  const run_state *s = &t->state;
  if (s->step == 0) return NAN;
  const double left = steps > (uint64_t)s->step ? (double)(steps - (uint64_t)s->step) : 0;
  const double step = (s->wall_seconds - s->eval_seconds) / (double)s->step;
  if (!t->held) return left * step;
  const double ends = (double)(steps / (uint64_t)t->batches) - (double)s->epoch;
  const double eval =
      s->epoch > 0 ? s->eval_seconds / (double)s->epoch
                   : s->compute_seconds / (double)s->images / 3 * (double)t->config.held.count;
  return left * step + (ends > 0 ? ends * eval : 0);
}

static vgg_train_state view(const loop *l, vgg_train_when when) {
  vgg_trainer *t = l->t;
  run_state *s = &t->state;
  s->wall_seconds = wall_seconds(t);
  const bool between = s->batch == 0 && s->epoch > 0; /* an epoch ended, the next has not begun */
  const uint64_t steps = planned_steps(t);
  return (vgg_train_state){.when = when,
                           .epoch = (int)s->epoch - between,
                           .epochs = t->config.settings.epochs,
                           .step = (uint64_t)s->step,
                           .steps = steps,
                           .batch = between ? t->batches : (int)s->batch,
                           .batches = t->batches,
                           .lr = trainer_lr(t, s->step > 0 ? s->step - 1 : 0),
                           .train_loss = s->loss_sum / (double)s->seen,
                           .train_acc = (double)s->correct / (double)s->seen,
                           .held = t->config.data.held,
                           .held_acc = s->held_acc,
                           .held_loss = s->held_loss,
                           .best_acc = s->best_acc,
                           .best_epoch = (int)s->best_epoch,
                           .step_loss = l->step_loss,
                           .compute_seconds = s->compute_seconds,
                           .data_wait_seconds = s->data_wait_seconds,
                           .eval_seconds = s->eval_seconds,
                           .wall_seconds = s->wall_seconds,
                           .images = (uint64_t)s->images,
                           .examples_per_sec = (double)s->images / s->compute_seconds,
                           .images_per_sec = (double)s->images / s->wall_seconds,
                           .seconds_left = seconds_left(t, steps)};
}

static void tell(loop *l, const vgg_train_state *state) {
  if (l->callback && l->callback(state, l->user)) l->stop = true;
}

/* ---- records --------------------------------------------------------------------------------- */

static metrics_record record_at(const loop *l, double x) {
  const vgg_train_state state = view(l, VGG_AFTER_STEP);
  return (metrics_record){.step = (double)state.step,
                          .epoch = (double)state.epoch + 1,
                          .x = x,
                          .train_loss = NAN,
                          .train_acc = NAN,
                          .held_acc = NAN,
                          .held_loss = NAN,
                          .lr = state.lr,
                          .images_per_sec = state.examples_per_sec,
                          .wall = state.wall_seconds};
}

static vgg_status train_point(loop *l, vgg_error *err) {
  vgg_trainer *t = l->t;
  const run_state *s = &t->state;
  const int64_t every = t->batches / 5 > 0 ? t->batches / 5 : 1;
  if (s->batch % every != 0 && s->batch != t->batches) return VGG_OK;
  metrics_record r = record_at(l, (double)s->epoch + (double)s->batch / t->batches);
  r.train_loss = s->loss_sum / (double)s->seen;
  r.train_acc = (double)s->correct / (double)s->seen;
  return metrics_add(&t->metrics, &r, err);
}

static vgg_status held_point(loop *l, vgg_error *err) {
  metrics_record r = record_at(l, (double)l->t->state.epoch + 1);
  r.held_acc = l->t->state.held_acc;
  r.held_loss = l->t->state.held_loss;
  return metrics_add(&l->t->metrics, &r, err);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static vgg_status save(vgg_trainer *t, vgg_error *err) {
  const double start = clock_seconds();
  t->state.wall_seconds = wall_seconds(t);
  const vgg_status status = checkpoint_save(t, err);
  t->unsaved = status != VGG_OK;
  const double now = clock_seconds();
  t->save_took = now - start;
  t->last_save = now;
  return status;
}

/* ---- a step ---------------------------------------------------------------------------------- */

static vgg_status step(loop *l, vgg_error *err) {
  vgg_trainer *t = l->t;
  run_state *s = &t->state;
  const double asked = clock_seconds();
  const loader_batch *b;
  vgg_status status = feed_next(t->train, &b, err);
  if (status != VGG_OK) return status;
  if (!b) return err_set(err, VGG_BUG, "loader: ended before batch %" PRId64, s->batch);
  const double start = clock_seconds();
  double loss = 0;
  int correct = 0;
  if (b->n > 0) status = trainer_step(t, b, &loss, &correct, err); /* 0: every picture was bad */
  if (status != VGG_OK) return status;
  s->compute_seconds += clock_seconds() - start;
  s->data_wait_seconds += start - asked;
  s->loss_sum += loss;
  s->correct += correct;
  s->seen += b->n;
  s->images += b->n;
  s->step++;
  s->batch++;
  t->unsaved = true;
  if (b->n > 0) l->step_loss = loss / b->n;
  status = train_point(l, err);
  if (status != VGG_OK) return status;
  const vgg_train_state state = view(l, VGG_AFTER_STEP);
  tell(l, &state);
  const bool due = clock_seconds() - t->last_save >= t->config.save_seconds;
  return due && s->batch < t->batches ? save(t, err) : VGG_OK; /* an epoch's end looks for itself */
}

/* ---- an epoch -------------------------------------------------------------------------------- */

static vgg_status evaluate_part(vgg_trainer *t, const loader_batch *b, int first, int n,
                                double *loss, int *correct, vgg_error *err) {
  vgg_status status = feed_put(t->held, first, n, err);
  if (status == VGG_OK) status = engine_forward(t->engine, n, false, err);
  if (status == VGG_OK) engine_loss(t->engine, n, b->labels + first, false, loss, correct);
  return status;
}

/* Accuracy on the held-out set of the weights as they stand, dropout off. A stop in between leaves
 * the state before the evaluation: a resume does the whole of it. */
static vgg_status evaluate(loop *l, vgg_error *err) {
  vgg_trainer *t = l->t;
  const double start = clock_seconds();
  double loss_sum = 0;
  size_t correct = 0, seen = 0;
  bool whole = false;
  const int most = engine_plan(t->engine)->env.max_n;
  vgg_train_state state = view(l, VGG_DURING_EVAL);
  state.eval_total = t->config.held.count;
  vgg_status status = feed_start(t->held, 0, 0, err);
  while (status == VGG_OK && !whole && !l->stop) {
    const loader_batch *b;
    status = feed_next(t->held, &b, err);
    whole = status == VGG_OK && !b;
    for (int first = 0; status == VGG_OK && !whole && first < b->n; first += most) {
      const int n = b->n - first < most ? b->n - first : most;
      double loss;
      int right;
      status = evaluate_part(t, b, first, n, &loss, &right, err);
      if (status != VGG_OK) return status;
      loss_sum += loss;
      correct += (size_t)right;
      seen += (size_t)n;
      state.eval_done = seen;
      tell(l, &state);
    }
  }
  if (status != VGG_OK || !whole) return status;
  if (seen == 0)
    return err_set(err, VGG_BAD_CONTENT, "%s set: no picture can be used",
                   vgg_split_name(t->config.data.held));
  t->state.eval_seconds += clock_seconds() - start;
  t->state.held_acc = (double)correct / (double)seen;
  t->state.held_loss = loss_sum / (double)seen;
  return VGG_OK;
}

/* What schedule plateau and early stop go by. */
static void count_epoch(vgg_trainer *t, bool better) {
  run_state *s = &t->state;
  s->stale = better ? 0 : s->stale + 1;
  s->flat = better ? 0 : s->flat + 1;
  if (strcmp(t->config.settings.schedule, "plateau") != 0 || s->flat < t->config.settings.patience)
    return;
  s->drops++;
  s->flat = 0;
}

/* best.safetensors follows the held-out accuracy, the first on ties; without evaluation the newest.
 * A stop within leaves *judged false. */
static vgg_status judge(loop *l, bool *judged, vgg_error *err) {
  vgg_trainer *t = l->t;
  run_state *s = &t->state;
  *judged = false;
  if (t->held) {
    vgg_status status = evaluate(l, err);
    if (status != VGG_OK || l->stop) return status;
    status = held_point(l, err);
    if (status != VGG_OK) return status;
  }
  *judged = true;
  const bool better = !t->held || !(s->held_acc <= s->best_acc);
  count_epoch(t, better);
  if (!better) return VGG_OK;
  s->best_acc = s->held_acc;
  s->best_epoch = t->held ? s->epoch + 1 : 0;
  return checkpoint_save_best(t, err);
}

/* A whole epoch at the loss of guessing; the first few steps of a run may well be there. */
static void warn_of_stall(vgg_trainer *t) {
  enum { FEW = 20 };
  const run_state *s = &t->state;
  const int classes = t->model->arch->options.classes;
  if (t->stalled || s->step < FEW) return;
  t->stalled = fabs(s->loss_sum / (double)s->seen - log(classes)) < 0.02;
  if (!t->stalled) return;
  const settings *c = &t->config.settings;
  trainer_say(t,
              "it does not learn: the loss stayed at ln(%d) = %.3f, that of guessing, for a whole "
              "epoch; try --lr %.2g%s",
              classes, log(classes), c->lr / 10,
              strcmp(c->init, "he") != 0 ? " or --init he" : " or a shallower net");
}

static vgg_status end_epoch(loop *l, vgg_error *err) {
  vgg_trainer *t = l->t;
  run_state *s = &t->state;
  bool judged;
  vgg_status status = trainer_exchange_ema(t, err);
  if (status == VGG_OK) status = judge(l, &judged, err);
  if (status == VGG_OK) status = trainer_exchange_ema(t, err);
  if (status != VGG_OK || !judged) return status;
  warn_of_stall(t);
  s->epoch++;
  s->batch = 0;
  t->unsaved = true;
  /* Where an epoch is short and the net large, saving takes a tenth of the time at most. */
  if (clock_seconds() - t->last_save >= 9 * t->save_took) status = save(t, err);
  if (status != VGG_OK) return status;
  const vgg_train_state state = view(l, VGG_AFTER_EPOCH);
  tell(l, &state);
  return VGG_OK;
}

static bool steps_left(const vgg_trainer *t) {
  return (uint64_t)t->state.step < planned_steps(t) && t->state.batch < t->batches;
}

static vgg_status run_epoch(loop *l, vgg_error *err) {
  vgg_trainer *t = l->t;
  run_state *s = &t->state;
  if (s->batch == 0) {
    s->loss_sum = 0;
    s->correct = s->seen = 0;
  }
  vgg_status status = VGG_OK;
  if (steps_left(t)) status = feed_start(t->train, (uint32_t)s->epoch, (size_t)s->batch, err);
  while (status == VGG_OK && steps_left(t) && !l->stop) status = step(l, err);
  if (status != VGG_OK || l->stop || s->batch < t->batches) return status;
  return end_epoch(l, err);
}

/* ---- the run --------------------------------------------------------------------------------- */

static bool ends_early(const vgg_trainer *t) {
  const int after = t->config.settings.early_stop;
  return after > 0 && t->state.stale >= after;
}

static bool at_end(const vgg_trainer *t) {
  const run_state *s = &t->state;
  if (s->batch == t->batches) return false; /* the epoch's evaluation is still to be done */
  return (ends_early(t) && s->batch == 0) || s->epoch >= t->config.settings.epochs ||
         (uint64_t)s->step >= planned_steps(t);
}

/* A run that ends before its first epoch does leaves a model to use nevertheless. */
static vgg_status settle(vgg_trainer *t, vgg_error *err) {
  vgg_status status = t->unsaved ? save(t, err) : VGG_OK;
  if (status != VGG_OK || t->state.epoch > 0) return status;
  status = trainer_exchange_ema(t, err);
  if (status == VGG_OK) status = checkpoint_save_best(t, err);
  return status == VGG_OK ? trainer_exchange_ema(t, err) : status;
}

vgg_status vgg_trainer_run(vgg_trainer *t, vgg_train_callback callback, void *user,
                           vgg_train_state *final, vgg_error *err) {
  loop l = {.t = t, .callback = callback, .user = user, .step_loss = NAN};
  t->wall_before = t->state.wall_seconds;
  t->part_start = clock_seconds();
  /* Saved before the first step, so that a run can be resumed from its first second on and a full
   * disk shows now. */
  vgg_status status = t->unsaved ? save(t, err) : VGG_OK;
  t->last_save = clock_seconds();
  while (status == VGG_OK && !l.stop && !at_end(t)) status = run_epoch(&l, err);
  if (status == VGG_OK) status = settle(t, err);
  if (status != VGG_OK) return status;
  if (at_end(t) && ends_early(t) && (uint64_t)t->state.step < planned_steps(t))
    trainer_say(t, "ended early: %d epochs without a better %s accuracy",
                t->config.settings.early_stop, vgg_split_name(t->config.data.held));
  if (final) *final = view(&l, VGG_AFTER_EPOCH);
  return at_end(t) ? VGG_OK : VGG_STOPPED;
}
