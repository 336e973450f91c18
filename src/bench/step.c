/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/step.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/philox.h"
#include "train/rule.h"

/* Bytes as a picture has them: something everywhere. Labels in turn. */
static void fill(bench_net *b, size_t pixels, int classes) {
  for (size_t i = 0; i < pixels; i += 4) {
    uint32_t draw[4];
    philox(0, PHILOX_DROPOUT, 0, 0, (uint32_t)(i / 4), draw);
    for (size_t j = 0; j < 4 && i + j < pixels; j++) b->pixels[i + j] = (uint8_t)draw[j];
  }
  for (int i = 0; i < b->n; i++) {
    b->labels[i] = i % classes;
    b->ids[i] = (uint32_t)i;
  }
}

static vgg_status allocate(bench_net *b, const plan *p, vgg_error *err) {
  const size_t n = (size_t)b->n, pixels = n * p->stages[0].x_floats;
  b->masters = mem_alloc(p->params.floats * sizeof *b->masters);
  b->pixels = mem_alloc(pixels);
  b->labels = mem_alloc(n * sizeof *b->labels);
  b->ids = mem_alloc(n * sizeof *b->ids);
  if (!b->masters || !b->pixels || !b->labels || !b->ids)
    return err_no_memory(err, "bench", p->params.floats * sizeof *b->masters + pixels);
  fill(b, pixels, p->stages[p->num_stages - 1].impl->spec.K);
  net_init_d2l(&p->params, 0, b->masters);
  return VGG_OK;
}

vgg_status bench_net_open(bench_net *b, const vgg_arch *arch, const vgg_bench_options *options,
                          vgg_error *err) {
  plan *p;
  *b = (bench_net){.training = options->training};
  vgg_status status =
      plan_create(arch, &options->run, options->training ? PLAN_TRAINING : PLAN_INFERENCE, &p, err);
  if (status != VGG_OK) return status;
  b->n = p->env.max_n;
  status = allocate(b, p, err);
  if (status != VGG_OK) {
    plan_close(p);
    return status;
  }
  return engine_create(p, b->masters, &b->engine, err);
}

void bench_net_close(bench_net *b) {
  engine_close(b->engine);
  mem_free(b->masters);
  mem_free(b->pixels);
  mem_free(b->labels);
  mem_free(b->ids);
}

/* The rate is so low that the weights of a hundred thousand steps are still like the first. */
static vgg_status update(bench_net *b, vgg_error *err) {
  const rule_numbers numbers = {.lr = 1e-8};
  int bad;
  const vgg_status status =
      rule_update(b->engine, b->n, op_rule_find("sgd"), &numbers, 1, NULL, &bad, err);
  if (status == VGG_OK && bad >= 0) return err_set(err, VGG_BUG, "bench: a gradient is not finite");
  return status;
}

vgg_status bench_net_step(bench_net *b, vgg_error *err) {
  double loss;
  int correct;
  engine_set_pixels(b->engine, b->n, b->pixels);
  if (b->training) engine_draw_dropout(b->engine, b->n, 0, 0, b->ids);
  vgg_status status = engine_forward(b->engine, b->n, b->training, err);
  if (status != VGG_OK || !b->training) return status;
  engine_loss(b->engine, b->n, b->labels, true, &loss, &correct);
  status = engine_backward(b->engine, b->n, err);
  return status == VGG_OK ? update(b, err) : status;
}
