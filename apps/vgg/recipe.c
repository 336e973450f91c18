/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "vgg recipe: what a recipe is made of; options of vgg train that change it\n"
    "\n"
    "  vgg recipe                   their names\n"
    "  vgg recipe finetune          as options; --arch NET for that net, --json\n"
    "\n"
    "  --optimizer sgd|momentum|nesterov|caffe|adamw  --momentum X  --weight-decay X\n"
    "  --lr X            learning rate;  --head-lr X  that of the last layer alone\n"
    "  --schedule constant|step|cosine|plateau        how the rates change; cosine\n"
    "                    falls to 0, the two others are multiplied by --lr-gamma X:\n"
    "    --lr-step N       step, every N epochs\n"
    "    --patience N      plateau, after N epochs without a better accuracy\n"
    "  --warmup X        the rates rise for X epochs;  --epochs N  --batch N\n"
    "  --micro-batch N   take N pictures of a batch at a time, for less memory\n"
    "  --clip-norm X     cut the norm of all gradients together to X\n"
    "  --augment LIST    random changes of training pictures, see vgg data; none\n"
    "  --views LIST      how the model is evaluated in the end, see vgg eval; none\n"
    "  --label-smoothing X   this share of each target goes to all classes\n"
    "  --init xavier|he|torchvision|gauss             how weights are drawn\n"
    "  --freeze none|features|LAYER   layers up to this one keep their weights\n"
    "  --ema X           evaluate and keep a moving average of the weights\n"
    "  --early-stop N    end after N epochs without a better accuracy\n"
    "  --class-weights none|balanced|1,2,0.5          of pictures in the loss\n"
    "0 is none. Numbers that are not given are those of the recipe.\n";

static int list_recipes(void) {
  const char *name, *about;
  for (size_t i = 0; (name = vgg_recipe_at(i, &about)) != NULL; i++)
    printf("%-12s  %s\n", name, about);
  return 0;
}

/* One option of `vgg train` a line, as it would be written there. */
typedef struct printer {
  json_t *object; /* NULL: print lines */
} printer;

static void put_word(printer *p, const char *name, const char *value) {
  if (p->object != NULL)
    json_object_set_new(p->object, name, json_string(value));
  else
    printf("--%s %s\n", name, value);
}

static void put_number(printer *p, const char *name, double value) {
  if (p->object != NULL)
    json_object_set_new(p->object, name, json_real(value));
  else
    printf("--%s %.9g\n", name, value);
}

static void put_count(printer *p, const char *name, int value) {
  if (p->object != NULL)
    json_object_set_new(p->object, name, json_integer(value));
  else
    printf("--%s %d\n", name, value);
}

static void put_flag(printer *p, const char *name) {
  if (p->object != NULL)
    json_object_set_new(p->object, name, json_true());
  else
    printf("--%s\n", name);
}

/* The net of a recipe that has one. */
static void print_net(printer *p, const char *recipe) {
  vgg_arch_options own;
  char input[48];
  const char *net = vgg_recipe_net(recipe, &own);
  if (net == NULL) return;
  put_word(p, "arch", net);
  if (own.batch_norm) put_flag(p, "bn");
  snprintf(input, sizeof input, "%dx%dx%d", own.input.c, own.input.h, own.input.w);
  if (own.input.c > 0) put_word(p, "input", input);
  if (own.head != VGG_HEAD_DEFAULT) put_word(p, "head", vgg_head_name(own.head));
  if (own.hidden > 0) put_count(p, "hidden", own.hidden);
  if (own.dropout != 0) put_number(p, "dropout", own.dropout > 0 ? own.dropout : 0);
}

static void print_recipe(printer *p, const vgg_train_options *o) {
  const bool step = strcmp(o->schedule, "step") == 0;
  const bool plateau = strcmp(o->schedule, "plateau") == 0;
  put_word(p, "optimizer", o->run.optimizer);
  put_number(p, "lr", o->lr);
  if (o->head_lr > 0) put_number(p, "head-lr", o->head_lr);
  if (o->momentum > 0) put_number(p, "momentum", o->momentum);
  if (o->weight_decay > 0) put_number(p, "weight-decay", o->weight_decay);
  if (o->clip_norm > 0) put_number(p, "clip-norm", o->clip_norm);
  put_word(p, "schedule", o->schedule);
  if (step || plateau) put_number(p, "lr-gamma", o->lr_gamma);
  if (step) put_count(p, "lr-step", o->lr_step);
  if (plateau) put_count(p, "patience", o->patience);
  if (o->warmup > 0) put_number(p, "warmup", o->warmup);
  put_count(p, "epochs", o->epochs);
  put_count(p, "batch", o->run.batch);
  if (o->micro_batch > 0) put_count(p, "micro-batch", o->micro_batch);
  put_word(p, "init", o->init);
  put_word(p, "freeze", o->freeze);
  if (o->ema > 0) put_number(p, "ema", o->ema);
  if (o->early_stop > 0) put_count(p, "early-stop", o->early_stop);
  put_word(p, "class-weights", o->class_weights);
  if (*o->augment != '\0') put_word(p, "augment", o->augment);
  if (*o->views != '\0') put_word(p, "views", o->views);
  if (o->label_smoothing > 0) put_number(p, "label-smoothing", o->label_smoothing);
}

int cmd_recipe(int argc, char **argv) {
  const char *net = NULL;
  bool json = false;
  opt_list list = {.help = help, .operand = "NAME", .max_operands = 1};
  opt_text(&list, "arch", &net);
  opt_flag(&list, "json", &json);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  if (list.num_operands == 0) return list_recipes();
  const vgg_arch_options colour = {.input = {3, 224, 224}};
  vgg_arch *arch = NULL;
  vgg_train_options options;
  vgg_error err;
  vgg_status status = VGG_OK;
  if (net != NULL) status = vgg_arch_from_text(net, &colour, &arch, &err);
  if (status == VGG_OK) status = vgg_recipe_options(list.operands[0], arch, &options, &err);
  vgg_arch_close(arch);
  if (status != VGG_OK) return cli_error(&err);
  printer p = {.object = json ? json_object() : NULL};
  if (net == NULL) print_net(&p, list.operands[0]);
  print_recipe(&p, &options);
  return json ? cli_json(p.object) : 0;
}
