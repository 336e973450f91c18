/* SPDX-License-Identifier: Apache-2.0
 *
 * Where everything lies, for a training engine of three stages and max_n images:
 *
 *   edges      x0 | y0 = x1 | y1 = x2 | y2 = logits     all kept for backward
 *   gradients  A | B      dy of stage i in one, its dx in the other, then they change places
 *              dy ...     of stages that keep it for their update: one each
 *   aux        stage 0 | 1 | 2                          e.g. the places of maxima
 *   masks      one byte a unit for every dropout layer
 *   batch      mean, variance of every batch norm
 *
 * An inference engine has two edges that change places, no gradients, aux, masks or batch, but
 *
 *   folded     weights, biases of every convolution with a batch norm behind it
 */
#include "net/engine.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/philox.h"
#include "net/loss.h"

typedef struct engine_stage {
  void *x, *y, *dy, *aux, *pack;
  uint8_t *mask;
  float *folded; /* weights; NULL: no norm is folded */
  float *folded_bias;
  float *batch_mean, *batch_variance; /* of a norm in training */
} engine_stage;

struct engine {
  plan *plan;
  float *masters, *gradients;
  float *gradient_of[2 * NET_MAX_LAYERS]; /* into gradients; NULL: see engine_gradients */
  char *packs, *activations, *edge_gradients, *aux, *workspace;
  uint8_t *masks;
  char *folded, *batch;
  engine_stage stages[PLAN_MAX_STAGES];
  /* What a byte of each channel becomes: x / 255, as ToTensor divides, for all of them by one
   * table, or one each. */
  int num_tables;
  float scaled[3][256];
  bf16 scaled_bf16[3][256];
  void (*lap)(void *user, int index, engine_pass pass);
  void *lap_user;
};

static const plan_stage *last_stage(const engine *e) {
  return &e->plan->stages[e->plan->num_stages - 1];
}

static bool allocate(engine *e) {
  const plan *p = e->plan;
  e->packs = mem_alloc(p->packs);
  e->activations = mem_alloc(p->activations);
  e->workspace = mem_alloc(p->workspace);
  e->folded = mem_alloc(p->folded);
  bool ok = e->packs && e->activations && e->workspace && e->folded;
  if (p->env.training) {
    e->gradients = mem_alloc(p->gradients);
    e->edge_gradients = mem_alloc(p->edge_gradients);
    e->aux = mem_alloc(p->aux);
    e->masks = mem_alloc(p->masks);
    e->batch = mem_alloc(p->batch_statistics);
    ok = ok && e->gradients && e->edge_gradients && e->aux && e->masks && e->batch;
  }
  return ok;
}

/* Gives every stage its part of the arenas. */
static void lay_out(engine *e) {
  const plan *p = e->plan;
  const size_t n = (size_t)p->env.max_n;
  char *pack = e->packs, *aux = e->aux, *edge = e->activations;
  uint8_t *mask = e->masks;
  for (int i = 0; i < p->num_stages; i++) {
    const plan_stage *st = &p->stages[i];
    const stage_spec *s = &st->impl->spec;
    engine_stage *es = &e->stages[i];
    es->pack = pack;
    pack += mem_round(st->impl->sizes.pack);
    es->x = i == 0 ? edge : e->stages[i - 1].y;
    if (p->env.training) {
      if (i == 0) edge += mem_round(n * st->x_floats * edge_size(s->x_type));
      es->y = edge;
      edge += mem_round(n * st->y_floats * edge_size(s->y_type));
      es->aux = aux;
      aux += mem_round(n * st->impl->sizes.aux_per_image);
      if (s->dropout) {
        es->mask = mask;
        mask += mem_round(n * st->y_floats);
      }
    } else {
      es->y = e->activations + (i % 2 == 0 ? p->activations / 2 : 0);
    }
  }
}

/* Whether stage i's norm looks at the batch in this pass: a frozen one never does. */
static bool looks_at_batch(const engine *e, int i, bool train) {
  return train && i >= e->plan->first_trained && e->plan->stages[i].impl->spec.kind == STAGE_NORM;
}

/* Batch norms: their statistics in training, or the convolutions that they are folded into. */
static void lay_out_norms(engine *e) {
  const plan *p = e->plan;
  char *folded = e->folded, *batch = e->batch;
  for (int i = 0; i < p->num_stages; i++) {
    const plan_stage *st = &p->stages[i];
    engine_stage *es = &e->stages[i];
    if (st->scale >= 0) {
      es->folded = (float *)(void *)folded;
      folded += plan_folded_bytes(p, st);
      const size_t bias = p->params.at[st->bias].count * sizeof(float);
      es->folded_bias = (float *)(void *)(folded - mem_round(bias));
    }
    if (!p->env.training || st->impl->spec.kind != STAGE_NORM) continue;
    const size_t bytes = mem_round((size_t)st->impl->spec.K * sizeof(float));
    es->batch_mean = (float *)(void *)batch;
    es->batch_variance = (float *)(void *)(batch + bytes);
    batch += 2 * bytes;
  }
}

static void lay_out_gradients(engine *e) {
  const plan *p = e->plan;
  const size_t half = (p->edge_gradients - p->kept_gradients) / 2;
  char *kept = e->edge_gradients + 2 * half;
  for (int i = p->first_trained; i < p->num_stages; i++) {
    const plan_stage *st = &p->stages[i];
    if (!st->impl->fuses_update) {
      e->stages[i].dy = e->edge_gradients + (i % 2 == 0 ? 0 : half);
      continue;
    }
    e->stages[i].dy = kept;
    kept += mem_round((size_t)p->env.max_n * st->y_floats * edge_size(st->impl->spec.y_type));
  }
  for (int i = 0; i < p->params.count; i++)
    if (p->gradient_at[i] != PLAN_NO_GRADIENT) e->gradient_of[i] = e->gradients + p->gradient_at[i];
  memset(e->gradients, 0, p->gradients); /* paddings stay 0 */
}

static void set_scaled(engine *e, int channel, int byte, float value) {
  e->scaled[channel][byte] = value;
  e->scaled_bf16[channel][byte] = bf16_from_float(value);
}

vgg_status engine_create(plan *p, float *masters, engine **out, vgg_error *err) {
  engine *e = calloc(1, sizeof *e);
  if (!e) {
    plan_close(p);
    return err_no_memory(err, "engine", sizeof *e);
  }
  e->plan = p;
  e->masters = masters;
  vgg_status status = VGG_OK;
  if (!allocate(e)) {
    status = err_no_memory(err, "engine",
                           p->packs + p->activations + p->workspace + p->gradients +
                               p->edge_gradients + p->aux + p->masks + p->folded);
  } else {
    lay_out(e);
    lay_out_norms(e);
    e->num_tables = 1;
    for (int i = 0; i < 256; i++) set_scaled(e, 0, i, (float)i / 255.0f);
    if (p->env.training) lay_out_gradients(e);
    status = engine_repack(e, err);
  }
  if (status != VGG_OK) {
    engine_close(e);
    return status;
  }
  *out = e;
  return VGG_OK;
}

void engine_close(engine *e) {
  if (!e) return;
  mem_free(e->packs);
  mem_free(e->activations);
  mem_free(e->workspace);
  mem_free(e->gradients);
  mem_free(e->edge_gradients);
  mem_free(e->aux);
  mem_free(e->masks);
  mem_free(e->folded);
  mem_free(e->batch);
  plan_close(e->plan);
  free(e);
}

const plan *engine_plan(const engine *e) { return e->plan; }
float *engine_masters(engine *e) { return e->masters; }
float *const *engine_gradients(const engine *e) { return e->gradient_of; }
const float *engine_logits(const engine *e) { return e->stages[e->plan->num_stages - 1].y; }

void engine_normalise(engine *e, const double *mean, const double *std) {
  e->num_tables = e->plan->arch->options.input.c;
  for (int c = 0; c < e->num_tables; c++)
    for (int i = 0; i < 256; i++) set_scaled(e, c, i, (float)((i / 255.0 - mean[c]) / std[c]));
}

void engine_set_pixels(engine *e, int n, const uint8_t *pixels) {
  const int threads = e->plan->env.threads, tables = e->num_tables;
  const ptrdiff_t count = (ptrdiff_t)((size_t)n * e->plan->stages[0].x_floats) / tables;
  float *x = e->stages[0].x;
  bf16 *x16 = e->stages[0].x;
  if (e->plan->stages[0].impl->spec.x_type == EDGE_F32) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (ptrdiff_t i = 0; i < count; i++)
      for (ptrdiff_t c = 0, at = i * tables; c < tables; c++, at++)
        x[at] = e->scaled[c][pixels[at]];
  } else {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (ptrdiff_t i = 0; i < count; i++)
      for (ptrdiff_t c = 0, at = i * tables; c < tables; c++, at++)
        x16[at] = e->scaled_bf16[c][pixels[at]];
  }
}

void engine_set_input(engine *e, int n, const float *x) {
  const size_t count = (size_t)n * e->plan->stages[0].x_floats;
  if (e->plan->stages[0].impl->spec.x_type == EDGE_F32) {
    memcpy(e->stages[0].x, x, count * sizeof *x);
  } else {
    bf16 *x16 = e->stages[0].x;
    for (size_t i = 0; i < count; i++) x16[i] = bf16_from_float(x[i]);
  }
}

void *engine_input(engine *e) { return e->stages[0].x; }

const void *engine_output(const engine *e) { return e->stages[e->plan->num_stages - 1].y; }

size_t engine_input_bytes(const engine *e) {
  const plan_stage *first = &e->plan->stages[0];
  return first->x_floats * edge_size(first->impl->spec.x_type);
}

size_t engine_output_bytes(const engine *e) {
  const plan_stage *last = last_stage(e);
  return last->y_floats * edge_size(last->impl->spec.y_type);
}

/* Keeps a unit when its 32-bit draw is at least p * 2^32. */
static void draw_mask(const plan_stage *st, uint8_t *mask, double p, uint64_t seed, uint32_t epoch,
                      uint32_t id) {
  const uint32_t threshold = (uint32_t)(p * 0x1p32);
  const uint32_t units = (uint32_t)st->y_floats;
  for (uint32_t k = 0; k < units; k += 4) {
    uint32_t draw[4];
    philox(seed, PHILOX_DROPOUT, epoch, id, ((uint32_t)st->dropout_layer << 16) + k / 4, draw);
    for (uint32_t j = 0; j < 4 && k + j < units; j++) mask[k + j] = draw[j] >= threshold;
  }
}

void engine_draw_dropout(engine *e, int n, uint64_t seed, uint32_t epoch, const uint32_t *ids) {
  for (int i = 0; i < e->plan->num_stages; i++) {
    const plan_stage *st = &e->plan->stages[i];
    if (!st->impl->spec.dropout) continue;
    const double p = e->plan->arch->layers[st->dropout_layer].dropout;
    uint8_t *mask = e->stages[i].mask;
    const size_t units = st->y_floats;
#pragma omp parallel for num_threads(e->plan->env.threads) schedule(static)
    for (int image = 0; image < n; image++)
      draw_mask(st, mask + (size_t)image * units, p, seed, epoch, ids[image]);
  }
}

uint8_t *engine_dropout_mask(engine *e, int k) {
  for (int i = 0; i < e->plan->num_stages; i++)
    if (e->stages[i].mask && k-- == 0) return e->stages[i].mask;
  return NULL;
}

/* Parameter i; NULL for -1. */
static float *master(const engine *e, int i) {
  return i < 0 ? NULL : e->masters + e->plan->params.at[i].offset;
}

static stage_io io_of(const engine *e, int i, int n, bool train) {
  const plan_stage *st = &e->plan->stages[i];
  const engine_stage *es = &e->stages[i];
  const bool batch = looks_at_batch(e, i, train);
  return (stage_io){.n = n,
                    .x = es->x,
                    .y = es->y,
                    .aux = train ? es->aux : NULL,
                    .dropout = train ? es->mask : NULL,
                    .dy = train ? es->dy : NULL,
                    .w = es->folded ? es->folded : master(e, st->weight),
                    .b = es->folded ? es->folded_bias : master(e, st->bias),
                    .mean = batch ? es->batch_mean : master(e, st->mean),
                    .variance = batch ? es->batch_variance : master(e, st->variance),
                    .batch_statistics = batch,
                    .pack = es->pack,
                    .workspace = e->workspace};
}

static vgg_status fault(const engine *e, int i, const char *what, vgg_error *err) {
  const plan_stage *st = &e->plan->stages[i];
  return err_set(err, VGG_BUG, "%s: the %s backend failed in %s",
                 e->plan->arch->layers[st->first_layer].name, st->impl->backend, what);
}

void engine_watch(engine *e, void (*lap)(void *user, int index, engine_pass pass), void *user) {
  e->lap = lap;
  e->lap_user = user;
}

static void lap(const engine *e, int index, engine_pass pass) {
  if (e->lap) e->lap(e->lap_user, index, pass);
}

vgg_status engine_forward(engine *e, int n, bool train, vgg_error *err) {
  lap(e, -1, ENGINE_FORWARD);
  for (int i = 0; i < e->plan->num_stages; i++) {
    stage *impl = e->plan->stages[i].impl;
    const stage_io io = io_of(e, i, n, train);
    if (!impl->ops->forward(impl, &io)) return fault(e, i, "forward", err);
    lap(e, i, ENGINE_FORWARD);
  }
  return VGG_OK;
}

void engine_loss(engine *e, int n, const int32_t *labels, bool gradient, double *sum_loss,
                 int *correct) {
  const int classes = last_stage(e)->impl->spec.K;
  float *dlogits = gradient ? e->stages[e->plan->num_stages - 1].dy : NULL;
  *sum_loss = 0;
  *correct = 0;
  for (int i = 0; i < n; i++) {
    const float *row = engine_logits(e) + (size_t)i * classes;
    *correct += loss_guess(classes, row) == labels[i];
    *sum_loss += loss_row(classes, row, labels[i], 1.0f / (float)n,
                          dlogits ? dlogits + (size_t)i * classes : NULL);
  }
}

void engine_loss_part(engine *e, int n, const engine_targets *t, double over, double *sum_loss,
                      int *correct) {
  const int classes = last_stage(e)->impl->spec.K;
  float *dlogits = e->stages[e->plan->num_stages - 1].dy;
  *sum_loss = 0;
  *correct = 0;
  for (int i = 0; i < n; i++) {
    const float *row = engine_logits(e) + (size_t)i * classes;
    const int32_t label = t->share >= 0.5f ? t->labels[i] : t->mixed[-i];
    *correct += loss_guess(classes, row) == label;
    *sum_loss += loss_of_target(t, classes, i, row, over, dlogits + (size_t)i * classes);
  }
}

double engine_counts(int n, const engine_targets *t) {
  if (!t->weights) return n;
  double sum = 0;
  for (int i = 0; i < n; i++) {
    sum += t->share * (double)t->weights[t->labels[i]];
    if (t->share < 1) sum += (1. - t->share) * (double)t->weights[t->mixed[-i]];
  }
  return sum;
}

static bool backward_stage(engine *e, int i, const stage_io *io) {
  stage *impl = e->plan->stages[i].impl;
  if (!e->lap) return impl->ops->backward(impl, io);
  if (impl->fuses_update) {
    const bool ok = impl->ops->backward(impl, io);
    lap(e, i, ENGINE_DATA);
    return ok;
  }
  stage_io one = *io;
  one.dx = NULL;
  if (!impl->ops->backward(impl, &one)) return false;
  lap(e, i, ENGINE_WEIGHTS);
  if (!io->dx) return true;
  one = *io;
  one.dw = one.db = NULL;
  if (!impl->ops->backward(impl, &one)) return false;
  lap(e, i, ENGINE_DATA);
  return true;
}

/* Whether the gradient of `from`'s output, which is its ReLU's, is masked where `to` writes it: a
 * pass over it less. */
static bool masks_for(const plan_stage *from, const plan_stage *to) {
  return to->impl->masks_dx && stage_relu_is_bare(&from->impl->spec);
}

vgg_status engine_backward(engine *e, int n, vgg_error *err) {
  lap(e, -1, ENGINE_WEIGHTS);
  for (int i = e->plan->num_stages - 1; i >= e->plan->first_trained; i--) {
    const plan_stage *st = &e->plan->stages[i];
    stage_io io = io_of(e, i, n, true);
    io.dx = st->impl->spec.need_dx ? e->stages[i - 1].dy : NULL;
    io.mask_dx = i > 0 && masks_for(&e->plan->stages[i - 1], st);
    io.dy_masked = i + 1 < e->plan->num_stages && masks_for(st, &e->plan->stages[i + 1]);
    io.dw = st->weight < 0 ? NULL : e->gradient_of[st->weight];
    io.db = st->bias < 0 ? NULL : e->gradient_of[st->bias];
    if (!backward_stage(e, i, &io)) return fault(e, i, "backward", err);
    if (st->bias_is_lost) /* and not the rounding of a sum that should have been 0 */
      memset(io.db, 0, e->plan->params.at[st->bias].count * sizeof *io.db);
  }
  return VGG_OK;
}

/* running += momentum (new - running) */
static void follow(size_t count, const float *new, double factor, float *running) {
  for (size_t i = 0; i < count; i++)
    running[i] = (float)(running[i] + NET_NORM_MOMENTUM * (factor * new[i] - running[i]));
}

void engine_update_statistics(engine *e, int n) {
  for (int i = 0; i < e->plan->num_stages; i++) {
    const plan_stage *st = &e->plan->stages[i];
    const stage_spec *s = &st->impl->spec;
    if (!looks_at_batch(e, i, true)) continue;
    const double values = (double)n * s->H * s->W; /* at least a pool's window: more than one */
    follow((size_t)s->K, e->stages[i].batch_mean, 1, master(e, st->mean));
    follow((size_t)s->K, e->stages[i].batch_variance, values / (values - 1),
           master(e, st->variance));
  }
}

int engine_fused_not_finite(engine *e, int n) {
  for (int i = 0; i < e->plan->num_stages; i++) {
    stage *impl = e->plan->stages[i].impl;
    const stage_io io = io_of(e, i, n, true);
    if (impl->fuses_update && !impl->ops->gradient_finite(impl, &io))
      return e->plan->stages[i].weight;
  }
  return -1;
}

double engine_fused_norm2(engine *e, int n) {
  double sum = 0;
  for (int i = 0; i < e->plan->num_stages; i++) {
    stage *impl = e->plan->stages[i].impl;
    const stage_io io = io_of(e, i, n, true);
    if (impl->fuses_update) sum += impl->ops->gradient_norm2(impl, &io);
  }
  return sum;
}

/* What a stage's norm does to a filter: y = (x - mean) factor + shift. */
static void fold_norm(const engine *e, int i) {
  const plan_stage *st = &e->plan->stages[i];
  const engine_stage *es = &e->stages[i];
  const float *w = master(e, st->weight), *b = master(e, st->bias), *mean = master(e, st->mean);
  const float *variance = master(e, st->variance), *scale = master(e, st->scale);
  const float *shift = master(e, st->shift);
  const size_t filters = e->plan->params.at[st->bias].count;
  const size_t taps = e->plan->params.at[st->weight].count / filters;
  for (size_t k = 0; k < filters; k++) {
    const double factor = scale[k] / sqrt((double)variance[k] + NET_NORM_EPS);
    for (size_t t = k * taps; t < (k + 1) * taps; t++) es->folded[t] = (float)(w[t] * factor);
    es->folded_bias[k] = (float)(((double)b[k] - mean[k]) * factor + shift[k]);
  }
}

static vgg_status repack(engine *e, int i, vgg_error *err) {
  stage *impl = e->plan->stages[i].impl;
  const stage_io io = io_of(e, i, 0, false);
  return impl->ops->repack(impl, io.w, io.b, io.pack, io.workspace) ? VGG_OK
                                                                    : fault(e, i, "repack", err);
}

vgg_status engine_repack(engine *e, vgg_error *err) {
  vgg_status status = VGG_OK;
  for (int i = 0; i < e->plan->num_stages && status == VGG_OK; i++) {
    if (e->stages[i].folded) fold_norm(e, i);
    status = repack(e, i, err);
  }
  return status;
}

/* ---- update ---------------------------------------------------------------------------------- */

/* Where parameter p and its states are. */
static stage_update update_of(const engine *e, int p, const op_rule *rule, const op_rule_args *args,
                              float *const states[]) {
  const size_t at = e->plan->params.at[p].offset;
  stage_update u = {.rule = rule, .args = &args[p], .w = e->masters + at};
  for (int k = 0; k < rule->states; k++) u.state[k] = states[k] + (at - e->plan->trained_at);
  return u;
}

/* By the gradient g [count]. */
static void move(const engine *e, const stage_update *u, const float *g, size_t count) {
  enum { CHUNK = 16384 }; /* 64 KB: even biases and filters spread well */
  op_rule_update *const step = op_rule_fastest(u->rule, e->plan->env.isa);
#pragma omp parallel for num_threads(e->plan->env.threads) schedule(static) if (count > CHUNK)
  for (size_t i = 0; i < count; i += CHUNK) {
    float *state[OP_RULE_MAX_STATES];
    for (int k = 0; k < u->rule->states; k++) state[k] = u->state[k] + i;
    step(u->w + i, g + i, state, count - i < CHUNK ? count - i : CHUNK, u->args);
  }
}

/* What the stage does by itself. */
static bool move_fused(engine *e, int i, int n, const stage_update *u) {
  stage *impl = e->plan->stages[i].impl;
  const stage_io io = io_of(e, i, n, true);
  lap(e, -1, ENGINE_WEIGHTS);
  const bool ok = impl->ops->update(impl, &io, u);
  lap(e, i, ENGINE_WEIGHTS);
  return ok;
}

vgg_status engine_update(engine *e, int n, const op_rule *rule, const op_rule_args *args,
                         float *const states[], vgg_error *err) {
  vgg_status status = VGG_OK;
  for (int i = e->plan->first_trained; i < e->plan->num_stages && status == VGG_OK; i++) {
    const plan_stage *st = &e->plan->stages[i];
    const int both[] = {st->weight, st->bias};
    for (int k = 0; k < 2; k++) {
      if (both[k] < 0) continue;
      const stage_update u = update_of(e, both[k], rule, args, states);
      const float *g = e->gradient_of[both[k]];
      if (g)
        move(e, &u, g, e->plan->params.at[both[k]].count);
      else if (!move_fused(e, i, n, &u))
        return fault(e, i, "the update", err);
    }
    status = repack(e, i, err);
  }
  return status;
}
