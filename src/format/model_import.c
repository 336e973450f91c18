/* SPDX-License-Identifier: Apache-2.0
 *
 * Models of weights from elsewhere, and new heads on them.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "format/model.h"
#include "format/naming.h"

/* Where the weights are from, in the place of how they were trained: nobody else would know. */
static char *origin_text(const char *path, const weights_file *f, const naming_match *match) {
  const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  json_t *file = json_string(name);
  if (!file) file = json_null(); /* the name is not UTF-8 */
  json_t *o = json_pack("{s:o,s:s,s:s}", "imported", file, "format", weights_format(f), "naming",
                        match->naming->about);
  char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
  json_decref(o);
  return text;
}

static void read_param(const weights_file *f, const weights_tensor *t, const net_param *p,
                       float *values, float *block) {
  float *to = values + p->offset;
  const int step = model_block_rows(p);
  uint64_t first = 0;
  for (int row = 0, rows; row < p->shape[0]; row += rows) {
    rows = p->shape[0] - row < step ? p->shape[0] - row : step;
    const net_param part = model_block(p, rows);
    weights_read(f, t, first, part.count, block);
    net_param_from_file(&part, block, to);
    first += part.count;
    to += part.count;
  }
}

static void set_preprocess(vgg_model *m, bool preset) {
  m->preprocess.input = m->arch->options.input;
  if (!preset || m->preprocess.input.c != 3) return;
  m->preprocess.shorter_side = m->preprocess.input.h * 256 / 224;
  static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
  memcpy(m->preprocess.mean, mean, sizeof mean);
  memcpy(m->preprocess.std, std, sizeof std);
}

vgg_status model_import(const char *path, const weights_file *f, vgg_model **out, vgg_error *err) {
  naming_match match;
  vgg_status status = naming_recognise(path, f, &match, err);
  if (status != VGG_OK) return status;
  float *block = NULL;
  vgg_model *m = calloc(1, sizeof *m);
  if (!m) {
    vgg_arch_close(match.arch);
    return err_no_memory(err, path, sizeof *m);
  }
  m->arch = match.arch;
  m->recipe = origin_text(path, f, &match);
  if (!m->recipe || !model_name_by_number(m)) {
    status = err_no_memory(err, path, sizeof *m->arch);
    goto done;
  }
  set_preprocess(m, match.naming->preset);
  net_params_of(m->arch, &m->params);
  status = model_allocate(path, m, &block, err);
  if (status != VGG_OK) goto done;
  for (int i = 0; i < m->params.count; i++) {
    const net_param *p = &m->params.at[i];
    read_param(f, naming_find(f, &match, p), p, m->values, block);
  }
  *out = m;
  m = NULL;
done:
  free(block);
  vgg_model_close(m);
  return status;
}

vgg_status vgg_model_new_head(vgg_model *model, int classes, uint64_t seed, vgg_error *err) {
  vgg_arch_options options = model->arch->options;
  options.classes = classes;
  if (classes < 1) return err_set(err, VGG_BAD_VALUE, "classes %d: wanted at least 1", classes);
  vgg_arch *arch;
  vgg_model *fresh;
  vgg_status status = vgg_arch_from_text(vgg_arch_title(model->arch), &options, &arch, err);
  if (status != VGG_OK) return status;
  status = vgg_model_create(arch, seed, &fresh, err);
  vgg_arch_close(arch);
  if (status != VGG_OK) return status;
  const int last = fresh->params.at[fresh->params.trained - 1].layer;
  for (int i = 0; i < fresh->params.count; i++) {
    const net_param *to = &fresh->params.at[i], *from = &model->params.at[i];
    if (to->layer != last)
      memcpy(fresh->values + to->offset, model->values + from->offset, to->count * sizeof(float));
  }
  fresh->preprocess = model->preprocess;
  char *recipe = fresh->recipe; /* the old one is still how the rest was trained */
  fresh->recipe = model->recipe;
  model->recipe = recipe;
  const vgg_model old = *model;
  *model = *fresh;
  *fresh = old;
  vgg_model_close(fresh);
  return VGG_OK;
}
