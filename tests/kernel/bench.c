/* SPDX-License-Identifier: Apache-2.0
 *
 * Every stage of the nets that native can run, beside oneDNN's for the same stage: its convolution,
 * and ReLU and pool in passes of their own. Both take turns, direction by direction, as a training
 * step has them: native masks a gradient where it is written, see masks_dx in backend.h. The
 * verdict is on those that a plan for training gives to native.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cost.h"
#include "backend/pass/pass.h"
#include "base/bf16.h"
#include "base/clock.h"
#include "base/memory.h"
#include "bench/peak.h"
#include "bench/sample.h"
#include "checkkernel.h"
#include "net/plan.h"

/* ---- what a stage runs on -------------------------------------------------------------------- */

/* Values in (0, 1), half of them 0: what a ReLU leaves. */
static float *random_values(size_t count) {
  float *p = mem_alloc(count * sizeof *p);
  uint32_t state = 1;
  for (size_t i = 0; p && i < count; i++) {
    state = state * 1664525u + 1013904223u;
    p[i] = state >> 31 ? (float)(state >> 8) * 0x1p-24f : 0.0f;
  }
  return p;
}

/* Edges and weights are both backends', the rest each one's own. */
typedef struct edges {
  float *x, *y, *dy, *dx, *w, *b, *dw, *db;
} edges;

static bool edges_create(edges *e, const plan_stage *st, int n, size_t weights) {
  const size_t x = (size_t)n * st->x_floats, y = (size_t)n * st->y_floats;
  const size_t K = (size_t)st->impl->spec.K;
  *e = (edges){.x = random_values(x),
               .y = random_values(y),
               .dy = random_values(y),
               .dx = random_values(x),
               .w = random_values(weights),
               .b = random_values(K),
               .dw = random_values(weights),
               .db = random_values(K)};
  for (size_t i = 0; e->w && i < weights; i++) e->w[i] = (e->w[i] - 0.25f) * 0.1f;
  return e->x && e->y && e->dy && e->dx && e->w && e->b && e->dw && e->db;
}

static void edges_free(edges *e) {
  float *const all[] = {e->x, e->y, e->dy, e->dx, e->w, e->b, e->dw, e->db};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

enum { FORWARD, DATA, WEIGHTS, REPACK, DIRECTIONS };
static const char *const direction_names[DIRECTIONS] = {"forward", "backward-data",
                                                        "backward-weights", "repack"};

typedef struct contender {
  stage *stage; /* NULL: declined */
  stage_io io;
  bool mask_dx;    /* in backward-data */
  sample *samples; /* [DIRECTIONS] */
} contender;

static bool contender_create(contender *c, const char *name, const stage_spec *spec,
                             const stage_env *env, const edges *e) {
  const backend *b = backend_find(name);
  char why[160];
  *c = (contender){0};
  if (!b) return true;
  if (b->prepare(spec, env, &c->stage, why, sizeof why, NULL) != VGG_OK) return false;
  if (!c->stage) return true;
  const stage_sizes *z = &c->stage->sizes;
  c->samples = calloc(DIRECTIONS, sizeof *c->samples);
  c->io = (stage_io){.n = env->max_n,
                     .x = e->x,
                     .y = e->y,
                     .w = e->w,
                     .b = e->b,
                     .aux = mem_alloc((size_t)env->max_n * z->aux_per_image),
                     .pack = mem_alloc(z->pack),
                     .workspace = mem_alloc(z->workspace)};
  return c->samples && c->io.aux && c->io.pack && c->io.workspace &&
         c->stage->ops->repack(c->stage, e->w, e->b, c->io.pack, c->io.workspace);
}

static void contender_free(contender *c) {
  if (c->stage) c->stage->ops->destroy(c->stage);
  mem_free(c->io.aux);
  mem_free(c->io.pack);
  mem_free(c->io.workspace);
  free(c->samples);
}

/* ---- timing ---------------------------------------------------------------------------------- */

static bool once(contender *c, const edges *e, int direction) {
  stage_io io = c->io;
  const double start = clock_seconds();
  bool ok;
  if (direction == FORWARD) {
    ok = c->stage->ops->forward(c->stage, &io);
  } else if (direction == REPACK) {
    ok = c->stage->ops->repack(c->stage, e->w, e->b, io.pack, io.workspace);
  } else {
    io.dy = e->dy;
    io.dx = direction == DATA ? e->dx : NULL;
    io.mask_dx = direction == DATA && c->mask_dx;
    io.dw = direction == WEIGHTS ? e->dw : NULL;
    io.db = direction == WEIGHTS ? e->db : NULL;
    ok = c->stage->ops->backward(c->stage, &io);
  }
  sample_add(&c->samples[direction], clock_seconds() - start);
  return ok;
}

/* Both in turns; the first turn only warms up. y is the newest forward's: alike to rounding. */
static bool time_direction(contender all[2], const edges *e, int direction, double seconds) {
  bool ok = true;
  const double begin = clock_seconds();
  for (int turn = 0; ok && (turn < 4 || clock_seconds() - begin < seconds); turn++)
    for (int i = 0; i < 2 && ok; i++) {
      if (!all[i].stage) continue;
      if (turn == 1) all[i].samples[direction].count = 0;
      ok = once(&all[i], e, direction);
    }
  return ok;
}

typedef struct report {
  double peak; /* GFLOP/s, before */
  int slower, compared;
} report;

static double median_us(contender *c, int direction) {
  return sample_median(&c->samples[direction]) / c->io.n * 1e6;
}

/* Packing happens once a step and not at all in use. It has no part in the verdict, nor has the sum
 * of all that a step of training needs; `ratio`: whether there is a sense in one. */
static void print_beside(const char *layer, const char *what, const contender all[2],
                         const double us[2], bool ratio) {
  printf("%-9s %-16s %9.1f %22s", layer, what, us[0], "");
  if (all[1].stage) printf(" %9.1f", us[1]);
  if (all[1].stage && ratio) printf(" %6.2f", us[1] / us[0]);
  printf("\n");
}

/* Whether the plan gives the stage to native; where it does not, the verdict does not count it. */
static bool is_claimed(const plan_stage *st) { return strcmp(st->impl->backend, "native") == 0; }

static void print_direction(report *r, const plan_stage *st, const char *layer, contender all[2],
                            int direction) {
  const double us = median_us(&all[0], direction);
  const double gflops = cost_flop(&st->impl->spec) / us * 1e-3;
  printf("%-9s %-16s %9.1f %8.0f %6.0f %6.1f", layer, direction_names[direction], us, gflops,
         gflops / r->peak * 100, cost_bytes(&st->impl->spec, all[0].io.n) / us * 1e-3);
  if (all[1].stage) {
    const double theirs = median_us(&all[1], direction);
    const bool slower = us > theirs && is_claimed(st);
    r->compared += is_claimed(st);
    r->slower += slower;
    printf(" %9.1f %6.2f%s", theirs, theirs / us,
           slower           ? " SLOWER"
           : is_claimed(st) ? ""
                            : " (not claimed)");
  }
  printf("  %s\n", all[0].stage->detail);
}

/* What of the masks falls to native's stage `index` where its neighbours are as in the plan. */
static void share_masks(contender *c, const plan *p, int index) {
  if (!c->stage || !c->stage->masks_dx) return;
  c->mask_dx = index > 0 && stage_relu_is_bare(&p->stages[index - 1].impl->spec);
  c->io.dy_masked = index + 1 < p->num_stages && p->stages[index + 1].impl->masks_dx &&
                    stage_relu_is_bare(&p->stages[index].impl->spec);
}

static bool bench_stage(const check_options *o, report *r, const plan *p, int index) {
  const plan_stage *st = &p->stages[index];
  const stage_spec *spec = &st->impl->spec;
  const char *name = p->arch->layers[st->first_layer].name;
  if (o->layer && strncmp(name, o->layer, strlen(o->layer)) != 0) return true;
  edges e;
  contender all[2] = {{0}};
  bool ok = edges_create(&e, st, o->batch, p->params.at[st->weight].count) &&
            contender_create(&all[0], "native", spec, &p->env, &e) &&
            contender_create(&all[1], "onednn", spec, &p->env, &e);
  share_masks(&all[0], p, index);
  const bool asked = all[0].stage && (!o->row || strstr(all[0].stage->detail, o->row));
  double step[2] = {0};
  for (int d = 0; d < DIRECTIONS && ok && asked; d++) {
    if (d == DATA && !spec->need_dx) continue;
    ok = time_direction(all, &e, d, o->seconds);
    if (!ok) break;
    const double us[2] = {median_us(&all[0], d), all[1].stage ? median_us(&all[1], d) : 0};
    for (int i = 0; i < 2; i++) step[i] += us[i];
    if (d == REPACK)
      print_beside(name, direction_names[d], all, us, false);
    else
      print_direction(r, st, name, all, d);
  }
  if (ok && asked) print_beside(name, "all of these", all, step, true);
  contender_free(&all[0]), contender_free(&all[1]);
  edges_free(&e);
  return ok;
}

/* ---- the nets -------------------------------------------------------------------------------- */

static const struct {
  const char *name, *arch;
  vgg_arch_options options;
} nets[] = {{"small", "vgg11", {.ratio = 4}},
            {"ratio8", "vgg11", {.ratio = 8}},
            {"ratio16", "vgg11", {.ratio = 16}},
            {"cifar", "vgg16", {.input = {3, 32, 32}}},
            {"vgg11", "vgg11", {.input = {3, 224, 224}, .classes = 1000}},
            {"vgg16", "vgg16", {.input = {3, 224, 224}, .classes = 1000}}};

/* Backends come and go with a plan's stages; here each stage is prepared for itself. */
static vgg_status net_plan(const check_options *o, size_t net, plan **out, vgg_error *err) {
  const vgg_run_options run = {.precision = "fp32",
                               .isa = o->isa == CPU_BASE ? NULL : cpu_isa_name(o->isa),
                               .threads = o->threads,
                               .batch = o->batch};
  vgg_arch *arch = NULL;
  vgg_status status = vgg_arch_from_text(nets[net].arch, &nets[net].options, &arch, err);
  if (status == VGG_OK) status = plan_create(arch, &run, PLAN_GRADIENTS, out, err);
  vgg_arch_close(arch);
  return status;
}

static bool bench_net(const check_options *o, report *r, size_t net) {
  plan *p = NULL;
  vgg_error err;
  if (net_plan(o, net, &p, &err) != VGG_OK) {
    fprintf(stderr, "checkkernel: %s\n", err.message);
    return false;
  }
  printf("\n%s, batch %d, fp32, %s, %d threads\n", nets[net].name, o->batch, cpu_isa_name(o->isa),
         o->threads);
  printf("%-9s %-16s %9s %8s %6s %6s %9s %6s\n", "layer", "direction", "us/image", "GFLOP/s",
         "% peak", "GB/s", "oneDNN us", "ratio");
  bool ok = true;
  for (int i = 0; i < p->num_stages && ok; i++) ok = bench_stage(o, r, p, i);
  plan_close(p);
  if (!ok) fprintf(stderr, "checkkernel: %s: no memory, or a stage failed\n", nets[net].name);
  return ok;
}

int bench_layers(const check_options *o) {
  bool known = !o->net;
  for (size_t i = 0; i < sizeof nets / sizeof *nets && !known; i++)
    known = strcmp(o->net, nets[i].name) == 0;
  if (!known) {
    fprintf(stderr, "checkkernel: --net %s: unknown, see --help\n", o->net);
    return VGG_BAD_VALUE;
  }
  report r = {.peak = peak_measure(o->isa, o->threads, 1)};
  printf("peak before: %.1f GFLOP/s\n", r.peak);
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
    if (!o->net || strcmp(o->net, nets[i].name) == 0)
      if (!bench_net(o, &r, i)) return VGG_BUG;
  printf("\npeak after: %.1f GFLOP/s\n", peak_measure(o->isa, o->threads, 1));
  printf("%d of %d directions slower than oneDNN with its ReLU and pool\n", r.slower, r.compared);
  return r.slower > 0;
}

/* ---- passes ---------------------------------------------------------------------------------- */

typedef struct pass_work {
  const pass_kernels *k;
  pass_pool pool;
  int n, threads;
  float *x, *y, *dx;
  uint8_t *index;
} pass_work;

static void pass_run(const pass_work *w, int which) {
  const size_t x = (size_t)w->n * w->pool.P * w->pool.Q * w->pool.K;
  if (which == 0)
    pass_pool_forward(w->k, EDGE_F32, &w->pool, w->n, w->x, w->y, w->index, w->threads);
  else if (which == 1)
    pass_pool_backward(w->k, EDGE_F32, &w->pool, w->n, w->index, w->y, w->dx, w->threads);
  else
    pass_relu_backward(w->k, EDGE_F32, x, w->x, 1, w->dx, w->threads);
}

static double pass_seconds(const pass_work *w, int which) {
  sample s = {0};
  pass_run(w, which);
  for (int i = 0; i < 9; i++) {
    const double start = clock_seconds();
    pass_run(w, which);
    sample_add(&s, clock_seconds() - start);
  }
  return sample_median(&s);
}

void bench_passes(const check_options *o) {
  static const char *const names[] = {"pool", "unpool", "relu-mask"};
  const pass_pool pool = {.P = 56, .Q = 56, .K = 64, .size = 2, .stride = 2, .OP = 28, .OQ = 28};
  const size_t x = (size_t)o->batch * 56 * 56 * 64, y = x / 4;
  pass_work w = {.pool = pool,
                 .n = o->batch,
                 .threads = o->threads,
                 .x = random_values(x),
                 .y = random_values(y),
                 .dx = random_values(x),
                 .index = mem_alloc(y)};
  const double bytes[] = {4.0 * (double)(x + y) + (double)y, 4.0 * (double)(x + y) + (double)y,
                          12.0 * (double)x};
  size_t last = 0;
  while (pass_kernels_at(last + 1)) last++;
  printf("%-12s %-12s %9s %6s %8s\n", "row", "pass", "us", "GB/s", "x row C");
  for (size_t i = 0; w.x && w.y && w.dx && w.index && i <= last; i++)
    for (int which = 0; which < 3; which++) {
      w.k = pass_kernels_at(last);
      const double plain = pass_seconds(&w, which);
      w.k = pass_kernels_at(i);
      if (!check_wants(o, w.k->name, w.k->isa)) break;
      const double seconds = pass_seconds(&w, which);
      printf("%-12s %-12s %9.1f %6.1f %8.2f\n", w.k->name, names[which], seconds * 1e6,
             bytes[which] / seconds * 1e-9, plain / seconds);
    }
  mem_free(w.x), mem_free(w.y), mem_free(w.dx), mem_free(w.index);
}
