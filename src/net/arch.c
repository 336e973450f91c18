/* SPDX-License-Identifier: Apache-2.0
 *
 * Architectures: what is asked for, judged; then built and lent.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/arch_build.h"

/* A row of archs.def; the runs end where num_convs is 0. */
typedef struct named_arch {
  const char *name, *letter, *about;
  arch_kind kind;
  arch_run runs[ARCH_MAX_BLOCKS + 1];
} named_arch;

static const named_arch named_archs[] = {
#define ARCH(name, letter, about, kind, ...) {#name, letter, about, kind, {__VA_ARGS__}},
#include "net/archs.def"
#undef ARCH
};

enum { NUM_NAMED = sizeof named_archs / sizeof named_archs[0] };

static vgg_status check_count(const char *what, int value, vgg_error *err) {
  if (value >= 1 && value <= ARCH_MAX_SIDE) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "%s %d: wanted 1 to %d", what, value, ARCH_MAX_SIDE);
}

static vgg_status fill_norms_and_head(arch_kind kind, vgg_arch_options *o, vgg_error *err) {
  if (kind == ARCH_BN) o->batch_norm = true;
  if (kind == ARCH_LRN && o->lrn == VGG_LRN_NONE) o->lrn = VGG_LRN_SUM;
  if (o->head == VGG_HEAD_DEFAULT) o->head = kind == ARCH_BN ? VGG_HEAD_ADAPTIVE : VGG_HEAD_FLATTEN;
  if (!vgg_lrn_name(o->lrn) || !vgg_head_name(o->head))
    return err_set(err, VGG_BAD_VALUE, "lrn %d, head %d: wanted values of vgg_lrn and vgg_head",
                   (int)o->lrn, (int)o->head);
  if (o->window == 0) return VGG_OK; /* arch_build knows */
  if (o->head == VGG_HEAD_FLATTEN)
    return err_set(err, VGG_BAD_VALUE, "window %d: the flatten head has none", o->window);
  return check_count("window", o->window, err);
}

/* Fills in the tutorial's values and judges the rest. */
static vgg_status fill_options(const vgg_arch_options *options, arch_kind kind,
                               vgg_arch_options *out, vgg_error *err) {
  vgg_arch_options o = options ? *options : (vgg_arch_options){0};
  if (o.ratio == 0) o.ratio = 1;
  if (o.input.c == 0 && o.input.h == 0 && o.input.w == 0) o.input = (vgg_shape){1, 224, 224};
  if (o.classes == 0) o.classes = 10;
  if (o.hidden == 0) o.hidden = 4096;
  if (o.dropout == 0) o.dropout = 0.5;
  vgg_status status = check_count("ratio", o.ratio, err);
  if (status == VGG_OK) status = check_count("input channels", o.input.c, err);
  if (status == VGG_OK) status = check_count("input height", o.input.h, err);
  if (status == VGG_OK) status = check_count("input width", o.input.w, err);
  if (status == VGG_OK) status = check_count("classes", o.classes, err);
  if (status == VGG_OK) status = check_count("hidden", o.hidden, err);
  if (status != VGG_OK) return status;
  if (!(o.dropout < 1)) /* so written that NaN is refused */
    return err_set(err, VGG_BAD_VALUE, "dropout %g: wanted a probability below 1", o.dropout);
  if (o.dropout < 0) o.dropout = -1;
  status = fill_norms_and_head(kind, &o, err);
  if (status == VGG_OK) *out = o;
  return status;
}

/* Allocates, divides the channels by the ratio, builds. */
static vgg_status create(const char *title, const arch_run *runs, int num_runs, arch_kind kind,
                         const vgg_arch_options *options, vgg_arch **out, vgg_error *err) {
  vgg_arch *arch = calloc(1, sizeof *arch);
  if (!arch) return err_no_memory(err, "architecture", sizeof *arch);
  snprintf(arch->title, sizeof arch->title, "%s", title);
  arch->options = *options;
  arch_run divided[ARCH_MAX_BLOCKS];
  vgg_status status = VGG_OK;
  for (int r = 0; r < num_runs && status == VGG_OK; r++) {
    divided[r] = runs[r];
    divided[r].channels = runs[r].channels / options->ratio;
    if (divided[r].channels == 0)
      status = err_set(err, VGG_BAD_VALUE,
                       "block %d: %d channels // ratio %d leaves 0, wanted a ratio of at most %d",
                       r + 1, runs[r].channels, options->ratio, runs[r].channels);
  }
  if (status == VGG_OK) status = arch_build(arch, divided, num_runs, kind == ARCH_FLAT, err);
  if (status != VGG_OK) {
    vgg_arch_close(arch);
    return status;
  }
  *out = arch;
  return VGG_OK;
}

vgg_block_spec vgg_block(int num_convs, int in_channels, int out_channels) {
  return (vgg_block_spec){num_convs, in_channels, out_channels};
}

/* Block i by itself and after the one before; `in` is the channels that it is given. */
static vgg_status check_block(const vgg_block_spec *block, int i, int in, vgg_error *err) {
  if (block->num_convs < 1 || block->num_convs > NET_MAX_LAYERS)
    return err_set(err, VGG_BAD_VALUE, "block %d: %d convolutions, wanted 1 to %d", i + 1,
                   block->num_convs, NET_MAX_LAYERS);
  if (block->out_channels < 1 || block->out_channels > ARCH_MAX_SIDE)
    return err_set(err, VGG_BAD_VALUE, "block %d: %d output channels, wanted 1 to %d", i + 1,
                   block->out_channels, ARCH_MAX_SIDE);
  if (block->in_channels == 0 || block->in_channels == in) return VGG_OK;
  if (i == 0)
    return err_set(err, VGG_BAD_VALUE, "block 1: takes %d channels, but the picture has %d",
                   block->in_channels, in);
  return err_set(err, VGG_BAD_VALUE, "block %d: takes %d channels, but block %d gives %d", i + 1,
                 block->in_channels, i, in);
}

vgg_status vgg_arch_from_blocks(const vgg_block_spec *conv_arch, int num_blocks,
                                const vgg_arch_options *options, vgg_arch **out, vgg_error *err) {
  vgg_arch_options filled;
  vgg_status status = fill_options(options, ARCH_BLOCKS, &filled, err);
  if (status != VGG_OK) return status;
  if (num_blocks < 1 || num_blocks > ARCH_MAX_BLOCKS)
    return err_set(err, VGG_BAD_VALUE, "conv_arch: %d blocks, wanted 1 to %d", num_blocks,
                   ARCH_MAX_BLOCKS);
  arch_run runs[ARCH_MAX_BLOCKS];
  char title[sizeof((vgg_arch *)0)->title];
  size_t length = 0;
  for (int i = 0; i < num_blocks; i++) {
    const vgg_block_spec *block = &conv_arch[i];
    status = check_block(block, i, i ? conv_arch[i - 1].out_channels : filled.input.c, err);
    if (status != VGG_OK) return status;
    runs[i] = (arch_run){block->num_convs, block->out_channels, 3, 1, 1, 2};
    length += (size_t)snprintf(title + length, sizeof title - length, "%s%dx%d", i ? "," : "",
                               block->num_convs, block->out_channels);
  }
  return create(title, runs, num_blocks, ARCH_BLOCKS, &filled, out, err);
}

static vgg_status unknown_name(const char *text, vgg_error *err) {
  char names[320] = "";
  for (size_t i = 0, length = 0; i < NUM_NAMED && length < sizeof names; i++)
    length += (size_t)snprintf(names + length, sizeof names - length, "%s, ", named_archs[i].name);
  return err_set(err, VGG_BAD_VALUE,
                 "architecture \"%.60s\" is not known: wanted %sa letter of the paper (A, A-LRN, B "
                 "to E) or a conv_arch such as 1x64,1x128,2x256",
                 text, names);
}

vgg_status vgg_arch_from_text(const char *text, const vgg_arch_options *options, vgg_arch **out,
                              vgg_error *err) {
  while (isspace((unsigned char)*text)) text++;
  if (*text == 0 || isalpha((unsigned char)*text)) {
    for (const named_arch *row = named_archs; row < named_archs + NUM_NAMED; row++) {
      if (strcmp(text, row->name) != 0 && (!*text || strcmp(text, row->letter) != 0)) continue;
      vgg_arch_options filled;
      const vgg_status status = fill_options(options, row->kind, &filled, err);
      if (status != VGG_OK) return status;
      int num_runs = 0;
      while (row->runs[num_runs].num_convs > 0) num_runs++;
      return create(row->name, row->runs, num_runs, row->kind, &filled, out, err);
    }
    return unknown_name(text, err);
  }
  vgg_block_spec blocks[ARCH_MAX_BLOCKS];
  int num_blocks = 0;
  const vgg_status status = arch_parse(text, blocks, &num_blocks, err);
  return status == VGG_OK ? vgg_arch_from_blocks(blocks, num_blocks, options, out, err) : status;
}

const char *vgg_arch_name_at(size_t i, const char **about) {
  if (i >= NUM_NAMED) return NULL;
  if (about) *about = named_archs[i].about;
  return named_archs[i].name;
}

vgg_arch *arch_copy(const vgg_arch *arch) {
  vgg_arch *copy = malloc(sizeof *copy);
  if (copy) *copy = *arch;
  return copy;
}

void vgg_arch_close(vgg_arch *arch) { free(arch); }

static const char *name_at(const char *const *names, size_t count, int i) {
  return i >= 0 && (size_t)i < count ? names[i] : NULL;
}

const char *vgg_head_name(vgg_head head) {
  static const char *const names[] = {"default", "flatten", "adaptive", "dense"};
  return name_at(names, sizeof names / sizeof *names, (int)head);
}

const char *vgg_lrn_name(vgg_lrn lrn) {
  static const char *const names[] = {"none", "sum", "mean"};
  return name_at(names, sizeof names / sizeof *names, (int)lrn);
}

const char *vgg_layer_type_name(vgg_layer_type type) {
  static const char *const names[] = {"conv",    "relu",    "maxpool",   "flatten", "linear",
                                      "dropout", "softmax", "batchnorm", "lrn",     "avgpool"};
  return name_at(names, sizeof names / sizeof *names, (int)type);
}

int vgg_arch_find(const vgg_arch *arch, const char *name) {
  for (int i = 0; i < arch->num_layers && *name; i++)
    if (strcmp(arch->layers[i].name, name) == 0 || strcmp(arch->layers[i].module, name) == 0)
      return i;
  return -1;
}

const char *vgg_arch_title(const vgg_arch *arch) { return arch->title; }
const vgg_arch_options *vgg_arch_get_options(const vgg_arch *arch) { return &arch->options; }
uint64_t vgg_arch_params(const vgg_arch *arch) { return arch->params; }
uint64_t vgg_arch_macs(const vgg_arch *arch) { return arch->macs; }
int vgg_arch_num_layers(const vgg_arch *arch) { return arch->num_layers; }
int vgg_arch_num_modules(const vgg_arch *arch) { return arch->num_modules; }

const vgg_layer *vgg_arch_layer(const vgg_arch *arch, int i) {
  return i >= 0 && i < arch->num_layers ? &arch->layers[i] : NULL;
}

vgg_module vgg_arch_module(const vgg_arch *arch, int i) {
  return i >= 0 && i < arch->num_modules ? arch->modules[i] : (vgg_module){0};
}
