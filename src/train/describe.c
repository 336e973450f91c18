/* SPDX-License-Identifier: Apache-2.0
 *
 * What running and training a net takes, before anything large is allocated.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/loader.h"
#include "net/plan.h"
#include "vgg/plan.h"

enum { MAX_LINES = 16 };

typedef struct line_list {
  vgg_memory_line at[MAX_LINES];
  int count;
} line_list;

static void add(line_list *list, const char *name, uint64_t bytes) {
  vgg_memory_line *line = &list->at[list->count++];
  snprintf(line->name, sizeof line->name, "%s", name);
  line->bytes = bytes;
}

/* This process as it stands: its code, its libraries and what they hold. */
static uint64_t resident_bytes(void) {
  unsigned long long size = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f) return 0;
  const bool ok = fscanf(f, "%llu %llu", &size, &resident) == 2;
  fclose(f);
  return ok ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void add_arenas(line_list *list, const plan *p) {
  add(list, "weights, fp32 masters", p->masters);
  if (p->env.training) add(list, "gradients, fp32", p->gradients);
  add(list, p->env.bf16 ? "weights as kernels read them, bf16" : "weights as kernels read them",
      p->packs);
  if (p->folded) add(list, "weights with batch norm folded", p->folded);
  add(list, "activations", p->activations);
  if (p->env.training) {
    add(list, "gradients of activations", p->edge_gradients);
    add(list, "places of maxima", p->aux);
    add(list, "dropout masks", p->masks);
    if (p->batch_statistics) add(list, "batch norms' statistics", p->batch_statistics);
    if (p->optimizer) add(list, "optimizer's state", p->optimizer);
  }
  add(list, "workspace", p->workspace);
  add(list, "library scratch", p->library);
}

static void add_data(line_list *list, const plan *p, const vgg_dataset *train,
                     const vgg_dataset *test) {
  const vgg_shape input = p->arch->options.input;
  uint64_t loaders = 0, cache = 0;
  const vgg_dataset *const sets[] = {train, test};
  for (int i = 0; i < 2; i++) {
    if (!sets[i]) continue;
    loaders += loader_bytes(input, p->env.max_n, vgg_dataset_count(sets[i]));
    cache += dataset_bytes(sets[i]);
  }
  if (!train && !test) loaders = loader_bytes(input, p->env.max_n, 0);
  add(list, "loader", loaders);
  add(list, "data cache", cache);
}

static vgg_status copy_lines(const line_list *list, int *count, vgg_memory_line **lines,
                             vgg_error *err) {
  *lines = malloc((size_t)list->count * sizeof **lines);
  if (!*lines) return err_no_memory(err, "plan", sizeof *list);
  memcpy(*lines, list->at, (size_t)list->count * sizeof **lines);
  *count = list->count;
  return VGG_OK;
}

static vgg_status copy_stages(const plan *p, vgg_plan_info *info, vgg_error *err) {
  info->stages = calloc((size_t)p->num_stages, sizeof *info->stages);
  if (!info->stages) return err_no_memory(err, "plan", sizeof *info->stages);
  info->num_stages = p->num_stages;
  for (int i = 0; i < p->num_stages; i++) {
    const plan_stage *st = &p->stages[i];
    vgg_stage_info *s = &info->stages[i];
    s->first_layer = st->first_layer;
    s->num_layers = st->num_layers;
    s->backend = st->impl->backend;
    memcpy(s->detail, st->impl->detail, sizeof s->detail);
    s->forward_cost = st->cost.forward;
    s->backward_cost = st->cost.backward;
    memcpy(s->others, st->others, sizeof s->others);
  }
  return VGG_OK;
}

static vgg_status describe_into(vgg_plan_info *info, const plan *training, const plan *inference,
                                uint64_t program, const vgg_dataset *train, const vgg_dataset *test,
                                vgg_error *err) {
  snprintf(info->device, sizeof info->device, "%s", training->device);
  snprintf(info->precision, sizeof info->precision, "%s", training->env.bf16 ? "bf16" : "fp32");
  snprintf(info->isa, sizeof info->isa, "%s", cpu_isa_name(training->env.isa));
  info->threads = training->env.threads;
  info->batch = training->env.max_n;
  line_list lines = {.count = 0};
  add_arenas(&lines, training);
  add_data(&lines, training, train, test);
  add(&lines, "program and libraries", program);
  vgg_status status = copy_lines(&lines, &info->num_training, &info->training, err);
  lines.count = 0;
  add_arenas(&lines, inference);
  add_data(&lines, inference, NULL, test);
  add(&lines, "program and libraries", program);
  if (status == VGG_OK) status = copy_lines(&lines, &info->num_inference, &info->inference, err);
  if (status == VGG_OK) status = copy_stages(training, info, err);
  return status;
}

vgg_status vgg_plan_describe(const vgg_arch *arch, const vgg_run_options *options,
                             const vgg_dataset *train, const vgg_dataset *test, vgg_plan_info **out,
                             vgg_error *err) {
  plan *training = NULL, *inference = NULL;
  vgg_plan_info *info = calloc(1, sizeof *info);
  if (!info) return err_no_memory(err, "plan", sizeof *info);
  vgg_status status = plan_create(arch, options, PLAN_TRAINING, &training, err);
  /* The prepared kernels are part of the program by now; the datasets have a line of their own. */
  uint64_t program = resident_bytes();
  const uint64_t data = (train ? dataset_bytes(train) : 0) + (test ? dataset_bytes(test) : 0);
  program = program > data ? program - data : 0;
  if (status == VGG_OK) status = plan_create(arch, options, PLAN_INFERENCE, &inference, err);
  if (status == VGG_OK)
    status = describe_into(info, training, inference, program, train, test, err);
  plan_close(training);
  plan_close(inference);
  if (status != VGG_OK) {
    vgg_plan_info_free(info);
    return status;
  }
  *out = info;
  return VGG_OK;
}

void vgg_plan_info_free(vgg_plan_info *info) {
  if (!info) return;
  free(info->stages);
  free(info->inference);
  free(info->training);
  free(info);
}
