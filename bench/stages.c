/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_stages [--arch NAME] [--ratio N] [--input CxHxW] [--batch N] [--seconds S]
 *              [--precision fp32|bf16] [--backend NAME] [--isa NAME] [--threads N]
 *
 * Times every stage of a net by itself: forward, backward and repack, in microseconds an image, and
 * the rate of the products in GFLOP/s (two a multiply-add, rims counted). The best of the runs
 * within S seconds a measurement counts. Data is as large as in training but stays the same from
 * run to run, so small stages find it in the caches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/clock.h"
#include "base/memory.h"
#include "net/plan.h"

typedef struct options {
  const char *arch;
  vgg_arch_options net;
  vgg_run_options run;
  double seconds;
} options;

static int usage(void) {
  fprintf(stderr,
          "usage: bench_stages [--arch NAME] [--ratio N] [--input CxHxW] [--batch N]\n"
          "                    [--seconds S] [--precision P] [--backend B] [--isa I]\n"
          "                    [--threads N]\n");
  return VGG_BAD_VALUE;
}

static bool parse(int argc, char **argv, options *o) {
  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (!value) return false;
    if (!strcmp(name, "--arch"))
      o->arch = value;
    else if (!strcmp(name, "--ratio"))
      o->net.ratio = atoi(value);
    else if (!strcmp(name, "--batch"))
      o->run.batch = atoi(value);
    else if (!strcmp(name, "--threads"))
      o->run.threads = atoi(value);
    else if (!strcmp(name, "--seconds"))
      o->seconds = atof(value);
    else if (!strcmp(name, "--precision"))
      o->run.precision = value;
    else if (!strcmp(name, "--backend"))
      o->run.backend = value;
    else if (!strcmp(name, "--isa"))
      o->run.isa = value;
    else if (strcmp(name, "--input") ||
             sscanf(value, "%dx%dx%d", &o->net.input.c, &o->net.input.h, &o->net.input.w) != 3)
      return false;
  }
  return true;
}

/* Values in (0, 1), half of them 0: what a ReLU leaves. */
static void *random_edge(edge_type type, size_t count) {
  void *p = mem_alloc(count * edge_size(type));
  if (!p) return NULL;
  uint32_t state = 1;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    const float v = state >> 31 ? (float)(state >> 8) * 0x1p-24f : 0.0f;
    if (type == EDGE_F32)
      ((float *)p)[i] = v;
    else
      ((bf16 *)p)[i] = bf16_from_float(v);
  }
  return p;
}

typedef struct buffers {
  stage_io io;
  float *w; /* then the bias */
} buffers;

static bool buffers_create(buffers *b, const plan *p, const plan_stage *st) {
  const stage_spec *s = &st->impl->spec;
  const stage_sizes *z = &st->impl->sizes;
  const size_t n = (size_t)p->env.max_n;
  const size_t weights = p->params.at[st->weight].count;
  stage_io *io = &b->io;
  *b = (buffers){.io = {.n = p->env.max_n}};
  b->w = random_edge(EDGE_F32, weights + (size_t)s->K);
  io->x = random_edge(s->x_type, n * st->x_floats);
  io->y = random_edge(s->y_type, n * st->y_floats);
  io->dy = random_edge(s->y_type, n * st->y_floats);
  io->dx = s->need_dx ? mem_alloc(n * st->x_floats * edge_size(s->x_type)) : NULL;
  io->aux = mem_alloc(n * z->aux_per_image);
  io->dw = mem_alloc(weights * sizeof(float));
  io->db = mem_alloc((size_t)s->K * sizeof(float));
  io->pack = mem_alloc(z->pack);
  io->workspace = mem_alloc(p->workspace);
  uint8_t *mask = s->dropout ? mem_alloc(n * (size_t)s->K) : NULL;
  for (size_t i = 0; mask && i < n * (size_t)s->K; i++) mask[i] = i * 2654435761u >> 7 & 1;
  io->dropout = mask;
  if (!b->w || !io->x || !io->y || !io->dy || !io->aux || !io->dw || !io->db || !io->pack ||
      !io->workspace || (s->need_dx && !io->dx) || (s->dropout && !mask))
    return false;
  for (size_t i = 0; i < weights; i++) b->w[i] = (b->w[i] - 0.25f) * 0.1f;
  io->w = b->w;
  io->b = b->w + weights;
  return true;
}

static void buffers_free(buffers *b) {
  void *const all[] = {b->w,
                       (void *)b->io.x,
                       b->io.y,
                       b->io.dy,
                       b->io.dx,
                       b->io.aux,
                       b->io.dw,
                       b->io.db,
                       b->io.pack,
                       b->io.workspace,
                       (void *)b->io.dropout};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

typedef enum phase { FORWARD, BACKWARD, REPACK, PHASES } phase;

static bool once(stage *s, const buffers *b, phase what) {
  const stage_io *io = &b->io;
  if (what == FORWARD) return s->ops->forward(s, io);
  if (what == BACKWARD) return s->ops->backward(s, io);
  return s->ops->repack(s, io->w, io->b, io->pack, io->workspace);
}

/* Seconds of the best run, at least three; negative on a fault. */
static double best(stage *s, const buffers *b, phase what, double seconds) {
  const double start = clock_seconds();
  double least = 1e9;
  for (int runs = 0; runs < 3 || clock_seconds() - start < seconds; runs++) {
    const double before = clock_seconds();
    if (!once(s, b, what)) return -1;
    const double took = clock_seconds() - before;
    least = took < least ? took : least;
  }
  return least;
}

/* Adds the stage's microseconds an image to sum[PHASES]. */
static bool bench(const plan *p, int i, double seconds, double *sum) {
  const plan_stage *st = &p->stages[i];
  stage *s = st->impl;
  buffers b;
  bool ok = buffers_create(&b, p, st);
  if (ok) ok = once(s, &b, REPACK) && once(s, &b, FORWARD);
  const double n = p->env.max_n, per_image = 1e6 / n;
  const double flop = 2.0 * s->spec.R * s->spec.S * s->spec.C * s->spec.K * s->spec.P * s->spec.Q;
  double us[PHASES] = {0};
  for (int what = 0; what < PHASES && ok; what++) {
    us[what] = best(s, &b, (phase)what, seconds) * per_image;
    ok = us[what] >= 0;
    sum[what] += us[what];
  }
  if (ok)
    printf("%-9s %8.1f %8.0f %9.1f %8.0f %8.2f   %s: %s\n", p->arch->layers[st->first_layer].name,
           us[FORWARD], flop / us[FORWARD] * 1e-3, us[BACKWARD],
           flop * (s->spec.need_dx ? 2 : 1) / us[BACKWARD] * 1e-3, us[REPACK], s->backend,
           s->detail);
  buffers_free(&b);
  return ok;
}

static int run(const plan *p, double seconds) {
  printf("%s, batch %d, %s, %d threads, %s; microseconds an image, GFLOP/s\n",
         vgg_arch_title(p->arch), p->env.max_n, p->env.bf16 ? "bf16" : "fp32", p->env.threads,
         cpu_isa_name(p->env.isa));
  printf("%-9s %8s %8s %9s %8s %8s\n", "stage", "forward", "GF/s", "backward", "GF/s", "repack");
  double sum[PHASES] = {0};
  for (int i = 0; i < p->num_stages; i++)
    if (!bench(p, i, seconds, sum)) {
      fprintf(stderr, "bench_stages: stage %d failed\n", i);
      return VGG_BUG;
    }
  const double all = sum[FORWARD] + sum[BACKWARD] + sum[REPACK];
  printf("%-9s %8.1f %8s %9.1f %8s %8.2f   sum %.1f, %.1f images/s\n", "all", sum[FORWARD], "",
         sum[BACKWARD], "", sum[REPACK], all, 1e6 / all);
  return VGG_OK;
}

int main(int argc, char **argv) {
  options o = {.arch = "vgg11", .net = {.ratio = 4}, .seconds = 0.3};
  if (!parse(argc, argv, &o)) return usage();
  vgg_error err;
  vgg_arch *arch = NULL;
  plan *p = NULL;
  vgg_status st = vgg_arch_from_text(o.arch, &o.net, &arch, &err);
  if (st == VGG_OK) st = plan_create(arch, &o.run, PLAN_GRADIENTS, &p, &err);
  if (st == VGG_OK)
    st = (vgg_status)run(p, o.seconds);
  else
    fprintf(stderr, "bench_stages: %s\n", err.message);
  plan_close(p);
  vgg_arch_close(arch);
  return (int)st;
}
