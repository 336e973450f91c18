/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical parameters and their order in files.
 */
#include <stdio.h>
#include <string.h>

#include "net/net.h"

enum { TENSOR_FLOATS = 16 }; /* tensors start at multiples of this many */

static void append(net_params *params, const vgg_layer *layer, const char *kind, net_param param) {
  snprintf(param.name, sizeof param.name, "%s.%s", layer->module, kind);
  param.count = 1;
  for (int d = 0; d < param.rank; d++) param.count *= (size_t)param.shape[d];
  param.offset = params->floats;
  params->floats += (param.count + TENSOR_FLOATS - 1) / TENSOR_FLOATS * TENSOR_FLOATS;
  params->at[params->count++] = param;
}

static void append_vector(net_params *params, const vgg_arch *arch, int layer, const char *kind,
                          net_role role, size_t fan_in, size_t fan_out) {
  const vgg_layer *of = &arch->layers[layer];
  append(params, of, kind,
         (net_param){.layer = layer,
                     .role = role,
                     .rank = 1,
                     .shape = {of->out.c, 0, 0, 0},
                     .fan_in = fan_in,
                     .fan_out = fan_out});
}

/* What a linear layer sees before it is flattened. */
static vgg_shape map_of(const vgg_arch *arch, int layer) {
  const vgg_layer *of = &arch->layers[layer];
  if (of->type == VGG_LAYER_CONV) return (vgg_shape){of->in.c, of->kernel, of->kernel};
  const vgg_layer *before = &arch->layers[layer - 1];
  return before->type == VGG_LAYER_FLATTEN ? before->in : of->in;
}

static void append_products(net_params *params, const vgg_arch *arch, int i) {
  const vgg_layer *layer = &arch->layers[i];
  const vgg_shape map = map_of(arch, i);
  const int pixels = map.h * map.w;
  net_param weight = {.layer = i, .role = NET_WEIGHT, .rank = 2, .shape = {layer->out.c}};
  weight.fan_in = (size_t)map.c * (size_t)pixels;
  weight.fan_out = (size_t)layer->out.c;
  if (layer->block > 0) {
    weight.rank = 4;
    weight.shape[1] = layer->in.c;
    weight.shape[2] = weight.shape[3] = layer->kernel;
    weight.fan_out *= (size_t)pixels;
  } else { /* in a dense head, too */
    weight.shape[1] = map.c * pixels;
    if (map.c > 1 && pixels > 1) weight.map = map;
  }
  append(params, layer, "weight", weight);
  append_vector(params, arch, i, "bias", NET_BIAS, weight.fan_in, weight.fan_out);
}

void net_params_of(const vgg_arch *arch, net_params *out) {
  memset(out, 0, sizeof *out);
  for (int i = 0; i < arch->num_layers; i++) {
    const vgg_layer_type type = arch->layers[i].type;
    if (type == VGG_LAYER_CONV || type == VGG_LAYER_LINEAR) append_products(out, arch, i);
    if (type != VGG_LAYER_BATCHNORM) continue;
    append_vector(out, arch, i, "weight", NET_SCALE, 0, 0);
    append_vector(out, arch, i, "bias", NET_SHIFT, 0, 0);
  }
  out->trained = out->count;
  for (int i = 0; i < arch->num_layers; i++) {
    if (arch->layers[i].type != VGG_LAYER_BATCHNORM) continue;
    append_vector(out, arch, i, "running_mean", NET_MEAN, 0, 0);
    append_vector(out, arch, i, "running_var", NET_VARIANCE, 0, 0);
  }
}

size_t net_params_from(const net_params *params, int layer) {
  for (int i = 0; i < params->count; i++)
    if (params->at[i].layer >= layer) return params->at[i].offset;
  return params->floats;
}

/* Both permutations are one: `rows` matrices, here [pixels][channels], in files
 * [channels][pixels]. A convolution has a row per filter, a linear layer one per unit. */
typedef struct layout {
  size_t rows, pixels, channels;
} layout;

static layout layout_of(const net_param *param) {
  const size_t rows = (size_t)param->shape[0];
  if (param->rank == 4)
    return (layout){rows, (size_t)param->shape[2] * (size_t)param->shape[3],
                    (size_t)param->shape[1]};
  if (param->map.c > 0)
    return (layout){rows, (size_t)param->map.h * (size_t)param->map.w, (size_t)param->map.c};
  return (layout){1, 1, param->count};
}

/* rows x [m][n] -> rows x [n][m] */
static void transpose(size_t rows, size_t m, size_t n, const float *from, float *to) {
  for (size_t row = 0; row < rows; row++, from += m * n, to += m * n)
    for (size_t i = 0; i < m; i++)
      for (size_t j = 0; j < n; j++) to[j * m + i] = from[i * n + j];
}

void net_param_to_file(const net_param *param, const float *canonical, float *file) {
  const layout l = layout_of(param);
  transpose(l.rows, l.pixels, l.channels, canonical, file);
}

void net_param_from_file(const net_param *param, const float *file, float *canonical) {
  const layout l = layout_of(param);
  transpose(l.rows, l.channels, l.pixels, file, canonical);
}
