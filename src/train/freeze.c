/* SPDX-License-Identifier: Apache-2.0 */
#include "train/freeze.h"

#include <string.h>

#include "base/error.h"
#include "net/net.h"

static bool has_weights(const vgg_layer *layer) {
  return layer->type == VGG_LAYER_CONV || layer->type == VGG_LAYER_LINEAR;
}

static int last_convolution(const vgg_arch *arch) {
  int last = -1;
  for (int i = 0; i < arch->num_layers; i++)
    if (arch->layers[i].type == VGG_LAYER_CONV && arch->layers[i].block > 0) last = i;
  return last;
}

/* The dropout behind a linear layer is part of its stage: that stage runs in every step. */
static int cut_before_dropout(const vgg_arch *arch, int trained) {
  int cut = 0;
  for (int i = 0; i < trained; i++) {
    if (has_weights(&arch->layers[i])) cut = i;
    if (arch->layers[i].type == VGG_LAYER_DROPOUT && arch->layers[i].dropout > 0) return cut;
  }
  return trained;
}

vgg_status freeze_find(const vgg_arch *arch, const char *word, frozen *out, vgg_error *err) {
  *out = (frozen){0, 0};
  if (strcmp(word, "none") == 0) return VGG_OK;
  const int last =
      strcmp(word, "features") == 0 ? last_convolution(arch) : vgg_arch_find(arch, word);
  if (last < 0)
    return err_set(
        err, VGG_BAD_VALUE,
        "freeze '%s': no such layer, wanted none, features or a name from `vgg describe`", word);
  int trained = last + 1;
  while (trained < arch->num_layers && !has_weights(&arch->layers[trained])) trained++;
  if (trained == arch->num_layers)
    return err_set(err, VGG_BAD_VALUE, "freeze '%s': would leave nothing to train", word);
  out->trained = trained;
  out->cut = cut_before_dropout(arch, trained);
  return VGG_OK;
}
