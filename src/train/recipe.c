/* SPDX-License-Identifier: Apache-2.0 */
#include "train/recipe.h"

#include <string.h>

#include "base/error.h"

static const recipe recipes[] = {
#define RECIPE(name, rule, lr, lr_alexnet, epochs, batch, test_chooses) \
  {#name, #rule, lr, lr_alexnet, epochs, batch, test_chooses},
#include "train/recipes.def"
#undef RECIPE
};

#define RECIPE(name, rule, lr, lr_alexnet, epochs, batch, test_chooses) " " #name
static const char recipe_names[] =
#include "train/recipes.def"
    ;
#undef RECIPE

vgg_status recipe_find(const char *name, const recipe **out, vgg_error *err) {
  for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
    if (name && strcmp(name, recipes[i].name) != 0) continue;
    *out = &recipes[i];
    return VGG_OK;
  }
  return err_set(err, VGG_BAD_VALUE, "recipe '%s': unknown, wanted one of:%s", name, recipe_names);
}

double recipe_lr(const recipe *r, const vgg_arch *arch) {
  return strcmp(vgg_arch_title(arch), "alexnet") == 0 ? r->lr_alexnet : r->lr;
}
