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

/* The first two convolutions of Krizhevsky's AlexNet are normalised. */
enum { FLAT_LRNS = 2, FULL_WINDOW = 7, FLAT_WINDOW = 5 };

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

/* The smallest picture that leaves features of `wanted` rows. */
static int smallest_side(int wanted, const arch_run *runs, int num_runs) {
  int side = 1;
  while (side < ARCH_MAX_SIDE && side_after(side, runs, num_runs) < wanted) side++;
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

static vgg_shape conv_out(const builder *b, int channels, int kernel, int stride, int pad) {
  return (vgg_shape){channels, window_positions(b->shape.h, kernel, stride, pad),
                     window_positions(b->shape.w, kernel, stride, pad)};
}

/* A convolution of the newest output, without a name. */
static vgg_layer conv_layer(const builder *b, vgg_shape out, int kernel, int stride, int pad) {
  const uint64_t weights =
      (uint64_t)out.c * (uint64_t)b->shape.c * (uint64_t)kernel * (uint64_t)kernel;
  return (vgg_layer){.type = VGG_LAYER_CONV,
                     .kernel = kernel,
                     .stride = stride,
                     .pad = pad,
                     .params = weights + (uint64_t)out.c,
                     .macs = weights * (uint64_t)out.h * (uint64_t)out.w};
}

/* A layer of the features that is numbered with the newest convolution. */
static vgg_status add_feature(builder *b, vgg_layer layer, const char *kind, vgg_shape out) {
  number(b, kind, &layer);
  name_feature(b, &layer);
  return add(b, layer, out);
}

/* conv [bn] relu [lrn] */
static vgg_status add_conv_relu(builder *b, const arch_run *run) {
  const vgg_arch_options *o = &b->arch->options;
  const vgg_shape out = conv_out(b, run->channels, run->kernel, run->stride, run->pad);
  const vgg_layer conv = conv_layer(b, out, run->kernel, run->stride, run->pad);
  const vgg_layer bn = {.type = VGG_LAYER_BATCHNORM, .params = 2 * (uint64_t)out.c};
  b->conv++;
  b->conv_in_block++;
  vgg_status status = add_feature(b, conv, "conv", out);
  if (status == VGG_OK && o->batch_norm) status = add_feature(b, bn, "bn", out);
  if (status == VGG_OK) status = add_feature(b, (vgg_layer){.type = VGG_LAYER_RELU}, "relu", out);
  if (status == VGG_OK && o->lrn && b->conv <= (b->flat ? FLAT_LRNS : 1))
    status = add_feature(b, (vgg_layer){.type = VGG_LAYER_LRN}, "lrn", out);
  return status;
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
static vgg_status add_head(builder *b, vgg_layer layer, const char *kind, int fc, int i,
                           vgg_shape out) {
  snprintf(layer.name, sizeof layer.name, "%s%d", kind, fc);
  snprintf(layer.module, sizeof layer.module, "classifier.%d", i);
  return add(b, layer, out);
}

/* A linear layer, or what it is in a dense head: a convolution whose filter is the window at first,
 * then a single pixel. */
static vgg_status add_fc(builder *b, int fc, int i, int units) {
  const vgg_arch_options *o = &b->arch->options;
  if (o->head == VGG_HEAD_DENSE) {
    const int kernel = i == 0 ? o->window : 1;
    const vgg_shape out = conv_out(b, units, kernel, 1, 0);
    return add_head(b, conv_layer(b, out, kernel, 1, 0), "fc", fc, i, out);
  }
  const uint64_t weights = (uint64_t)b->shape.c * (uint64_t)units;
  const vgg_layer linear = {
      .type = VGG_LAYER_LINEAR, .params = weights + (uint64_t)units, .macs = weights};
  return add_head(b, linear, "fc", fc, i, (vgg_shape){units, 1, 1});
}

static vgg_status add_average(builder *b, const char *name, const char *module, int side) {
  vgg_layer layer = {.type = VGG_LAYER_AVGPOOL};
  snprintf(layer.name, sizeof layer.name, "%s", name);
  snprintf(layer.module, sizeof layer.module, "%s", module);
  return add(b, layer, (vgg_shape){b->shape.c, side, side});
}

static vgg_status add_flatten(builder *b) {
  const vgg_shape flat = {(int)volume(b->shape), 1, 1}; /* add() has judged the volume */
  return add(b, (vgg_layer){.type = VGG_LAYER_FLATTEN, .name = "flatten"}, flat);
}

static vgg_status add_classifier(builder *b) {
  const vgg_arch_options *o = &b->arch->options;
  const bool dense = o->head == VGG_HEAD_DENSE;
  const vgg_layer drop = {.type = VGG_LAYER_DROPOUT, .dropout = o->dropout < 0 ? 0 : o->dropout};
  int fc = b->flat ? b->conv + 1 : b->block; /* the block that no longer came */
  vgg_status status = VGG_OK;
  if (o->head == VGG_HEAD_ADAPTIVE) status = add_average(b, "avgpool", "avgpool", o->window);
  if (status == VGG_OK && !dense) status = add_flatten(b);
  for (int i = 0; i < 6 && status == VGG_OK; i += 3, fc++) {
    status = add_fc(b, fc, i, o->hidden);
    if (status == VGG_OK)
      status = add_head(b, (vgg_layer){.type = VGG_LAYER_RELU}, "relu", fc, i + 1, b->shape);
    if (status == VGG_OK) status = add_head(b, drop, "drop", fc, i + 2, b->shape);
  }
  if (status == VGG_OK) status = add_fc(b, fc, 6, o->classes);
  if (status == VGG_OK && dense) status = add_average(b, "mean", "", 1);
  if (status == VGG_OK && dense) status = add_flatten(b);
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
    case VGG_LAYER_BATCHNORM:
      return "BatchNorm2d";
    case VGG_LAYER_LRN:
      return "LocalResponseNorm";
    case VGG_LAYER_AVGPOOL:
      return "AdaptiveAvgPool2d";
  }
  return NULL;
}

/* The tutorial's walk: one module a block, or one a layer in flat nets and in the head. The
 * softmax is no module there: the loss holds it. */
static void add_modules(vgg_arch *arch, bool flat) {
  bool maps = true; /* until they are flattened */
  for (int i = 0; i < arch->num_layers - 1;) {
    vgg_module m = {class_name(arch->layers[i].type), i, 1, 2, {1, 0, 0, 0}};
    if (!flat && arch->layers[i].block > 0) {
      m.class_name = "Sequential";
      while (arch->layers[i + m.num_layers].block == arch->layers[i].block) m.num_layers++;
    }
    i += m.num_layers;
    const vgg_layer *last = &arch->layers[i - 1];
    m.dims[1] = last->out.c;
    maps = maps && last->type != VGG_LAYER_FLATTEN;
    if (maps) {
      m.rank = 4;
      m.dims[2] = last->out.h;
      m.dims[3] = last->out.w;
    }
    arch->modules[arch->num_modules++] = m;
  }
}

static vgg_status check_room(const vgg_arch_options *o, const arch_run *runs, int num_runs,
                             vgg_error *err) {
  enum { HEAD_LAYERS = 9 }; /* flatten, 3 linear, 2 ReLU, 2 dropout, softmax */
  const int others = HEAD_LAYERS + (o->head != VGG_HEAD_FLATTEN) + (o->lrn ? (int)FLAT_LRNS : 0);
  long long convs = 0, pools = 0;
  for (int r = 0; r < num_runs; r++) {
    convs += runs[r].num_convs;
    pools += runs[r].pool != 0;
  }
  const long long most = (NET_MAX_LAYERS - others - pools) / (2 + o->batch_norm);
  if (convs <= most) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "conv_arch: %lld convolutions in all, wanted at most %lld",
                 convs, most);
}

/* The window where nobody has named it, and whether the picture is large enough for a dense one. */
static vgg_status fit_window(vgg_arch *arch, const arch_run *runs, int num_runs, bool flat,
                             vgg_error *err) {
  vgg_arch_options *o = &arch->options;
  const int h = side_after(o->input.h, runs, num_runs), w = side_after(o->input.w, runs, num_runs);
  const int full = flat ? FLAT_WINDOW : FULL_WINDOW, least = h < w ? h : w;
  if (o->head == VGG_HEAD_FLATTEN) return VGG_OK;
  const bool dense = o->head == VGG_HEAD_DENSE;
  if (o->window == 0) o->window = dense && least < full ? least : full;
  if (!dense || least >= o->window) return VGG_OK;
  const int side = smallest_side(o->window, runs, num_runs);
  return err_set(err, VGG_BAD_VALUE,
                 "input %dx%dx%d: leaves features of %dx%d, the dense head's window is %dx%d: the "
                 "smallest legal input is %dx%dx%d",
                 o->input.c, o->input.h, o->input.w, h, w, o->window, o->window, o->input.c, side,
                 side);
}

vgg_status arch_build(vgg_arch *arch, const arch_run *runs, int num_runs, bool flat,
                      vgg_error *err) {
  vgg_status status = check_room(&arch->options, runs, num_runs, err);
  if (status != VGG_OK) return status;
  const vgg_shape in = arch->options.input;
  if (side_after(in.h, runs, num_runs) == 0 || side_after(in.w, runs, num_runs) == 0) {
    const int least = smallest_side(1, runs, num_runs);
    return err_set(err, VGG_BAD_VALUE,
                   "input %dx%dx%d: %s shrinks it to nothing, the smallest legal input is %dx%dx%d",
                   in.c, in.h, in.w, arch->title, in.c, least, least);
  }
  if (volume(in) > INT_MAX)
    return err_set(err, VGG_BAD_VALUE, "input %dx%dx%d: is over %d values, wanted a smaller one",
                   in.c, in.h, in.w, INT_MAX);
  status = fit_window(arch, runs, num_runs, flat, err);
  builder b = {.arch = arch, .shape = in, .flat = flat, .err = err};
  if (status == VGG_OK) status = add_features(&b, runs, num_runs);
  if (status == VGG_OK) status = add_classifier(&b);
  if (status == VGG_OK) add_modules(arch, flat);
  return status;
}
