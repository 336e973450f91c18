/* SPDX-License-Identifier: Apache-2.0 */
#include "train/recipe.h"

#include <string.h>

#include "base/error.h"
#include "op/rule.h"

#define RECIPE(title, line, ...) {.name = #title, .about = line, .settings = __VA_ARGS__},
static const recipe recipes[] = {
#include "train/recipes.def"
};
#undef RECIPE
enum { NUM_RECIPES = sizeof recipes / sizeof *recipes };

#define RECIPE(name, ...) " " #name
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

static bool is_alexnet(const vgg_arch *arch) {
  return arch && strcmp(vgg_arch_title(arch), "alexnet") == 0;
}

/* Plain SGD from the tutorial's weights trains nets as deep as its own, and stalls on deeper ones.
 */
const char *vgg_recipe_default(const vgg_arch *arch, bool from) {
  enum { VGG11_CONVOLUTIONS = 8 };
  int convolutions = 0;
  if (from) return "finetune";
  for (int i = 0; i < vgg_arch_num_layers(arch); i++)
    convolutions += vgg_arch_layer(arch, i)->type == VGG_LAYER_CONV;
  return convolutions <= VGG11_CONVOLUTIONS ? "d2l" : "torchvision";
}

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
  return VGG_OK;
}
