/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files: the canonical parameters <-> tensors in the file's order, block of rows by block of
 * rows (a row is a filter or a unit, and outermost in both orders), so that neither way needs the
 * weights twice in memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "format/model_meta.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

enum { BLOCK_BYTES = 1 << 20 };
static const char best_name[] = "best.safetensors", state_prefix[] = "state.";

int model_block_rows(const net_param *p) {
  const size_t row = p->count / (size_t)p->shape[0] * sizeof(float);
  const size_t rows = row < BLOCK_BYTES ? BLOCK_BYTES / row : 1;
  return rows < (size_t)p->shape[0] ? (int)rows : p->shape[0];
}

net_param model_block(const net_param *p, int rows) {
  net_param part = *p;
  part.shape[0] = rows;
  part.count = p->count / (size_t)p->shape[0] * (size_t)rows;
  return part;
}

size_t model_largest_block(const net_params *params) {
  size_t most = 0;
  for (int i = 0; i < params->count; i++) {
    const size_t count = model_block(&params->at[i], model_block_rows(&params->at[i])).count;
    if (count > most) most = count;
  }
  return most * sizeof(float);
}

/* ---- saving ---------------------------------------------------------------------------------- */

typedef struct source {
  const net_param *param;
  const float *values; /* the whole canonical array */
  float *block;
} source;

static vgg_status emit_param(const void *context, file_writer *w, vgg_error *err) {
  const source *s = context;
  const float *from = s->values + s->param->offset;
  const int step = model_block_rows(s->param);
  vgg_status status = VGG_OK;
  for (int row = 0, rows; row < s->param->shape[0] && status == VGG_OK; row += rows) {
    rows = s->param->shape[0] - row < step ? s->param->shape[0] - row : step;
    const net_param part = model_block(s->param, rows);
    net_param_to_file(&part, from, s->block);
    status = file_write(w, s->block, part.count * sizeof(float), err);
    from += part.count;
  }
  return status;
}

static st_output output_of(const source *s) {
  st_output o = {.name = s->param->name,
                 .dtype = "F32",
                 .rank = s->param->rank,
                 .bytes = s->param->count * sizeof(float),
                 .emit = emit_param,
                 .context = s};
  for (int d = 0; d < o.rank; d++) o.shape[d] = (uint64_t)s->param->shape[d];
  return o;
}

vgg_status model_save_with(const vgg_model *model, const char *path, const st_output *extra,
                           size_t num_extra, const st_pair *pairs, size_t num_pairs,
                           vgg_error *err) {
  const size_t own = (size_t)model->params.count;
  model_meta meta;
  vgg_status status = model_meta_make(model, path, &meta, err);
  if (status != VGG_OK) return status;
  source *sources = malloc(own * sizeof *sources);
  st_output *outputs = malloc((own + num_extra) * sizeof *outputs);
  st_pair *all_pairs = malloc((MODEL_META_PAIRS + num_pairs) * sizeof *all_pairs);
  float *block = malloc(model_largest_block(&model->params));
  if (!sources || !outputs || !all_pairs || !block) {
    status = err_no_memory(err, path, model_largest_block(&model->params));
    goto done;
  }
  for (size_t i = 0; i < own; i++) {
    sources[i] = (source){&model->params.at[i], model->values, block};
    outputs[i] = output_of(&sources[i]);
  }
  if (num_extra) memcpy(outputs + own, extra, num_extra * sizeof *extra);
  memcpy(all_pairs, meta.pairs, sizeof meta.pairs);
  if (num_pairs) memcpy(all_pairs + MODEL_META_PAIRS, pairs, num_pairs * sizeof *pairs);
  status = st_write(path, outputs, own + num_extra, all_pairs, MODEL_META_PAIRS + num_pairs, err);
done:
  free(block);
  free(all_pairs);
  free(outputs);
  free(sources);
  model_meta_free(&meta);
  return status;
}

vgg_status vgg_model_save(const vgg_model *model, const char *path, vgg_error *err) {
  return model_save_with(model, path, NULL, 0, NULL, 0, err);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* A shape as text, "[64, 3, 3, 3]"; long ones are cut. */
static const char *shape_text(int rank, const uint64_t *shape, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "[");
  for (int d = 0; d < rank && used < size; d++)
    used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64, d ? ", " : "", shape[d]);
  if (used < size) snprintf(text + used, size - used, "]");
  return text;
}

static vgg_status check_tensor(const char *path, const st_file *f, const net_param *p,
                               vgg_error *err) {
  const st_tensor *t = st_find(f, p->name);
  if (!t) return err_set(err, VGG_BAD_CONTENT, "%s: tensor '%s' is missing", path, p->name);
  uint64_t wanted[4] = {0};
  bool fits = t->rank == p->rank;
  for (int d = 0; d < p->rank; d++) {
    wanted[d] = (uint64_t)p->shape[d];
    fits = fits && t->shape[d] == wanted[d];
  }
  if (fits && strcmp(t->dtype, "F32") == 0) return VGG_OK;
  char found_text[192], wanted_text[96];
  return err_set(err, VGG_BAD_CONTENT, "%s: tensor '%s' is %s %s, the net wants F32 %s", path,
                 p->name, t->dtype, shape_text(t->rank, t->shape, found_text, sizeof found_text),
                 shape_text(p->rank, wanted, wanted_text, sizeof wanted_text));
}

static vgg_status check_tensors(const char *path, const st_file *f, const net_params *params,
                                vgg_error *err) {
  for (int i = 0; i < params->count; i++) {
    const vgg_status status = check_tensor(path, f, &params->at[i], err);
    if (status != VGG_OK) return status;
  }
  for (size_t i = 0; i < st_count(f); i++) {
    const char *name = st_at(f, i)->name;
    bool known = strncmp(name, state_prefix, strlen(state_prefix)) == 0;
    for (int k = 0; k < params->count && !known; k++) known = strcmp(name, params->at[k].name) == 0;
    if (!known)
      return err_set(err, VGG_BAD_CONTENT, "%s: tensor '%.100s' has no place in the net", path,
                     name);
  }
  return VGG_OK;
}

vgg_status model_allocate(const char *path, vgg_model *m, float **block, vgg_error *err) {
  const size_t bytes = m->params.floats * sizeof *m->values;
  m->values = mem_alloc(bytes);
  *block = malloc(model_largest_block(&m->params));
  if (!m->values || !*block) {
    free(*block);
    return err_no_memory(err, path, bytes);
  }
  for (int i = 0; i < m->params.count; i++) {
    const net_param *p = &m->params.at[i];
    const size_t end = p->offset + p->count;
    const size_t next = i + 1 < m->params.count ? p[1].offset : m->params.floats;
    memset(m->values + end, 0, (next - end) * sizeof *m->values);
  }
  return VGG_OK;
}

static void load_param(const st_file *f, const net_param *p, float *values, float *block) {
  const uint8_t *from = st_find(f, p->name)->data;
  float *to = values + p->offset;
  const int step = model_block_rows(p);
  for (int row = 0, rows; row < p->shape[0]; row += rows) {
    rows = p->shape[0] - row < step ? p->shape[0] - row : step;
    const net_param part = model_block(p, rows);
    memcpy(block, from, part.count * sizeof *block); /* the file may be unaligned */
    net_param_from_file(&part, block, to);
    st_let_go(f, from, part.count * sizeof *block);
    from += part.count * sizeof *block;
    to += part.count;
  }
}

static vgg_status load_values(const char *path, const st_file *f, vgg_model *m, vgg_error *err) {
  net_params_of(m->arch, &m->params);
  const vgg_status status = check_tensors(path, f, &m->params, err);
  if (status != VGG_OK) return status;
  float *block = NULL;
  const vgg_status allocated = model_allocate(path, m, &block, err);
  if (allocated != VGG_OK) return allocated;
  for (int i = 0; i < m->params.count; i++) load_param(f, &m->params.at[i], m->values, block);
  free(block);
  return VGG_OK;
}

vgg_status model_load_with(const char *path, vgg_model **out, st_file **file, vgg_error *err) {
  st_file *f = NULL;
  vgg_model *m = NULL;
  vgg_status status = st_open(path, &f, err);
  if (status != VGG_OK) return status;
  m = calloc(1, sizeof *m);
  if (!m) {
    status = err_no_memory(err, path, sizeof *m);
    goto done;
  }
  status = model_meta_read(path, f, m, err);
  if (status == VGG_OK) status = load_values(path, f, m, err);
  if (status != VGG_OK) goto done;
  *out = m;
  m = NULL;
  if (file) {
    *file = f;
    f = NULL;
  }
done:
  vgg_model_close(m);
  st_close(f);
  return status;
}

/* One of our keys is enough: a model file that lacks another one is damaged, not foreign. */
static bool is_own(const weights_file *f) {
  static const char *const keys[MODEL_META_PAIRS] = {"vgg.arch", "vgg.classes", "vgg.preprocess",
                                                     "vgg.recipe", "vgg.version"};
  for (int i = 0; i < MODEL_META_PAIRS; i++)
    if (weights_metadata(f, keys[i])) return true;
  return false;
}

/* A model file of ours, or whatever else holds the weights of a net we know. */
static vgg_status load_file(const char *path, vgg_model **out, vgg_error *err) {
  weights_file *f;
  vgg_status status = weights_open(path, &f, err);
  if (status != VGG_OK) return status;
  const bool own = is_own(f);
  if (!own) status = model_import(path, f, out, err);
  weights_close(f);
  return own ? model_load_with(path, out, NULL, err) : status;
}

vgg_status vgg_model_load(const char *path, vgg_model **out, vgg_error *err) {
  if (!path_is_dir(path)) return load_file(path, out, err);
  char *best = path_join(path, best_name);
  if (!best) return err_no_memory(err, path, strlen(path) + sizeof best_name + 1);
  const vgg_status status =
      path_exists(best)
          ? model_load_with(best, out, NULL, err)
          : err_set(err, VGG_NO_INPUT,
                    "%s: holds no %s: not a run directory, or none of its epochs was evaluated "
                    "(then name its last.safetensors)",
                    path, best_name);
  free(best);
  return status;
}
