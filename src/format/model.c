/* SPDX-License-Identifier: Apache-2.0 */
#include "format/model.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static void free_names(char **names, int count) {
  if (!names) return;
  for (int i = 0; i < count; i++) free(names[i]);
  free(names);
}

void vgg_model_close(vgg_model *model) {
  if (!model) return;
  if (model->arch) free_names(model->classes, model->arch->options.classes);
  vgg_arch_close(model->arch);
  mem_free(model->values);
  free(model->recipe);
  free(model);
}

bool model_name_by_number(vgg_model *m) {
  const int count = m->arch->options.classes;
  m->classes = calloc((size_t)count, sizeof *m->classes);
  if (!m->classes) return false;
  for (int i = 0; i < count; i++) {
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    m->classes[i] = strdup(number);
    if (!m->classes[i]) return false;
  }
  return true;
}

vgg_status vgg_model_create(const vgg_arch *arch, uint64_t seed, vgg_model **out, vgg_error *err) {
  return model_create(arch, net_init_find("xavier"), seed, out, err);
}

vgg_status model_create(const vgg_arch *arch, const net_init *init, uint64_t seed, vgg_model **out,
                        vgg_error *err) {
  vgg_model *m = calloc(1, sizeof *m);
  if (!m) return err_no_memory(err, "model", sizeof *m);
  m->arch = arch_copy(arch);
  m->recipe = strdup("{}");
  if (!m->arch || !m->recipe || !model_name_by_number(m)) {
    vgg_model_close(m);
    return err_no_memory(err, "model", sizeof *m->arch);
  }
  net_params_of(m->arch, &m->params);
  m->values = mem_alloc(m->params.floats * sizeof *m->values);
  if (!m->values) {
    const size_t bytes = m->params.floats * sizeof *m->values;
    vgg_model_close(m);
    return err_no_memory(err, "model", bytes);
  }
  m->preprocess.input = m->arch->options.input;
  net_init_fill(init, &m->params, seed, m->values);
  *out = m;
  return VGG_OK;
}

/* ---- another size or head -------------------------------------------------------------------- */

/* What the first linear layer sees of the features: rows and columns. */
static vgg_shape first_map(const vgg_model *m) {
  int i = 0;
  while (m->params.at[i].rank != 2) i++;
  const vgg_shape map = m->params.at[i].map;
  return map.c > 0 ? map : (vgg_shape){m->params.at[i].shape[1], 1, 1};
}

static bool same_params(const net_params *a, const net_params *b) {
  bool same = a->count == b->count && a->floats == b->floats;
  for (int i = 0; same && i < a->count; i++)
    same = a->at[i].offset == b->at[i].offset &&
           memcmp(a->at[i].shape, b->at[i].shape, sizeof a->at[i].shape) == 0 &&
           memcmp(&a->at[i].map, &b->at[i].map, sizeof a->at[i].map) == 0;
  return same;
}

static void scale_rule(vgg_preprocess *rule, vgg_shape input) {
  const int before = rule->input.h < rule->input.w ? rule->input.h : rule->input.w;
  const int now = input.h < input.w ? input.h : input.w, longer = input.h + input.w - now;
  rule->input = input;
  if (rule->shorter_side == 0) return;
  const int64_t side = ((int64_t)rule->shorter_side * now + before / 2) / before;
  rule->shorter_side = side < longer ? longer : (int)side;
}

vgg_status model_arch_at(const vgg_model *model, vgg_head head, vgg_shape input, vgg_arch **out,
                         net_params *params, vgg_error *err) {
  vgg_arch_options options = model->arch->options;
  const vgg_shape map = first_map(model);
  if (head != VGG_HEAD_DEFAULT) options.head = head;
  if (input.c || input.h || input.w) options.input = input;
  if (options.head != VGG_HEAD_FLATTEN && map.h != map.w)
    return err_set(err, VGG_BAD_VALUE,
                   "head %s: the first linear layer sees %dx%d, wanted a square",
                   vgg_head_name(options.head), map.h, map.w);
  options.window = options.head == VGG_HEAD_FLATTEN ? 0 : map.h;
  vgg_arch *arch;
  vgg_status status = vgg_arch_from_text(model->arch->title, &options, &arch, err);
  if (status != VGG_OK) return status;
  net_params_of(arch, params);
  if (!same_params(params, &model->params)) {
    const vgg_shape in = options.input;
    vgg_arch_close(arch);
    return err_set(err, VGG_BAD_VALUE,
                   "input %dx%dx%d, head %s: is a net of other parameters than the model's, wanted "
                   "its %d channel%s and head dense or adaptive",
                   in.c, in.h, in.w, vgg_head_name(options.head), model->arch->options.input.c,
                   model->arch->options.input.c == 1 ? "" : "s");
  }
  *out = arch;
  return VGG_OK;
}

vgg_status vgg_model_reshape(vgg_model *model, vgg_head head, vgg_shape input, vgg_error *err) {
  vgg_arch *arch;
  net_params params;
  const vgg_status status = model_arch_at(model, head, input, &arch, &params, err);
  if (status != VGG_OK) return status;
  vgg_arch_close(model->arch);
  model->arch = arch;
  model->params = params;
  scale_rule(&model->preprocess, arch->options.input);
  return VGG_OK;
}

const vgg_arch *vgg_model_arch(const vgg_model *model) { return model->arch; }

const char *vgg_model_class_name(const vgg_model *model, int label) {
  return label >= 0 && label < model->arch->options.classes ? model->classes[label] : NULL;
}

const vgg_preprocess *vgg_model_preprocess(const vgg_model *model) { return &model->preprocess; }
void vgg_model_set_channels(vgg_model *model, vgg_channels channels) {
  model->preprocess.channels = channels;
}

const char *vgg_model_recipe(const vgg_model *model) { return model->recipe; }

/* A model file's metadata are JSON, which holds UTF-8 only. */
static bool is_utf8(const char *s) {
  json_t *string = json_string(s);
  json_decref(string);
  return string != NULL;
}

vgg_status vgg_model_set_classes(vgg_model *model, const char *const *names, vgg_error *err) {
  const int count = model->arch->options.classes;
  char **copy = calloc((size_t)count, sizeof *copy);
  if (!copy) return err_no_memory(err, "class names", (size_t)count * sizeof *copy);
  for (int i = 0; i < count; i++) {
    if (!is_utf8(names[i])) {
      free_names(copy, count);
      return err_set(err, VGG_BAD_VALUE, "class %d: its name '%.100s' is not UTF-8", i, names[i]);
    }
    copy[i] = strdup(names[i]);
    if (!copy[i]) {
      free_names(copy, count);
      return err_no_memory(err, "class names", strlen(names[i]) + 1);
    }
  }
  free_names(model->classes, count);
  model->classes = copy;
  return VGG_OK;
}
