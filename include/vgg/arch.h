/* SPDX-License-Identifier: Apache-2.0
 *
 * Architectures: what a network is made of, before it has any weights.
 *
 * A vgg_arch is an immutable chain of layers with all shapes worked out. It comes from a list of
 * blocks as in the tutorial, from a conv_arch in text, or from a name.
 *
 *   VGG block (Simonyan & Zisserman, arXiv 1409.1556, table 1):
 *     num_convs x (3x3 convolution, pad 1, stride 1, bias [; batch norm]; ReLU), then 2x2 max-pool,
 *     stride 2
 *   head:  flatten, (linear, ReLU, dropout) x 2, linear [, softmax at inference]
 */
#ifndef VGG_ARCH_H
#define VGG_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgg/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The shape of one image's activations: channels, height, width. Flat layers are [units, 1, 1]. */
typedef struct vgg_shape {
  int c, h, w;
} vgg_shape;

/* One block of a conv_arch. in_channels 0 means "what comes out of the block before". */
typedef struct vgg_block_spec {
  int num_convs, in_channels, out_channels;
} vgg_block_spec;

/* The tutorial's vgg_block(num_convs, in_channels, out_channels), as a value. */
VGG_API vgg_block_spec vgg_block(int num_convs, int in_channels, int out_channels);

/* How features become classes. All three have the same weights. */
typedef enum vgg_head {
  VGG_HEAD_DEFAULT,  /* adaptive for the names that end in _bn, else flatten */
  VGG_HEAD_FLATTEN,  /* the first linear layer takes all that the features leave of the picture */
  VGG_HEAD_ADAPTIVE, /* it takes a window; the features are averaged to that, as torchvision's
                        AdaptiveAvgPool2d does */
  VGG_HEAD_DENSE     /* the linear layers are convolutions, the first one with a window as its
                        filter, and the classes' map is averaged: the paper's evaluation */
} vgg_head;

/* Local response normalisation: x / (2 + a * sum of x^2 over 5 neighbouring channels)^.75, behind
 * the ReLU of the first convolution (alexnet: of the first two, as Krizhevsky et al. 2012). */
typedef enum vgg_lrn {
  VGG_LRN_NONE, /* vgg11_lrn: sum */
  VGG_LRN_SUM,  /* a = 1e-4: Krizhevsky's formula */
  VGG_LRN_MEAN  /* a = 1e-4 / 5: as Caffe and PyTorch write it */
} vgg_lrn;

/* The words of --head and of the other options in files: "flatten", "sum"; static. NULL when out
 * of range. */
VGG_API const char *vgg_head_name(vgg_head head);
VGG_API const char *vgg_lrn_name(vgg_lrn lrn);

/* What stands around the blocks. Zero means the tutorial's value, given in brackets (for the
 * input: all three zero). Counts and sides are at most 65536. */
typedef struct vgg_arch_options {
  int ratio;       /* every block's channels are divided by it, rounding down [1] */
  vgg_shape input; /* the picture's channels, height, width [1, 224, 224] */
  int classes;     /* outputs of the last linear layer [10] */
  int hidden;      /* units of the two hidden linear layers [4096] */
  /* Probability of dropping a unit, below 1 [0.5]. Negative means no dropout: the layers stay, so
   * that modules keep their numbers, with probability 0. */
  double dropout;
  /* Batch norm behind every convolution, before its ReLU, with eps 1e-5 and momentum .1 as PyTorch;
   * always so for the names that end in _bn. */
  bool batch_norm;
  vgg_lrn lrn;
  vgg_head head;
  /* Rows and columns that the first linear layer sees [adaptive: 7, alexnet 5; dense: the same, or
   * what the features leave where that is less]; 0 for flatten. */
  int window;
} vgg_arch_options;

typedef struct vgg_arch vgg_arch;

/* Builds a VGG net from `num_blocks` blocks.
 *   conv_arch  [num_blocks], borrowed for the call
 *   options    borrowed for the call; NULL means the tutorial's net
 *   out        on success owns the architecture: close with vgg_arch_close
 * Fails with VGG_BAD_VALUE if a count is not positive, a channel count becomes 0 under the ratio,
 * the channels do not chain, or the pools shrink the picture to nothing: the message then names
 * the smallest legal size. */
VGG_API vgg_status vgg_arch_from_blocks(const vgg_block_spec *conv_arch, int num_blocks,
                                        const vgg_arch_options *options, vgg_arch **out,
                                        vgg_error *err);

/* Builds a net from text: a name (vgg11, vgg11_bn, alexnet ...: see vgg_arch_name_at), a letter of
 * the paper's table 1 (A, A-LRN, B, C, D, E) or a conv_arch, either
 * "1x64,1x128,2x256" or as Python prints it, "((1, 64), (1, 128))", in round or square brackets,
 * with two numbers a block (num_convs, out_channels) or three (num_convs, in, out: each block
 * must take what the one before gives, the first one the picture's channels).
 * AlexNet is the tutorial book's: one tower, no LRN, 11x11 stride 4 first.
 * Otherwise as vgg_arch_from_blocks. */
VGG_API vgg_status vgg_arch_from_text(const char *text, const vgg_arch_options *options,
                                      vgg_arch **out, vgg_error *err);

/* The i-th name that vgg_arch_from_text knows, with a line about it; NULL after the last. */
VGG_API const char *vgg_arch_name_at(size_t i, const char **about);

VGG_API void vgg_arch_close(vgg_arch *arch);

typedef enum vgg_layer_type {
  VGG_LAYER_CONV,
  VGG_LAYER_RELU,
  VGG_LAYER_MAXPOOL, /* rounds down; the first maximum in row-major order wins; NaN wins */
  VGG_LAYER_FLATTEN,
  VGG_LAYER_LINEAR,
  VGG_LAYER_DROPOUT,
  VGG_LAYER_SOFTMAX, /* always the last layer; part of the loss when training */
  VGG_LAYER_BATCHNORM,
  VGG_LAYER_LRN,
  VGG_LAYER_AVGPOOL /* row p of P is the mean of rows floor(p H / P) .. ceil((p + 1) H / P) - 1 */
} vgg_layer_type;

/* "conv", "batchnorm" ...; static. NULL when out of range. */
VGG_API const char *vgg_layer_type_name(vgg_layer_type type);

/* One layer, as the architecture lends it. */
typedef struct vgg_layer {
  vgg_layer_type type;
  char name[16];     /* the paper's: conv1_1, bn1_1, relu1_1, lrn1_1, pool1, fc6, relu6, drop6 */
  char module[24];   /* torchvision's: features.0, avgpool, classifier.0; "" for the others */
  int block;         /* 1-based block (for alexnet: stage that ends in a pool); 0 in the head */
  vgg_shape in, out; /* of one image */
  int kernel, stride, pad; /* conv and pool, else 0 */
  double dropout;          /* dropout only: the probability of dropping */
  uint64_t params;         /* weights and biases; a batch norm's scales and shifts */
  uint64_t macs;           /* multiply-adds for one image, padding counted; 0 for cheap layers */
} vgg_layer;

/* The text the net was asked for, before the ratio: "vgg11" or a normalised conv_arch
 * "1x16,1x32"; lent. */
VGG_API const char *vgg_arch_title(const vgg_arch *arch);
/* The options with every default filled in (dropout -1: none); with the title they give the same
 * net again. Lent. */
VGG_API const vgg_arch_options *vgg_arch_get_options(const vgg_arch *arch);
VGG_API int vgg_arch_num_layers(const vgg_arch *arch);
/* Layer i of 0 .. num_layers-1; lent until the architecture is closed. NULL when out of range. */
VGG_API const vgg_layer *vgg_arch_layer(const vgg_arch *arch, int i);
/* The index of the layer with this name, the paper's ("conv3_3") or torchvision's ("features.14");
 * -1 when there is none. */
VGG_API int vgg_arch_find(const vgg_arch *arch, const char *name);
VGG_API uint64_t vgg_arch_params(const vgg_arch *arch);
VGG_API uint64_t vgg_arch_macs(const vgg_arch *arch);

/* The net as the tutorial walks it: a block of convolutions is one "Sequential", then "Flatten",
 * "Linear", "ReLU", "Dropout" ... (alexnet is flat: "Conv2d", "ReLU", "MaxPool2d", ...). */
typedef struct vgg_module {
  const char *class_name; /* PyTorch's class name; static */
  int first_layer, num_layers;
  int rank;    /* 4: [n, c, h, w]; 2: [n, units] */
  int dims[4]; /* output shape for a sample of one picture */
} vgg_module;

VGG_API int vgg_arch_num_modules(const vgg_arch *arch);
/* Module i of 0 .. num_modules-1, by value; class_name is NULL when out of range. */
VGG_API vgg_module vgg_arch_module(const vgg_arch *arch, int i);

#ifdef __cplusplus
}
#endif
#endif
