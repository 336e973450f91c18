/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/model.h"
#include "vgg/infer.h"

/* A class that nobody has named is called by its number. */
static bool is_number(const char *name, int label) {
  char number[16];
  snprintf(number, sizeof number, "%d", label);
  return strcmp(name, number) == 0;
}

/* The model's class for class i of the data, called `name`; -1: none. The same number comes first,
 * for some models have two classes of one name. */
static int find(const vgg_model *model, int i, const char *name) {
  if (strcmp(model->classes[i], name) == 0) return i;
  for (int k = 0; k < model->arch->options.classes; k++)
    if (strcmp(model->classes[k], name) == 0) return k;
  return is_number(name, i) || is_number(model->classes[i], i) ? i : -1;
}

vgg_status vgg_class_map(const vgg_model *model, const vgg_dataset *data, int *map,
                         vgg_error *err) {
  const char *spec = vgg_dataset_spec(data);
  const int have = vgg_dataset_classes(data), known = model->arch->options.classes;
  if (have > known)
    return err_set(err, VGG_BAD_VALUE, "%s: has %d classes, the model knows %d", spec, have, known);
  int *taken = calloc((size_t)known, sizeof *taken); /* by which class of the data, from 1 on */
  if (!taken) return err_no_memory(err, spec, (size_t)known * sizeof *taken);
  vgg_status status = VGG_OK;
  for (int i = 0; i < have && status == VGG_OK; i++) {
    const char *name = vgg_dataset_class_name(data, i);
    const int k = find(model, i, name);
    if (k < 0)
      status = err_set(err, VGG_BAD_VALUE, "%s: class %d is '%.80s', which the model does not know",
                       spec, i, name);
    else if (taken[k])
      status =
          err_set(err, VGG_BAD_VALUE, "%s: '%.80s' and '%.80s' would both be the model's '%.80s'",
                  spec, vgg_dataset_class_name(data, taken[k] - 1), name, model->classes[k]);
    else
      taken[map[i] = k] = i + 1;
  }
  free(taken);
  return status;
}
