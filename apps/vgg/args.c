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
  opt_flag(list, "bn", &net->batch_norm);
  opt_given(list, &net->any_given);
  opt_flag(list, "lrn", &net->lrn);
  opt_given(list, &net->any_given);
  opt_choice(list, "lrn-alpha", "sum|mean", &net->lrn_alpha);
  opt_given(list, &net->any_given);
  opt_choice(list, "head", "flatten|adaptive|dense", &net->head);
  opt_given(list, &net->any_given);
}

vgg_head cli_head(const char *name) {
  vgg_head head = VGG_HEAD_DEFAULT;
  while (name && strcmp(vgg_head_name(head), name) != 0) head++;
  return head;
}

void net_args_of_recipe(net_args *net, const char *recipe) {
  vgg_arch_options own;
  const char *arch = net->arch == NULL && recipe != NULL ? vgg_recipe_net(recipe, &own) : NULL;
  if (arch == NULL) return;
  net->arch = arch;
  if (net->input.c == 0) net->input = own.input;
  if (net->hidden == 0) net->hidden = (uint64_t)own.hidden;
  if (net->head == NULL && own.head != VGG_HEAD_DEFAULT) net->head = vgg_head_name(own.head);
  if (isnan(net->dropout) && own.dropout != 0) net->dropout = fmax(0, own.dropout);
  net->batch_norm = net->batch_norm || own.batch_norm;
}

vgg_arch_options net_args_get(const net_args *net) {
  vgg_arch_options options = {.ratio = (int)net->ratio,
                              .input = net->input,
                              .classes = (int)net->classes,
                              .hidden = (int)net->hidden,
                              .batch_norm = net->batch_norm,
                              .lrn = net->lrn ? VGG_LRN_SUM : VGG_LRN_NONE,
                              .head = cli_head(net->head)};
  if (net->lrn_alpha) options.lrn = strcmp(net->lrn_alpha, "sum") == 0 ? VGG_LRN_SUM : VGG_LRN_MEAN;
  /* In the library zero means the tutorial's value, so "no dropout" is negative. */
  if (!isnan(net->dropout)) options.dropout = net->dropout == 0 ? -1 : net->dropout;
  return options;
}

void data_args_options(data_args *data, opt_list *list) {
  opt_text(list, "data", &data->data);
  opt_choice(list, "class-order", "bytes|natural|file", &data->class_order);
  opt_choice(list, "exif", "apply|ignore", &data->exif);
  opt_whole(list, "limit", 1, UINT32_MAX, &data->limit);
  opt_whole(list, "test-limit", 1, UINT32_MAX, &data->test_limit);
  opt_real(list, "val-split", false, 1, &data->val_split);
}

vgg_status data_args_get(const data_args *data, vgg_run_data *out, vgg_error *err) {
  if (data->data != NULL && strlen(data->data) >= sizeof out->spec) {
    err->status = VGG_BAD_VALUE;
    snprintf(err->message, sizeof err->message, "--data: found %zu characters, wanted at most %zu",
             strlen(data->data), sizeof out->spec - 1);
    return VGG_BAD_VALUE;
  }
  if (data->data != NULL) strcpy(out->spec, data->data);
  if (data->class_order != NULL)
    snprintf(out->class_order, sizeof out->class_order, "%s", data->class_order);
  if (data->exif != NULL) out->ignore_exif = strcmp(data->exif, "ignore") == 0;
  if (data->limit != 0) out->limit = data->limit;
  if (data->test_limit != 0) out->test_limit = data->test_limit;
  if (data->val_split != 0) out->val_split = data->val_split;
  return VGG_OK;
}

vgg_status cli_settle(vgg_run_data *data, bool no_eval, const char *recipe, vgg_error *err) {
  bool unasked = false;
  data->held = VGG_TRAIN;
  if (no_eval) return VGG_OK;
  const vgg_status status = vgg_run_data_settle(data, recipe, &unasked, err);
  if (status == VGG_OK && unasked)
    cli_note(
        "%s has no validation set: %g%% of every class of its training set is set aside as one"
        " (--val-split X for another share)",
        vgg_run_data_spec(data), 100 * data->val_split);
  return status;
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
  opt_whole(list, "threads", 1, 1024, &run->threads);
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

void recipe_args_options(recipe_args *r, opt_list *list) {
  vgg_train_options *o = &r->options;
  r->head_lr = r->weight_decay = r->clip_norm = r->warmup = r->ema = r->label_smoothing = NAN;
  opt_text(list, "recipe", &o->recipe);
  opt_text(list, "from", &o->from);
  opt_text(list, "last-layer", &o->head);
  opt_text(list, "init", &o->init);
  opt_text(list, "freeze", &o->freeze);
  opt_text(list, "optimizer", &o->run.optimizer);
  opt_text(list, "schedule", &o->schedule);
  opt_text(list, "class-weights", &o->class_weights);
  opt_text(list, "augment", &o->augment);
  opt_text(list, "views", &o->views);
  opt_real(list, "lr", false, INFINITY, &o->lr);
  opt_real(list, "lr-gamma", false, 1, &o->lr_gamma);
  opt_real(list, "momentum", false, 1, &o->momentum);
  opt_real(list, "head-lr", true, INFINITY, &r->head_lr);
  opt_real(list, "weight-decay", true, INFINITY, &r->weight_decay);
  opt_real(list, "clip-norm", true, INFINITY, &r->clip_norm);
  opt_real(list, "warmup", true, INFINITY, &r->warmup);
  opt_real(list, "ema", true, 1, &r->ema);
  opt_real(list, "label-smoothing", true, 1, &r->label_smoothing);
  opt_whole(list, "lr-step", 1, INT_MAX, &r->lr_step);
  opt_whole(list, "patience", 1, INT_MAX, &r->patience);
  opt_whole(list, "early-stop", 1, INT_MAX, &r->early_stop);
  opt_whole(list, "micro-batch", 1, 1 << 20, &r->micro_batch);
  opt_whole(list, "epochs", 1, 1000000, &r->epochs);
  opt_whole(list, "seed", 0, UINT64_MAX, &o->seed);
}

static double or_none(double x) { return isnan(x) ? 0 : x == 0 ? -1 : x; }

vgg_train_options recipe_args_get(const recipe_args *r) {
  vgg_train_options o = r->options;
  o.head_lr = or_none(r->head_lr);
  o.weight_decay = or_none(r->weight_decay);
  o.clip_norm = or_none(r->clip_norm);
  o.warmup = or_none(r->warmup);
  o.ema = or_none(r->ema);
  o.label_smoothing = or_none(r->label_smoothing);
  o.lr_step = (int)r->lr_step;
  o.patience = (int)r->patience;
  o.early_stop = (int)r->early_stop;
  o.micro_batch = (int)r->micro_batch;
  o.epochs = (int)r->epochs;
  return o;
}

static vgg_status first_split(const vgg_run_data *data, const char **split, vgg_error *err) {
  bool present[VGG_NUM_SPLITS];
  const vgg_status status = vgg_dataset_splits(vgg_run_data_spec(data), present, err);
  if (status != VGG_OK) return status;
  *split = present[VGG_TEST]                                 ? "test"
           : present[VGG_VALIDATION] || data->val_split != 0 ? "val"
                                                             : "train";
  return VGG_OK;
}

vgg_status cli_open_for_model(const vgg_model *model, const data_args *given, const char **split,
                              vgg_dataset **out, vgg_error *err) {
  vgg_run_data data;
  vgg_run_data_of_model(model, &data);
  /* Other data were not divided; how their files are decoded is the model's. */
  if (given->data != NULL) data = (vgg_run_data){.ignore_exif = data.ignore_exif};
  data_args set = *given;
  set.limit = 0; /* of the training set before it was divided; here it is the split's */
  vgg_status status = data_args_get(&set, &data, err);
  if (status == VGG_OK && *split == NULL) status = first_split(&data, split, err);
  if (status != VGG_OK) return status;
  return vgg_run_data_open_split(&data, cli_split(*split), (size_t)given->limit, out, err);
}

void cli_note_luma(const vgg_model *model, const vgg_dataset *data) {
  if (vgg_dataset_shape(data).c > vgg_model_preprocess(model)->input.c)
    cli_note("the net takes one channel: colour pictures become grey by luma");
}

void cli_set_channels(vgg_model *model, const char *word) {
  if (word == NULL) return;
  vgg_model_set_channels(
      model, strcmp(word, "replicate") == 0 ? VGG_CHANNELS_REPLICATE : VGG_CHANNELS_LUMA);
}
