/* SPDX-License-Identifier: Apache-2.0
 *
 * From runs of convolutions to layers with shapes, names and modules.
 */
#include <limits.h>
#include <stdio.h>

#include "base/error.h"
#include "net/arch_build.h"

/* What has been laid out so far. */
typedef struct builder {
  vgg_arch *arch;
  vgg_shape shape; /* of the newest layer's output */
  int feature;     /* the next number after "features." */
  /* 1-based: the block, the convolution in the net and in its block; below NET_MAX_LAYERS. */
  uint8_t block, conv, conv_in_block;
  bool flat;
  vgg_error *err;
} builder;

static uint64_t volume(vgg_shape s) { return (uint64_t)s.c * (uint64_t)s.h * (uint64_t)s.w; }

/* A window's positions along a side; 0 when it does not fit. */
static int window_positions(int side, int kernel, int stride, int pad) {
  return side + 2 * pad < kernel ? 0 : (side + 2 * pad - kernel) / stride + 1;
}

/* The side that comes out of all runs; 0 when it vanishes on the way. */
static int side_after(int side, const arch_run *runs, int num_runs) {
  for (const arch_run *run = runs; run < runs + num_runs && side > 0; run++) {
    for (int i = 0; i < run->num_convs && side > 0; i++)
      side = window_positions(side, run->kernel, run->stride, run->pad);
    if (run->pool && side > 0) side = window_positions(side, run->pool, 2, 0);
  }
  return side;
}

static int smallest_side(const arch_run *runs, int num_runs) {
  int side = 1;
  while (side < ARCH_MAX_SIDE && side_after(side, runs, num_runs) == 0) side++;
  return side;
}

/* Adds a layer whose output is `out`. There is room: arch_build has counted. */
static vgg_status add(builder *b, vgg_layer layer, vgg_shape out) {
  vgg_arch *arch = b->arch;
  layer.in = b->shape;
  layer.out = b->shape = out;
  if (volume(out) > INT_MAX)
    return err_set(b->err, VGG_BAD_VALUE,
                   "%s: its output %dx%dx%d is over %d values an image: wanted a smaller input or "
                   "fewer channels",
                   layer.name, out.c, out.h, out.w, INT_MAX);
  arch->params += layer.params;
  arch->macs += layer.macs;
  arch->layers[arch->num_layers++] = layer;
  return VGG_OK;
}

/* "5_2" in blocks, "5" in flat nets. */
static void number(const builder *b, const char *kind, vgg_layer *layer) {
  if (b->flat)
    snprintf(layer->name, sizeof layer->name, "%s%d", kind, b->conv);
  else
    snprintf(layer->name, sizeof layer->name, "%s%d_%d", kind, b->block, b->conv_in_block);
}

static void name_feature(builder *b, vgg_layer *layer) {
  snprintf(layer->module, sizeof layer->module, "features.%d", b->feature++);
  layer->block = b->block;
}

static vgg_status add_conv_relu(builder *b, const arch_run *run) {
  const vgg_shape in = b->shape;
  const vgg_shape out = {run->channels, window_positions(in.h, run->kernel, run->stride, run->pad),
                         window_positions(in.w, run->kernel, run->stride, run->pad)};
  const uint64_t weights =
      (uint64_t)run->channels * (uint64_t)in.c * (uint64_t)(run->kernel * run->kernel);
  vgg_layer conv = {.type = VGG_LAYER_CONV,
                    .kernel = run->kernel,
                    .stride = run->stride,
                    .pad = run->pad,
                    .params = weights + (uint64_t)run->channels,
                    .macs = weights * (uint64_t)out.h * (uint64_t)out.w};
  vgg_layer relu = {.type = VGG_LAYER_RELU};
  b->conv++;
  b->conv_in_block++;
  number(b, "conv", &conv);
  number(b, "relu", &relu);
  name_feature(b, &conv);
  name_feature(b, &relu);
  const vgg_status status = add(b, conv, out);
  return status == VGG_OK ? add(b, relu, out) : status;
}

static vgg_status add_pool(builder *b, int kernel) {
  const vgg_shape out = {b->shape.c, window_positions(b->shape.h, kernel, 2, 0),
                         window_positions(b->shape.w, kernel, 2, 0)};
  vgg_layer pool = {.type = VGG_LAYER_MAXPOOL, .kernel = kernel, .stride = 2};
  snprintf(pool.name, sizeof pool.name, "pool%d", b->flat ? b->conv : b->block);
  name_feature(b, &pool);
  return add(b, pool, out);
}

static vgg_status add_features(builder *b, const arch_run *runs, int num_runs) {
  b->block = 1;
  for (int r = 0; r < num_runs; r++) {
    for (int i = 0; i < runs[r].num_convs; i++) {
      const vgg_status status = add_conv_relu(b, &runs[r]);
      if (status != VGG_OK) return status;
    }
    if (!runs[r].pool) continue;
    const vgg_status status = add_pool(b, runs[r].pool);
    if (status != VGG_OK) return status;
    b->block++;
    b->conv_in_block = 0;
  }
  return VGG_OK;
}

/* Layer i of the classifier, called kind + number of the linear layer it belongs to. */
static vgg_status add_head(builder *b, vgg_layer_type type, const char *kind, int fc, int i,
                           int units) {
  vgg_layer layer = {.type = type};
  const uint64_t in = (uint64_t)b->shape.c, out = (uint64_t)units;
  if (type == VGG_LAYER_LINEAR) {
    layer.params = in * out + out;
    layer.macs = in * out;
  }
  if (type == VGG_LAYER_DROPOUT) layer.dropout = b->arch->options.dropout;
  if (layer.dropout < 0) layer.dropout = 0;
  snprintf(layer.name, sizeof layer.name, "%s%d", kind, fc);
  snprintf(layer.module, sizeof layer.module, "classifier.%d", i);
  return add(b, layer, (vgg_shape){units, 1, 1});
}

static vgg_status add_classifier(builder *b) {
  const vgg_arch_options *o = &b->arch->options;
  int fc = b->flat ? b->conv + 1 : b->block;            /* the block that no longer came */
  const vgg_shape flat = {(int)volume(b->shape), 1, 1}; /* add() has judged the volume */
  vgg_status status = add(b, (vgg_layer){.type = VGG_LAYER_FLATTEN, .name = "flatten"}, flat);
  for (int i = 0; i < 6 && status == VGG_OK; i += 3, fc++) {
    status = add_head(b, VGG_LAYER_LINEAR, "fc", fc, i, o->hidden);
    if (status == VGG_OK) status = add_head(b, VGG_LAYER_RELU, "relu", fc, i + 1, o->hidden);
    if (status == VGG_OK) status = add_head(b, VGG_LAYER_DROPOUT, "drop", fc, i + 2, o->hidden);
  }
  if (status == VGG_OK) status = add_head(b, VGG_LAYER_LINEAR, "fc", fc, 6, o->classes);
  if (status == VGG_OK)
    status = add(b, (vgg_layer){.type = VGG_LAYER_SOFTMAX, .name = "softmax"}, b->shape);
  return status;
}

static const char *class_name(vgg_layer_type type) {
  switch (type) {
    case VGG_LAYER_CONV:
      return "Conv2d";
    case VGG_LAYER_RELU:
      return "ReLU";
    case VGG_LAYER_MAXPOOL:
      return "MaxPool2d";
    case VGG_LAYER_FLATTEN:
      return "Flatten";
    case VGG_LAYER_LINEAR:
      return "Linear";
    case VGG_LAYER_DROPOUT:
      return "Dropout";
    case VGG_LAYER_SOFTMAX:
      return "Softmax";
  }
  return NULL;
}

/* The tutorial's walk: one module a block, or one a layer in flat nets and in the head. The
 * softmax is no module there: the loss holds it. */
static void add_modules(vgg_arch *arch, bool flat) {
  for (int i = 0; i < arch->num_layers - 1;) {
    vgg_module m = {class_name(arch->layers[i].type), i, 1, 2, {1, 0, 0, 0}};
    if (!flat && arch->layers[i].block > 0) {
      m.class_name = "Sequential";
      while (arch->layers[i + m.num_layers].block == arch->layers[i].block) m.num_layers++;
    }
    i += m.num_layers;
    const vgg_layer *last = &arch->layers[i - 1];
    m.dims[1] = last->out.c;
    if (last->block > 0) {
      m.rank = 4;
      m.dims[2] = last->out.h;
      m.dims[3] = last->out.w;
    }
    arch->modules[arch->num_modules++] = m;
  }
}

static vgg_status check_room(const arch_run *runs, int num_runs, vgg_error *err) {
  enum { HEAD_LAYERS = 9 }; /* flatten, 3 linear, 2 ReLU, 2 dropout, softmax */
  long long convs = 0, pools = 0;
  for (int r = 0; r < num_runs; r++) {
    convs += runs[r].num_convs;
    pools += runs[r].pool != 0;
  }
  const long long most = (NET_MAX_LAYERS - HEAD_LAYERS - pools) / 2;
  if (convs <= most) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "conv_arch: %lld convolutions in all, wanted at most %lld",
                 convs, most);
}

vgg_status arch_build(vgg_arch *arch, const arch_run *runs, int num_runs, bool flat,
                      vgg_error *err) {
  vgg_status status = check_room(runs, num_runs, err);
  if (status != VGG_OK) return status;
  const vgg_shape in = arch->options.input;
  if (side_after(in.h, runs, num_runs) == 0 || side_after(in.w, runs, num_runs) == 0) {
    const int least = smallest_side(runs, num_runs);
    return err_set(err, VGG_BAD_VALUE,
                   "input %dx%dx%d: %s shrinks it to nothing, the smallest legal input is %dx%dx%d",
                   in.c, in.h, in.w, arch->title, in.c, least, least);
  }
  if (volume(in) > INT_MAX)
    return err_set(err, VGG_BAD_VALUE, "input %dx%dx%d: is over %d values, wanted a smaller one",
                   in.c, in.h, in.w, INT_MAX);
  builder b = {.arch = arch, .shape = in, .flat = flat, .err = err};
  status = add_features(&b, runs, num_runs);
  if (status == VGG_OK) status = add_classifier(&b);
  if (status == VGG_OK) add_modules(arch, flat);
  return status;
}
