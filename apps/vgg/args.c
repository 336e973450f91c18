/* SPDX-License-Identifier: Apache-2.0
 *
 * Options that several commands take.
 */
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

void net_args_options(net_args *net, opt_list *list) {
  opt_text(list, "arch", &net->arch);
  opt_given(list, &net->any_given);
  opt_whole(list, "ratio", 1, INT_MAX, &net->ratio);
  opt_given(list, &net->any_given);
  opt_shape(list, "input", &net->input);
  opt_given(list, &net->any_given);
  opt_whole(list, "classes", 1, INT_MAX, &net->classes);
  opt_given(list, &net->any_given);
  opt_whole(list, "hidden", 1, INT_MAX, &net->hidden);
  opt_given(list, &net->any_given);
  net->dropout = NAN;
  opt_real(list, "dropout", true, 1, &net->dropout);
  opt_given(list, &net->any_given);
}

vgg_arch_options net_args_get(const net_args *net) {
  vgg_arch_options options = {.ratio = (int)net->ratio,
                              .input = net->input,
                              .classes = (int)net->classes,
                              .hidden = (int)net->hidden};
  /* In the library zero means the tutorial's value, so "no dropout" is negative. */
  if (!isnan(net->dropout)) options.dropout = net->dropout == 0 ? -1 : net->dropout;
  return options;
}

void data_args_options(data_args *data, opt_list *list) {
  opt_text(list, "data", &data->data);
  opt_choice(list, "class-order", "bytes|natural|file", &data->class_order);
  opt_whole(list, "limit", 1, UINT32_MAX, &data->limit);
  opt_whole(list, "test-limit", 1, UINT32_MAX, &data->test_limit);
}

vgg_split cli_split(const char *name) {
  vgg_split split = VGG_TRAIN;
  while (strcmp(vgg_split_name(split), name) != 0) split++;
  return split;
}

void run_args_options(run_args *run, opt_list *list) {
  opt_text(list, "device", &run->device);
  opt_text(list, "backend", &run->backend);
  opt_text(list, "precision", &run->precision);
  opt_text(list, "winograd", &run->winograd);
  opt_text(list, "isa", &run->isa);
  opt_whole(list, "threads", 1, 4096, &run->threads);
  opt_whole(list, "batch", 1, 1 << 20, &run->batch);
}

vgg_run_options run_args_get(const run_args *run) {
  return (vgg_run_options){.device = run->device,
                           .backend = run->backend,
                           .precision = run->precision,
                           .winograd = run->winograd,
                           .isa = run->isa,
                           .threads = (int)run->threads,
                           .batch = (int)run->batch};
}

const char *cli_model_data(const vgg_model *model, char *out, size_t size) {
  json_t *recipe = json_loads(vgg_model_recipe(model), 0, NULL);
  const char *data = json_string_value(json_object_get(recipe, "data"));
  snprintf(out, size, "%s", data != NULL ? data : "fashion-mnist");
  json_decref(recipe);
  return out;
}
