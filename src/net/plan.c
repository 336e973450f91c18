/* SPDX-License-Identifier: Apache-2.0 */
#include "net/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "op/rule.h"

/* ---- what the options ask for ---------------------------------------------------------------- */

static vgg_status resolve_device(const char *device, char out[16], vgg_error *err) {
  if (!device || strcmp(device, "auto") == 0 || strcmp(device, "cpu") == 0) {
    strcpy(out, "cpu"); /* the tutorial's try_gpu: the first GPU if there is one, else the CPU */
    return VGG_OK;
  }
  if (strncmp(device, "cuda", 4) == 0 && (device[4] == 0 || device[4] == ':'))
    return err_set(err, VGG_ABSENT, "--device %s: this build has no CUDA", device);
  return err_set(err, VGG_BAD_VALUE, "--device %s: unknown, wanted auto, cpu or cuda[:i]", device);
}

static bool is_auto(const char *word) { return !word || strcmp(word, "auto") == 0; }

bool plan_prefers_bf16(cpu_isa isa, const char *backend_name, bool no_winograd) {
  const bool own_kernels = (is_auto(backend_name) || strcmp(backend_name, "native") == 0) &&
                           !no_winograd && backend_find("native");
  return isa >= (own_kernels ? CPU_AMX : CPU_AVX512BF16);
}

static vgg_status resolve_precision(const vgg_run_options *o, plan *p, vgg_error *err) {
  if (is_auto(o->precision))
    p->env.bf16 = plan_prefers_bf16(p->env.isa, o->backend, p->env.no_winograd);
  else if (strcmp(o->precision, "bf16") == 0)
    p->env.bf16 = true;
  else if (strcmp(o->precision, "fp32") != 0)
    return err_set(err, VGG_BAD_VALUE, "--precision %s: unknown, wanted auto, fp32 or bf16",
                   o->precision);
  return VGG_OK;
}

static vgg_status resolve_winograd(const char *winograd, plan *p, vgg_error *err) {
  p->env.no_winograd = winograd && strcmp(winograd, "off") == 0;
  p->force_winograd = winograd && strcmp(winograd, "on") == 0;
  if (is_auto(winograd) || p->env.no_winograd || p->force_winograd) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "--winograd %s: unknown, wanted auto, on or off", winograd);
}

/* Arrays as large as what is trained of the masters. */
static vgg_status resolve_optimizer(const char *optimizer, plan *p, vgg_error *err) {
  const op_rule *rule = optimizer ? op_rule_find(optimizer) : NULL;
  if (optimizer && !rule)
    return err_set(err, VGG_BAD_VALUE, "--optimizer %s: unknown, wanted one of:%s", optimizer,
                   op_rule_names());
  if (rule && p->env.training)
    p->optimizer = (size_t)rule->states * (p->params.floats - p->trained_at) * sizeof(float);
  return VGG_OK;
}

static vgg_status resolve_env(plan *p, const vgg_run_options *o, plan_use use, vgg_error *err) {
  enum { DEFAULT_BATCH = 128, MAX_BATCH = 1 << 16, MAX_THREADS = 1024 };
  vgg_status status = resolve_device(o->device, p->device, err);
  if (status == VGG_OK) status = cpu_isa_from_name(o->isa, &p->env.isa, err);
  if (status == VGG_OK) status = resolve_winograd(o->winograd, p, err);
  if (status == VGG_OK) status = resolve_precision(o, p, err);
  if (status != VGG_OK) return status;
  if (o->threads < 0 || o->threads > MAX_THREADS)
    return err_set(err, VGG_BAD_VALUE, "--threads %d: wanted 1 to %d", o->threads, MAX_THREADS);
  if (o->batch < 0 || o->batch > MAX_BATCH)
    return err_set(err, VGG_BAD_VALUE, "--batch %d: wanted 1 to %d", o->batch, MAX_BATCH);
  p->env.threads = o->threads ? o->threads : cpu_threads();
  p->env.max_n = o->batch ? o->batch : DEFAULT_BATCH;
  p->env.training = use != PLAN_INFERENCE;
  p->env.fuse_updates = use == PLAN_TRAINING;
  return resolve_optimizer(o->optimizer, p, err);
}

/* ---- layers -> stages ------------------------------------------------------------------------ */

static bool layer_is(const vgg_arch *a, int i, vgg_layer_type type) {
  return i < a->num_layers && a->layers[i].type == type;
}

static int find_param(const net_params *params, int layer, net_role role) {
  for (int i = 0; i < params->count; i++)
    if (params->at[i].layer == layer && params->at[i].role == role) return i;
  return -1;
}

/* What a stage that begins at layer i needs to know of that layer alone. */
static stage_spec spec_of_first(const vgg_arch *a, int i) {
  const vgg_layer *first = &a->layers[i];
  stage_spec s = {.C = first->in.c,
                  .H = first->in.h,
                  .W = first->in.w,
                  .K = first->out.c,
                  .R = 1,
                  .S = 1,
                  .stride = 1,
                  .P = first->out.h,
                  .Q = first->out.w};
  const int terms = a->options.lrn == VGG_LRN_MEAN ? NET_LRN_SIZE : 1;
  switch (first->type) {
    case VGG_LAYER_CONV:
      s.kind = STAGE_CONV;
      s.R = s.S = first->kernel;
      s.stride = first->stride;
      s.pad = first->pad;
      break;
    case VGG_LAYER_BATCHNORM:
      s.kind = STAGE_NORM;
      s.eps = (float)NET_NORM_EPS;
      break;
    case VGG_LAYER_LRN:
      s.kind = STAGE_LRN;
      s.lrn = (op_lrn_dims){.C = first->in.c,
                            .size = NET_LRN_SIZE,
                            .alpha = NET_LRN_ALPHA / terms,
                            .beta = NET_LRN_BETA,
                            .k = NET_LRN_K};
      break;
    case VGG_LAYER_AVGPOOL:
      s.kind = STAGE_AVERAGE;
      break;
    default:
      s.kind = STAGE_LINEAR;
      s.C = first->in.c * first->in.h * first->in.w;
      s.H = s.W = 1;
  }
  return s;
}

/* Fuses the run of layers that begins at st->first_layer. `fold`: a batch norm becomes part of the
 * convolution before it. */
static stage_spec fuse(const vgg_arch *a, const net_params *params, bool fold, plan_stage *st) {
  const int i = st->first_layer;
  stage_spec s = spec_of_first(a, i);
  int n = 1;
  const bool norm = s.kind == STAGE_NORM;
  st->weight = find_param(params, i, norm ? NET_SCALE : NET_WEIGHT);
  st->bias = find_param(params, i, norm ? NET_SHIFT : NET_BIAS);
  st->mean = find_param(params, i, NET_MEAN);
  st->variance = find_param(params, i, NET_VARIANCE);
  st->scale = st->shift = st->dropout_layer = -1;
  if (fold && layer_is(a, i + 1, VGG_LAYER_BATCHNORM)) {
    st->scale = find_param(params, i + 1, NET_SCALE);
    st->shift = find_param(params, i + 1, NET_SHIFT);
    st->mean = find_param(params, i + 1, NET_MEAN);
    st->variance = find_param(params, i + 1, NET_VARIANCE);
    n++;
  }
  st->bias_is_lost = n == 1 && layer_is(a, i + 1, VGG_LAYER_BATCHNORM);
  s.relu = layer_is(a, i + n, VGG_LAYER_RELU);
  n += s.relu;
  if (s.kind != STAGE_AVERAGE && layer_is(a, i + n, VGG_LAYER_MAXPOOL)) {
    s.pool_size = a->layers[i + n].kernel;
    s.pool_stride = a->layers[i + n].stride;
    n++;
  } else if (layer_is(a, i + n, VGG_LAYER_DROPOUT)) {
    const double p = a->layers[i + n].dropout;
    s.dropout = p > 0;
    s.dropout_scale = (float)(1 / (1 - p));
    if (s.dropout) st->dropout_layer = i + n;
    n++;
  }
  s.OP = a->layers[i + n - 1].out.h;
  s.OQ = a->layers[i + n - 1].out.w;
  st->num_layers = n;
  return s;
}

/* ---- who runs a stage ------------------------------------------------------------------------ */

enum { MAX_BACKENDS = 8 };

typedef struct candidate {
  const backend *backend;
  stage_cost cost;
  double total;
} candidate;

/* All backends, or the one asked for, the cheapest first. */
static int rank(const plan *p, const stage_spec *spec, const char *name, candidate *list) {
  int count = 0;
  for (size_t i = 0; backend_at(i) && count < MAX_BACKENDS; i++) {
    const backend *b = backend_at(i);
    if (!is_auto(name) && strcmp(b->name, name) != 0) continue;
    candidate c = {b, b->cost(spec, &p->env), 0};
    c.total = c.cost.forward + (p->env.training ? c.cost.backward : 0);
    int at = count++;
    for (; at > 0 && list[at - 1].total > c.total; at--) list[at] = list[at - 1];
    list[at] = c;
  }
  return count;
}

static void note_other(plan_stage *st, const char *name, const char *why) {
  const size_t said = strlen(st->others);
  snprintf(st->others + said, sizeof st->others - said, "%s%s: %s", said ? "; " : "", name, why);
}

/* Leaves st->impl NULL, with the reason in st->others, where the backend declines. */
static vgg_status try_backend(plan *p, plan_stage *st, const stage_spec *spec, const candidate *c,
                              vgg_error *err) {
  const bool winograd = spec->kind == STAGE_CONV && spec->R == 3 && spec->S == 3 &&
                        spec->stride == 1 && spec->pad == 1;
  if (p->force_winograd && winograd && strcmp(c->backend->name, "native") != 0) {
    note_other(st, c->backend->name, "--winograd on");
    return VGG_OK;
  }
  char why[128] = "";
  const vgg_status status = c->backend->prepare(spec, &p->env, &st->impl, why, sizeof why, err);
  if (status != VGG_OK) return status;
  if (!st->impl) note_other(st, c->backend->name, why);
  st->cost = c->cost;
  return VGG_OK;
}

static void note_slower(plan_stage *st, const candidate *slower, const candidate *chosen) {
  char why[64];
  const double ratio = slower->total / chosen->total;
  if (ratio == 1)
    snprintf(why, sizeof why, "expected to take as long");
  else
    snprintf(why, sizeof why, "expected to take %.*f times as long", ratio < 10 ? 1 : 0, ratio);
  note_other(st, slower->backend->name, why);
}

/* Of the backends that accept the stage, the one that is expected to be fastest. */
static vgg_status choose_backend(plan *p, plan_stage *st, const stage_spec *spec, const char *name,
                                 vgg_error *err) {
  if (!is_auto(name) && !backend_find(name))
    return err_set(err, VGG_ABSENT, "--backend %s: this build does not have it, see `vgg info`",
                   name);
  candidate list[MAX_BACKENDS];
  const int count = rank(p, spec, name, list);
  int chosen = 0;
  for (; chosen < count && !st->impl; chosen++) {
    const vgg_status status = try_backend(p, st, spec, &list[chosen], err);
    if (status != VGG_OK) return status;
  }
  if (!st->impl)
    return err_set(err, VGG_ABSENT, "%s: no backend runs it: %s",
                   p->arch->layers[st->first_layer].name, st->others);
  for (int i = chosen; i < count; i++) note_slower(st, &list[i], &list[chosen - 1]);
  return VGG_OK;
}

/* Layers that move nothing: flatten, and an average over windows of one pixel. Softmax belongs to
 * the loss. */
static bool is_no_stage(const vgg_arch *a, int i) {
  const vgg_layer *l = &a->layers[i];
  if (l->type == VGG_LAYER_AVGPOOL)
    return l->in.h == l->out.h && l->in.w == l->out.w && layer_is(a, i + 2, VGG_LAYER_LINEAR);
  return l->type == VGG_LAYER_FLATTEN || l->type == VGG_LAYER_SOFTMAX;
}

static vgg_status build_stages(plan *p, const plan_part *part, const char *backend_name,
                               vgg_error *err) {
  const vgg_arch *a = p->arch;
  const edge_type edge = p->env.bf16 ? EDGE_BF16 : EDGE_F32;
  const bool fuse_updates = p->env.fuse_updates;
  int last = a->num_layers - 1;
  while (is_no_stage(a, last)) last--;
  for (int i = part->begin; i < part->end;) {
    if (is_no_stage(a, i)) {
      i++;
      continue;
    }
    plan_stage *st = &p->stages[p->num_stages];
    st->first_layer = i;
    stage_spec spec = fuse(a, &p->params, !p->env.training, st);
    i += st->num_layers;
    spec.x_type = edge;
    spec.y_type = i > last ? EDGE_F32 : edge; /* logits keep their 24 bits for the loss */
    const bool trained = st->first_layer >= part->trained;
    if (!trained) p->first_trained = p->num_stages + 1;
    p->env.fuse_updates = fuse_updates && trained;
    spec.need_dx = p->num_stages > p->first_trained;
    st->x_floats = (size_t)spec.C * spec.H * spec.W;
    st->y_floats = (size_t)spec.K * spec.OP * spec.OQ;
    const vgg_status status = choose_backend(p, st, &spec, backend_name, err);
    if (status != VGG_OK) return status;
    p->num_stages++;
  }
  return VGG_OK;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

size_t plan_folded_bytes(const plan *p, const plan_stage *st) {
  return mem_round(p->params.at[st->weight].count * sizeof(float)) +
         mem_round(p->params.at[st->bias].count * sizeof(float));
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* Gradients of parameters, and of edges: two that change places, but those that a stage keeps for
 * its update have a place of their own. The gradient of the picture itself is never taken. */
static void measure_gradients(plan *p) {
  enum { TENSOR_FLOATS = 16 };
  size_t widest = 0, floats = 0;
  for (int i = 0; i < p->params.count; i++)
    if (p->params.at[i].offset < p->trained_at) p->gradient_at[i] = PLAN_NO_GRADIENT;
  for (int i = p->first_trained; i < p->num_stages; i++) {
    const plan_stage *st = &p->stages[i];
    const size_t dy =
        mem_round((size_t)p->env.max_n * st->y_floats * edge_size(st->impl->spec.y_type));
    if (st->impl->fuses_update) {
      p->gradient_at[st->weight] = PLAN_NO_GRADIENT;
      p->kept_gradients += dy;
    } else {
      widest = max_size(widest, dy);
    }
  }
  for (int i = 0; i < p->params.count; i++) {
    if (i >= p->params.trained) p->gradient_at[i] = PLAN_NO_GRADIENT;
    if (p->gradient_at[i] == PLAN_NO_GRADIENT) continue;
    p->gradient_at[i] = (ptrdiff_t)floats;
    floats += (p->params.at[i].count + TENSOR_FLOATS - 1) / TENSOR_FLOATS * TENSOR_FLOATS;
  }
  p->gradients = floats * sizeof(float);
  p->edge_gradients = 2 * widest + p->kept_gradients;
}

/* Training keeps every edge until its backward has read it; inference needs two at a time. */
static void measure(plan *p) {
  const size_t n = (size_t)p->env.max_n;
  size_t kept = 0, widest = 0;
  for (int i = 0; i < p->num_stages; i++) {
    const plan_stage *st = &p->stages[i];
    const stage_spec *s = &st->impl->spec;
    const stage_sizes *z = &st->impl->sizes;
    const size_t x = mem_round(n * st->x_floats * edge_size(s->x_type));
    const size_t y = mem_round(n * st->y_floats * edge_size(s->y_type));
    kept += i == 0 ? x + y : y;
    widest = max_size(widest, max_size(x, y));
    p->packs += mem_round(z->pack);
    p->workspace = max_size(p->workspace, mem_round(z->workspace));
    p->library += z->library;
    if (st->scale >= 0) p->folded += plan_folded_bytes(p, st);
    if (!p->env.training) continue;
    p->aux += mem_round(n * z->aux_per_image);
    if (s->kind == STAGE_NORM) p->batch_statistics += 2 * mem_round((size_t)s->K * sizeof(float));
    if (s->dropout) p->masks += mem_round(n * st->y_floats);
  }
  p->masters = p->params.floats * sizeof(float);
  p->activations = p->env.training ? kept : 2 * widest;
  if (p->env.training) measure_gradients(p);
}

plan_part plan_whole(const vgg_arch *arch) { return (plan_part){0, arch->num_layers, 0}; }

vgg_status plan_create(const vgg_arch *arch, const vgg_run_options *options, plan_use use,
                       plan **out, vgg_error *err) {
  const plan_part whole = plan_whole(arch);
  return plan_create_part(arch, options, use, &whole, out, err);
}

vgg_status plan_create_part(const vgg_arch *arch, const vgg_run_options *options, plan_use use,
                            const plan_part *part, plan **out, vgg_error *err) {
  static const vgg_run_options defaults;
  const vgg_run_options *o = options ? options : &defaults;
  plan *p = calloc(1, sizeof *p);
  if (!p) return err_no_memory(err, "plan", sizeof *p);
  p->arch = arch_copy(arch);
  vgg_status status = VGG_OK;
  if (!p->arch) status = err_no_memory(err, "plan", sizeof *arch);
  if (status == VGG_OK) {
    net_params_of(p->arch, &p->params);
    p->trained_at = net_params_from(&p->params, part->trained);
    status = resolve_env(p, o, use, err);
  }
  if (status == VGG_OK) status = build_stages(p, part, o->backend, err);
  if (status != VGG_OK) {
    plan_close(p);
    return status;
  }
  measure(p);
  *out = p;
  return VGG_OK;
}

void plan_close(plan *p) {
  if (!p) return;
  for (int i = 0; i < PLAN_MAX_STAGES; i++)
    if (p->stages[i].impl) p->stages[i].impl->ops->destroy(p->stages[i].impl);
  vgg_arch_close(p->arch);
  free(p);
}
