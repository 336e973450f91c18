/* SPDX-License-Identifier: Apache-2.0
 *
 * Nets: the architecture's layers, and its parameters in the one canonical order that
 * initialisation, optimiser state, checkpoints and files walk.
 *
 *   parameters  one float array; each tensor starts at a multiple of 16 floats
 *     conv        weight [K][R][S][C], then bias [K]
 *     linear      weight [out][in], `in` in the order of activations (row, column, channel),
 *                 bias [out]; the same as a convolution of a dense head
 *     batch norm  scale [C], shift [C]
 *   then, without gradients:
 *     batch norm  running mean [C], running variance [C]
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>

#include "vgg/arch.h"

enum { NET_MAX_LAYERS = 256, NET_MAX_MODULES = 256 };

/* Of every batch norm, as PyTorch's defaults. */
#define NET_NORM_EPS 1e-5
#define NET_NORM_MOMENTUM 0.1

/* Of every LRN; where vgg_lrn says mean, alpha is divided by the size. */
enum { NET_LRN_SIZE = 5 };
#define NET_LRN_ALPHA 1e-4
#define NET_LRN_BETA 0.75
#define NET_LRN_K 2.0

struct vgg_arch {
  char title[256];
  vgg_arch_options options;
  int num_layers, num_modules;
  uint64_t params, macs;
  vgg_layer layers[NET_MAX_LAYERS];
  vgg_module modules[NET_MAX_MODULES];
};

vgg_arch *arch_copy(const vgg_arch *arch); /* NULL without memory; close with vgg_arch_close */

typedef enum net_role {
  NET_WEIGHT,
  NET_BIAS,
  NET_SCALE, /* of a batch norm, as all that follow */
  NET_SHIFT,
  NET_MEAN,
  NET_VARIANCE
} net_role;

/* One tensor of the canonical array. */
typedef struct net_param {
  char name[40]; /* torchvision's: "features.0.weight" */
  int layer;     /* in the architecture */
  net_role role;
  int rank;     /* 4 conv weight, 2 linear weight, 1 all others */
  int shape[4]; /* as the file has it: [K][C][R][S], [out][in], [K] */
  /* Linear weights after a flatten: the columns are [map.h][map.w][map.c] here and
   * [map.c][map.h][map.w] in files. {0,0,0} when both orders agree. */
  vgg_shape map;
  size_t offset, count; /* in floats */
  size_t fan_in, fan_out;
} net_param;

typedef struct net_params {
  int count, trained; /* those from `trained` on are running statistics */
  size_t floats;      /* of the whole array, paddings counted */
  net_param at[2 * NET_MAX_LAYERS];
} net_params;

void net_params_of(const vgg_arch *arch, net_params *out);
/* Where in the array the parameters of `layer` and of those after it begin. */
size_t net_params_from(const net_params *params, int layer);

/* An initialisation: a row of inits.def. */
typedef struct net_init net_init;
const net_init *net_init_find(const char *name); /* NULL: none of that name */
const char *net_init_names(void);                /* all, a blank before each */
/* `values` [params->floats], written; the padding floats become 0. The same seed gives the same
 * values on every machine (normal ones: as far as its libm agrees). Batch norms change nothing yet.
 */
void net_init_fill(const net_init *init, const net_params *params, uint64_t seed, float *values);
/* The tutorial's, "xavier". */
void net_init_d2l(const net_params *params, uint64_t seed, float *values);

/* Copies one tensor between the canonical order and the file's order (see shape, map). Both
 * arrays have param->count floats and do not overlap. */
void net_param_to_file(const net_param *param, const float *canonical, float *file);
void net_param_from_file(const net_param *param, const float *file, float *canonical);

#endif
