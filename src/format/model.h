/* SPDX-License-Identifier: Apache-2.0
 *
 * Models from the inside: see vgg/model.h.
 */
#ifndef FORMAT_MODEL_H
#define FORMAT_MODEL_H

#include "format/safetensors.h"
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

/* Writes a model file with extra tensors ("state.*") and metadata after the model's own. */
vgg_status model_save_with(const vgg_model *model, const char *path, const st_output *extra,
                           size_t num_extra, const st_pair *pairs, size_t num_pairs,
                           vgg_error *err);

/* Reads a model file; tensors whose names begin with "state." are left to the caller, who gets the
 * open file (close with st_close) when `file` is not NULL. */
vgg_status model_load_with(const char *path, vgg_model **out, st_file **file, vgg_error *err);

#endif
