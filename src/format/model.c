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
