/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical parameters and their order in files.
 */
#include <stdio.h>
#include <string.h>

#include "net/net.h"

enum { TENSOR_FLOATS = 16 }; /* tensors start at multiples of this many */

static void append(net_params *params, const vgg_layer *layer, const char *kind, net_param param) {
  param.is_bias = param.rank == 1;
  snprintf(param.name, sizeof param.name, "%s.%s", layer->module, kind);
  param.count = 1;
  for (int d = 0; d < param.rank; d++) param.count *= (size_t)param.shape[d];
  param.offset = params->floats;
  params->floats += (param.count + TENSOR_FLOATS - 1) / TENSOR_FLOATS * TENSOR_FLOATS;
  params->at[params->count++] = param;
}

void net_params_of(const vgg_arch *arch, net_params *out) {
  memset(out, 0, sizeof *out);
  for (int i = 0; i < arch->num_layers; i++) {
    const vgg_layer *layer = &arch->layers[i];
    if (layer->type != VGG_LAYER_CONV && layer->type != VGG_LAYER_LINEAR) continue;
    net_param weight = {.layer = i, .rank = 2, .shape = {layer->out.c, layer->in.c, 0, 0}};
    size_t taps = 1;
    if (layer->type == VGG_LAYER_CONV) {
      weight.rank = 4;
      weight.shape[2] = weight.shape[3] = layer->kernel;
      taps = (size_t)layer->kernel * (size_t)layer->kernel;
    } else if (arch->layers[i - 1].type == VGG_LAYER_FLATTEN) {
      const vgg_shape map = arch->layers[i - 1].in;
      if (map.c > 1 && (map.h > 1 || map.w > 1)) weight.map = map;
    }
    weight.fan_in = (size_t)layer->in.c * taps;
    weight.fan_out = (size_t)layer->out.c * taps;
    append(out, layer, "weight", weight);
    append(out, layer, "bias",
           (net_param){.layer = i,
                       .rank = 1,
                       .shape = {layer->out.c, 0, 0, 0},
                       .fan_in = weight.fan_in,
                       .fan_out = weight.fan_out});
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
