/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "vgg convert: published weights into a model file\n"
    "\n"
    "  vgg convert vgg16-397923af.pth vgg16.safetensors\n"
    "  vgg convert vgg16-397923af.pth start.safetensors --classes 5\n"
    "  vgg convert runs/vgg11-1 vgg11.safetensors\n"
    "\n"
    "  IN            a .pth (zip or legacy, never executed) or safetensors file with\n"
    "                a net's tensors under torchvision's, timm's or the tutorial's\n"
    "                names; a model file; a run directory: its best.safetensors\n"
    "  OUT           a model file: safetensors with torchvision's names, which\n"
    "                PyTorch reads too; replaced if it is there\n"
    "  --channels X  for grey pictures: replicate, they become three equal channels;\n"
    "                sum-filters, the net becomes a grey one; luma [IN's]\n"
    "  --classes N   a new last layer for so many classes [the one in IN]\n"
    "  --seed N      of its weights [0]\n"
    "Net, width, classes and input are read from names and shapes; a tensor that is\n"
    "missing, extra or of another shape is an error. docs/weights.md says where to\n"
    "find public files.\n";

typedef struct convert_args {
  const char *channels;
  uint64_t classes, seed;
} convert_args;

static void print_model(const vgg_model *model, const char *path) {
  const vgg_arch *arch = vgg_model_arch(model);
  const vgg_arch_options *o = vgg_arch_get_options(arch);
  const vgg_preprocess *rule = vgg_model_preprocess(model);
  printf("%s: %s, ratio %d, input %dx%dx%d, %d classes, %s parameters\n", path,
         vgg_arch_title(arch), o->ratio, o->input.c, o->input.h, o->input.w, o->classes,
         cli_grouped(vgg_arch_params(arch)));
  if (rule->std[0] > 0)
    printf("pictures: shorter side to %d, the middle %dx%d, (x / 255 - mean) / std of ImageNet\n",
           rule->shorter_side, o->input.h, o->input.w);
  else
    printf("pictures: x / 255\n");
}

static vgg_status convert(const convert_args *a, char **paths, vgg_model **model, vgg_error *err) {
  vgg_status status = vgg_model_load(paths[0], model, err);
  if (status == VGG_OK && a->classes > 0)
    status = vgg_model_new_head(*model, (int)a->classes, a->seed, err);
  const bool sum = a->channels != NULL && strcmp(a->channels, "sum-filters") == 0;
  if (status == VGG_OK && sum) status = vgg_model_sum_filters(*model, err);
  if (status == VGG_OK && !sum) cli_set_channels(*model, a->channels);
  if (status == VGG_OK) status = vgg_model_save(*model, paths[1], err);
  return status;
}

int cmd_convert(int argc, char **argv) {
  convert_args a = {0};
  opt_list list = {.help = help, .operand = "IN OUT", .min_operands = 2, .max_operands = 2};
  opt_choice(&list, "channels", "luma|replicate|sum-filters", &a.channels);
  opt_whole(&list, "classes", 1, 65536, &a.classes);
  opt_whole(&list, "seed", 0, UINT64_MAX, &a.seed);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  vgg_model *model = NULL;
  vgg_error err;
  code = 0;
  if (convert(&a, list.operands, &model, &err) == VGG_OK)
    print_model(model, list.operands[1]);
  else
    code = cli_error(&err);
  vgg_model_close(model);
  return code;
}
