/* SPDX-License-Identifier: Apache-2.0
 *
 * Models from the inside: see vgg/model.h.
 */
#ifndef FORMAT_MODEL_H
#define FORMAT_MODEL_H

#include "format/safetensors.h"
#include "format/weights.h"
#include "net/net.h"
#include "vgg/model.h"

struct vgg_model {
  vgg_arch *arch; /* owned */
  net_params params;
  float *values;  /* [params.floats], canonical order; owned */
  char **classes; /* [arch classes]; owned */
  vgg_preprocess preprocess;
  char *recipe; /* JSON; owned */
};

/* vgg_model_create with another initialisation. */
vgg_status model_create(const vgg_arch *arch, const net_init *init, uint64_t seed, vgg_model **out,
                        vgg_error *err);

/* The net that `model` becomes by vgg_model_reshape, with the model's parameters in the same
 * places.
 *   out     on success the caller's: close with vgg_arch_close
 *   params  written */
vgg_status model_arch_at(const vgg_model *model, vgg_head head, vgg_shape input, vgg_arch **out,
                         net_params *params, vgg_error *err);

/* Writes a model file with extra tensors ("state.*") and metadata after the model's own. */
vgg_status model_save_with(const vgg_model *model, const char *path, const st_output *extra,
                           size_t num_extra, const st_pair *pairs, size_t num_pairs,
                           vgg_error *err);

/* Reads a model file; tensors whose names begin with "state." are left to the caller, who gets the
 * open file (close with st_close) when `file` is not NULL. */
vgg_status model_load_with(const char *path, vgg_model **out, st_file **file, vgg_error *err);

/* Makes a model of a file that is not ours: see vgg_model_load. `file` is open, and stands in
 * messages as `path`. Fails with VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status model_import(const char *path, const weights_file *file, vgg_model **out,
                        vgg_error *err);

/* Class names "0", "1", ...; false: no memory. */
bool model_name_by_number(vgg_model *model);

/* Allocates values for model->params, their paddings zero, and a block [model_largest_block bytes]
 * for reading (free with free()). On failure the values are the model's to free. */
vgg_status model_allocate(const char *path, vgg_model *model, float **block, vgg_error *err);

/* Tensors are read and written by blocks of whole rows, so that neither way needs them twice.
 * How many rows make a block: at least one, however long. */
int model_block_rows(const net_param *param);
/* `rows` of the tensor's rows, as a tensor. */
net_param model_block(const net_param *param, int rows);
size_t model_largest_block(const net_params *params); /* in bytes */

#endif
