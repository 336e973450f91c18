/* SPDX-License-Identifier: Apache-2.0
 *
 * Models: an architecture with weights, class names and the rule that makes its input.
 *
 * A model file is one safetensors file: fp32 tensors under torchvision's names (features.N.weight,
 * classifier.N.bias), convolutions [K][C][R][S], linear [out][in] with the columns of the first
 * one in channel, row, column order; everything else in the metadata.
 */
#ifndef VGG_MODEL_H
#define VGG_MODEL_H

#include "vgg/arch.h"
#include "vgg/image.h"
#include "vgg/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vgg_model vgg_model;

/* A fresh model with the tutorial's initialisation: weights U(-a, a), a = sqrt(6 / (fan_in +
 * fan_out)) (Glorot & Bengio 2010, eq. 16), biases PyTorch's default U(-b, b), b =
 * 1 / sqrt(fan_in). The same seed gives the same weights on every machine.
 *   arch  borrowed; the model keeps a copy
 *   out   on success owns the model: close with vgg_model_close
 * Class names are "0", "1", ... until vgg_model_set_classes. Fails with VGG_NO_MEMORY. */
VGG_API vgg_status vgg_model_create(const vgg_arch *arch, uint64_t seed, vgg_model **out,
                                    vgg_error *err);

/* Loads a model file, the best.safetensors of a run directory, or weights from elsewhere: a
 * safetensors file or a PyTorch .pth, zip or legacy, found by content, that holds the tensors of a
 * net of vgg_arch_name_at under torchvision's, timm's or the tutorial's names. Nothing in a .pth is
 * executed. Of weights from elsewhere
 *   - the names say which net, the shapes say channels, ratio, hidden units, classes and input:
 *     224x224 where that fits, else the smallest square;
 *   - the prefixes "module.", "_orig_mod.", "model." and "net." before all names are left out, a
 *     state dictionary may lie under "state_dict", "model_state_dict" or "model", and batch norm's
 *     num_batches_tracked are not needed;
 *   - F16, BF16 and F64 become F32;
 *   - 3-channel nets under torchvision's or timm's names see pictures as torchvision prepares them
 *     for ImageNet (see vgg_preprocess and docs/weights.md), others see x / 255;
 *   - classes are called "0", "1", ..., and the recipe says where they are from.
 * Fails with VGG_NO_INPUT (missing, unreadable), VGG_BAD_CONTENT (another format, no net we know, a
 * tensor missing, extra or of another shape: the message names it). */
VGG_API vgg_status vgg_model_load(const char *path, vgg_model **out, vgg_error *err);

/* Puts a new last linear layer for `classes` classes, initialised as by vgg_model_create, in the
 * place of the old one; all other weights stay, classes are called "0", "1", ... again. On failure
 * the model stays as it was.
 * Fails with VGG_BAD_VALUE (classes not in 1 .. 65536), VGG_NO_MEMORY. */
VGG_API vgg_status vgg_model_new_head(vgg_model *model, int classes, uint64_t seed, vgg_error *err);

/* Saves a model file atomically: a viewer sees the old file or the whole new one.
 * Fails with VGG_NO_OUTPUT or VGG_IO; the old file then stays as it was. */
VGG_API vgg_status vgg_model_save(const vgg_model *model, const char *path, vgg_error *err);
VGG_API void vgg_model_close(vgg_model *model);

/* The same weights for pictures of another size, by this head: the paper's evaluation is DENSE,
 * whose window is what the first linear layer has seen so far.
 *   head   VGG_HEAD_DEFAULT keeps the model's
 *   input  its channels must be the model's; all 0 keeps it. The rule for pictures scales with it.
 * Fails with VGG_BAD_VALUE when that net would have other parameters, as a flatten head on another
 * size; the model is then as it was. */
VGG_API vgg_status vgg_model_reshape(vgg_model *model, vgg_head head, vgg_shape input,
                                     vgg_error *err);

VGG_API const vgg_arch *vgg_model_arch(const vgg_model *model);              /* lent */
VGG_API const char *vgg_model_class_name(const vgg_model *model, int label); /* lent */
VGG_API const vgg_preprocess *vgg_model_preprocess(const vgg_model *model);  /* lent */
/* How pictures of other channels than the net's become its input, from now on. */
VGG_API void vgg_model_set_channels(vgg_model *model, vgg_channels channels);
/* Makes a colour net a grey one: the first layer's filters become the sums over their channels, so
 * that grey pictures give what they gave as three equal channels (where the channels' means and
 * deviations differ, but for the picture's rim, which is padded with other zeros). On failure the
 * model stays as it was. Fails with VGG_BAD_VALUE (not 3 channels), VGG_NO_MEMORY. */
VGG_API vgg_status vgg_model_sum_filters(vgg_model *model, vgg_error *err);
/* The recipe that trained it as one line of JSON, "{}" when none did; lent. */
VGG_API const char *vgg_model_recipe(const vgg_model *model);
/* names  [classes], UTF-8, copied. Fails with VGG_BAD_VALUE (not UTF-8), VGG_NO_MEMORY. */
VGG_API vgg_status vgg_model_set_classes(vgg_model *model, const char *const *names,
                                         vgg_error *err);

#ifdef __cplusplus
}
#endif
#endif
