/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pictures a run learns from, and which it is judged by.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/recipe.h"
#include "vgg/train.h"

static const double set_aside = .1; /* of a training set without a validation set */

const char *vgg_run_data_spec(const vgg_run_data *data) {
  return *data->spec ? data->spec : "fashion-mnist";
}

static vgg_data_options options_of(const vgg_run_data *data, size_t limit) {
  return (vgg_data_options){.limit = limit,
                            .class_order = *data->class_order ? data->class_order : NULL,
                            .decode = {.ignore_exif = data->ignore_exif}};
}

/* A reader says best what it misses and where it is to be had. */
static vgg_status find_splits(const vgg_run_data *data, bool present[VGG_NUM_SPLITS],
                              vgg_error *err) {
  const char *spec = vgg_run_data_spec(data);
  const vgg_status status = vgg_dataset_splits(spec, present, err);
  if (status != VGG_NO_INPUT) return status;
  const vgg_data_options options = options_of(data, 0);
  vgg_dataset *none = NULL;
  const vgg_status why = vgg_dataset_open_with(spec, VGG_TRAIN, &options, &none, err);
  vgg_dataset_close(none);
  return why != VGG_OK ? why : err_set(err, VGG_NO_INPUT, "%s: holds no such dataset", spec);
}

/* ---- choosing -------------------------------------------------------------------------------- */

vgg_status vgg_run_data_settle(vgg_run_data *data, const char *recipe_name, bool *unasked,
                               vgg_error *err) {
  const char *spec = vgg_run_data_spec(data);
  const recipe *r;
  bool present[VGG_NUM_SPLITS];
  vgg_status status = recipe_find(recipe_name ? recipe_name : "d2l", &r, err);
  if (status == VGG_OK) status = find_splits(data, present, err);
  if (status != VGG_OK) return status;
  if (data->val_split != 0 && present[VGG_VALIDATION])
    return err_set(err, VGG_BAD_VALUE,
                   "%s: has a validation set of its own, so none can be split off", spec);
  *unasked = false;
  data->held = VGG_VALIDATION;
  if (data->val_split != 0 || present[VGG_VALIDATION]) return VGG_OK;
  if (r->test_chooses && present[VGG_TEST]) {
    data->held = VGG_TEST;
    return VGG_OK;
  }
  data->val_split = set_aside;
  *unasked = true;
  return VGG_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The first `limit` pictures in the place of all. */
static vgg_status keep_first(vgg_dataset **data, size_t limit, vgg_error *err) {
  const size_t count = vgg_dataset_count(*data);
  if (limit == 0 || limit == count) return VGG_OK;
  if (limit > count)
    return err_set(err, VGG_BAD_VALUE, "%s: the limit is %zu, but the %s set holds %zu pictures",
                   vgg_dataset_spec(*data), limit, vgg_split_name(vgg_dataset_split(*data)), count);
  uint32_t *ids = malloc(limit * sizeof *ids);
  if (!ids) return err_no_memory(err, "data", limit * sizeof *ids);
  for (size_t i = 0; i < limit; i++) ids[i] = (uint32_t)i;
  vgg_dataset *first;
  const vgg_status status = vgg_dataset_subset(*data, ids, limit, &first, err);
  free(ids);
  if (status != VGG_OK) return status;
  vgg_dataset_close(*data);
  *data = first;
  return VGG_OK;
}

vgg_status vgg_run_data_open(const vgg_run_data *data, vgg_dataset **train, vgg_dataset **held,
                             vgg_error *err) {
  const char *spec = vgg_run_data_spec(data);
  vgg_data_options options = options_of(data, data->limit);
  vgg_dataset *all = NULL, *part = NULL;
  vgg_status status = vgg_dataset_open_with(spec, VGG_TRAIN, &options, &all, err);
  if (status == VGG_OK && data->held != VGG_TRAIN) {
    options.limit = data->test_limit;
    if (data->val_split == 0) {
      status = vgg_dataset_open_with(spec, data->held, &options, &part, err);
    } else {
      vgg_dataset *rest = NULL;
      status = vgg_dataset_divide(all, data->val_split, data->seed, &rest, &part, err);
      if (status == VGG_OK) {
        vgg_dataset_close(all);
        all = rest;
        status = keep_first(&part, data->test_limit, err);
      }
    }
  }
  if (status != VGG_OK) {
    vgg_dataset_close(all);
    vgg_dataset_close(part);
    return status;
  }
  *train = all;
  *held = part;
  return VGG_OK;
}

/* Of a divided training set both parts are opened anyway, and one is given away. */
vgg_status vgg_run_data_open_split(const vgg_run_data *data, vgg_split split, size_t limit,
                                   vgg_dataset **out, vgg_error *err) {
  if (data->val_split == 0 || split == VGG_TEST) {
    const vgg_data_options options = options_of(data, limit);
    return vgg_dataset_open_with(vgg_run_data_spec(data), split, &options, out, err);
  }
  vgg_run_data whole = *data;
  whole.held = VGG_VALIDATION;
  whole.test_limit = 0;
  vgg_dataset *sets[2] = {NULL, NULL};
  vgg_status status = vgg_run_data_open(&whole, &sets[0], &sets[1], err);
  if (status != VGG_OK) return status;
  const int wanted = split == VGG_VALIDATION;
  vgg_dataset_close(sets[!wanted]);
  status = keep_first(&sets[wanted], limit, err);
  if (status == VGG_OK)
    *out = sets[wanted];
  else
    vgg_dataset_close(sets[wanted]);
  return status;
}

/* ---- what a model was trained on ------------------------------------------------------------- */

static void copy_word(char *out, size_t size, const json_t *value) {
  snprintf(out, size, "%s", json_is_string(value) ? json_string_value(value) : "");
}

void vgg_run_data_of_model(const vgg_model *model, vgg_run_data *out) {
  *out = (vgg_run_data){.ignore_exif = vgg_model_preprocess(model)->ignore_exif};
  json_t *how = json_loads(vgg_model_recipe(model), 0, NULL);
  copy_word(out->spec, sizeof out->spec, json_object_get(how, "data"));
  copy_word(out->class_order, sizeof out->class_order, json_object_get(how, "class_order"));
  const double split = json_number_value(json_object_get(how, "val_split"));
  if (split > 0 && split < 1) {
    out->val_split = split;
    out->seed = (uint64_t)json_integer_value(json_object_get(how, "seed"));
    out->limit = (size_t)json_integer_value(json_object_get(how, "limit"));
  }
  json_decref(how);
}
