/* SPDX-License-Identifier: Apache-2.0 */
#include "train/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "op/rule.h"

#define RECIPE(title, line, ...) {.name = title, .about = line, .settings = __VA_ARGS__},
static const recipe recipes[] = {
#include "train/recipes.def"
};
#undef RECIPE
enum { NUM_RECIPES = sizeof recipes / sizeof *recipes };

#define RECIPE(name, ...) " " name
static const char recipe_names[] =
#include "train/recipes.def"
    ;
#undef RECIPE

vgg_status recipe_find(const char *name, const recipe **out, vgg_error *err) {
  *out = NULL;
  for (size_t i = 0; i < NUM_RECIPES; i++) {
    if (strcmp(name, recipes[i].name) != 0) continue;
    *out = &recipes[i];
    return VGG_OK;
  }
  return err_set(err, VGG_BAD_VALUE, "recipe '%s': unknown, wanted one of:%s", name, recipe_names);
}

/* ---- of which net ---------------------------------------------------------------------------- */

static bool is_alexnet(const vgg_arch *arch) {
  return arch && strcmp(vgg_arch_title(arch), "alexnet") == 0;
}

/* At any width, and also where its conv_arch was written out: as the tutorial does. */
static bool is_vgg11(const vgg_arch *arch) {
  static const char *const features[] = {
      "conv1_1", "relu1_1", "pool1",   "conv2_1", "relu2_1", "pool2",   "conv3_1",
      "relu3_1", "conv3_2", "relu3_2", "pool3",   "conv4_1", "relu4_1", "conv4_2",
      "relu4_2", "pool4",   "conv5_1", "relu5_1", "conv5_2", "relu5_2", "pool5"};
  const int count = sizeof features / sizeof *features;
  for (int i = 0; i < count; i++) {
    const vgg_layer *layer = vgg_arch_layer(arch, i);
    if (!layer || strcmp(layer->name, features[i]) != 0) return false;
  }
  return vgg_arch_layer(arch, count)->block == 0;
}

/* Plain SGD from the tutorial's weights is for the tutorials' nets: it stalls on deeper ones. */
const char *vgg_recipe_default(const vgg_arch *arch, bool from) {
  if (from) return "finetune";
  return is_vgg11(arch) || is_alexnet(arch) ? "d2l" : "torchvision";
}

const char *vgg_recipe_net(const char *name, vgg_arch_options *options) {
  const recipe *r;
  if (recipe_find(name, &r, NULL) != VGG_OK || !r->net) return NULL;
  *options = r->net_options;
  return r->net;
}

/* ---- settings -------------------------------------------------------------------------------- */

/* Momentum .9 makes steps ten times as long; see op/rules.def. */
static void change_optimizer(settings *s, const char *optimizer) {
  const op_rule *old = op_rule_find(s->optimizer), *rule = op_rule_find(optimizer);
  if (!rule || rule == old) return;
  s->lr *= rule->lr / old->lr;
  s->head_lr *= rule->lr / old->lr;
  if (rule->states == 0)
    s->momentum = 0;
  else if (old->states == 0)
    s->momentum = 0.9;
}

vgg_status recipe_settings(const recipe *r, const vgg_arch *arch, const vgg_train_options *o,
                           settings *out, vgg_error *err) {
  *out = r->settings;
  if (r->lr_alexnet > 0 && is_alexnet(arch)) out->lr = r->lr_alexnet;
  if (r->lr_norms > 0 && arch && vgg_arch_get_options(arch)->batch_norm) out->lr = r->lr_norms;
  if (r->augment_grey && arch && vgg_arch_get_options(arch)->input.c == 1)
    snprintf(out->augment, sizeof out->augment, "%s", r->augment_grey);
  if (o && o->run.optimizer) change_optimizer(out, o->run.optimizer);
  if (o && o->lr > 0) out->head_lr *= o->lr / out->lr;
  out->lr = settings_round(out->lr);
  out->head_lr = settings_round(out->head_lr);
  vgg_status status = o ? settings_override(out, o, err) : VGG_OK;
  return status == VGG_OK ? settings_check(out, err) : status;
}

const char *vgg_recipe_at(size_t i, const char **about) {
  if (i >= NUM_RECIPES) return NULL;
  if (about) *about = recipes[i].about;
  return recipes[i].name;
}

vgg_status vgg_recipe_options(const char *name, const vgg_arch *arch, vgg_train_options *out,
                              vgg_error *err) {
  const recipe *r;
  settings s;
  vgg_status status = recipe_find(name, &r, err);
  if (status != VGG_OK) return status;
  status = recipe_settings(r, arch, NULL, &s, err);
  if (status != VGG_OK) return status;
  *out = (vgg_train_options){.recipe = r->name};
  settings_to_options(&r->settings, out); /* its words are static */
  out->lr = s.lr;
  if (strcmp(s.augment, r->settings.augment) != 0) out->augment = r->augment_grey;
  return VGG_OK;
}
