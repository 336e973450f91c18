/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/error.h"
#include "format/model.h"

/* Of a grey u = x / 255, the three channels give at one tap
 *
 *   sum w_c (u - m_c) / s_c  =  (sum w_c s / s_c) (u - m) / s  +  sum w_c (m - m_c) / s_c
 *
 * with m and s the means of m_c and s_c: the filter of one channel, and something for the bias. A
 * model without mean and deviation has m_c = 0, s_c = 1. */
typedef struct fold {
  double mean, std, means[3], stds[3];
} fold;

static fold fold_of(const vgg_preprocess *rule) {
  fold f = {.mean = 0, .std = 1, .stds = {1, 1, 1}};
  if (rule->std[0] <= 0) return f;
  memcpy(f.means, rule->mean, sizeof f.means);
  memcpy(f.stds, rule->std, sizeof f.stds);
  f.mean = (f.means[0] + f.means[1] + f.means[2]) / 3;
  f.std = (f.stds[0] + f.stds[1] + f.stds[2]) / 3;
  return f;
}

/* weight [count][3] becomes sum [count]; returns what belongs to the bias. */
static double sum_filter(const fold *f, const float *weight, size_t count, float *sum) {
  double more = 0;
  for (size_t i = 0; i < count; i++) {
    double w = 0;
    for (int c = 0; c < 3; c++) {
      w += weight[3 * i + c] * f->std / f->stds[c];
      more += weight[3 * i + c] * (f->mean - f->means[c]) / f->stds[c];
    }
    sum[i] = (float)w;
  }
  return more;
}

static void sum_first(const vgg_model *from, vgg_model *to) {
  const fold f = fold_of(&from->preprocess);
  const net_param *wide = &from->params.at[0], *narrow = &to->params.at[0];
  const size_t filters = (size_t)narrow->shape[0], taps = narrow->count / filters;
  const float *weight = from->values + wide->offset, *bias = from->values + wide[1].offset;
  for (size_t k = 0; k < filters; k++) {
    const double more =
        sum_filter(&f, weight + 3 * k * taps, taps, to->values + narrow->offset + k * taps);
    to->values[narrow[1].offset + k] = (float)(bias[k] + more);
  }
  to->preprocess = from->preprocess;
  to->preprocess.input.c = 1;
  to->preprocess.channels = VGG_CHANNELS_LUMA;
  if (from->preprocess.std[0] <= 0) return;
  to->preprocess.mean[0] = f.mean;
  to->preprocess.std[0] = f.std;
}

vgg_status vgg_model_sum_filters(vgg_model *model, vgg_error *err) {
  vgg_arch_options options = model->arch->options;
  if (options.input.c != 3)
    return err_set(err, VGG_BAD_VALUE, "channels sum-filters: the net takes %d, wanted 3",
                   options.input.c);
  options.input.c = 1;
  vgg_arch *arch;
  vgg_model *grey;
  vgg_status status = vgg_arch_from_text(vgg_arch_title(model->arch), &options, &arch, err);
  if (status != VGG_OK) return status;
  status = vgg_model_create(arch, 0, &grey, err);
  vgg_arch_close(arch);
  if (status != VGG_OK) return status;
  sum_first(model, grey);
  for (int i = 2; i < grey->params.count; i++) {
    const net_param *to = &grey->params.at[i], *from = &model->params.at[i];
    memcpy(grey->values + to->offset, model->values + from->offset, to->count * sizeof(float));
  }
  /* What is not the net's stays: names and recipe change places with those of the fresh model. */
  char **classes = grey->classes, *recipe = grey->recipe;
  grey->classes = model->classes;
  grey->recipe = model->recipe;
  model->classes = classes;
  model->recipe = recipe;
  const vgg_model old = *model;
  *model = *grey;
  *grey = old;
  vgg_model_close(grey);
  return VGG_OK;
}
