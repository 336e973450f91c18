/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "vgg describe: the layers of a net, their shapes and cost, the memory they take\n"
    "\n"
    "  vgg describe --arch vgg16 --input 3x224x224 --classes 1000   the paper's net\n"
    "  vgg describe --format tutorial                       the tutorial's 13 lines\n"
    "  vgg describe --arch '((1, 64), (1, 128))' --input 1x96x96 --plan\n"
    "\n"
    "  --arch NET        vgg11, vgg13, vgg16, vgg19, with _bn or not, vgg11_lrn,\n"
    "                    vgg16_1x1, alexnet, the paper's A, A-LRN, B, C, D, E, or\n"
    "                    1x64,1x128,2x256 or as Python prints it [vgg11]\n"
    "  --ratio N --input CxHxW --classes N --hidden N --dropout P\n"
    "                    [1 1x224x224 10 4096 0.5]\n"
    "  --bn              batch norm behind every convolution\n"
    "  --lrn             local response normalisation, --lrn-alpha sum|mean [sum]\n"
    "  --head flatten|adaptive|dense   for pictures of other sizes\n"
    "                    [flatten; of *_bn adaptive]\n"
    "  --format table|tutorial|json       --json is short for the last\n"
    "  --plan            who runs each layer, why nobody else, and the expected cost\n"
    "  --batch N         images a step takes [128]\n"
    "  --data SET --limit N --test-limit N   counted in the memory [fashion-mnist]\n"
    "  --device auto|cpu|cuda[:i]   --backend auto|native|onednn|reference\n"
    "  --precision auto|fp32|bf16   --winograd auto|on|off\n"
    "  --isa auto|avx2|avx512|avx512bf16|amx\n"
    "  --threads N       [the processors this process may use]\n"
    "  --optimizer NAME  its state counts in the memory, see train [sgd: none]\n";

/* Everything the pages below show. */
typedef struct description {
  vgg_arch *arch;
  vgg_dataset *train, *test;
  vgg_plan_info *plan;
} description;

static void close_data(description *d) {
  vgg_dataset_close(d->train);
  vgg_dataset_close(d->test);
  d->train = d->test = NULL;
}

static void description_free(description *d) {
  vgg_plan_info_free(d->plan);
  close_data(d);
  vgg_arch_close(d->arch);
}

static const char *shape_text(vgg_shape s, char *out, size_t size) {
  if (s.h == 1 && s.w == 1) {
    snprintf(out, size, "%d", s.c);
  } else {
    snprintf(out, size, "%dx%dx%d", s.c, s.h, s.w);
  }
  return out;
}

static uint64_t output_bytes(const description *d, const vgg_layer *layer) {
  uint64_t element = strcmp(d->plan->precision, "bf16") == 0 ? 2 : 4;
  vgg_shape s = layer->out;
  return (uint64_t)s.c * (uint64_t)s.h * (uint64_t)s.w * element * (uint64_t)d->plan->batch;
}

static uint64_t sum(const vgg_memory_line *lines, int count) {
  uint64_t total = 0;
  for (int i = 0; i < count; i++) total += lines[i].bytes;
  return total;
}

/* ---- table ---------------------------------------------------------------------------------- */

static void print_memory(const char *title, const vgg_memory_line *lines, int count) {
  printf("\nmemory for %s\n", title);
  for (int i = 0; i < count; i++) {
    printf("  %-36s%18s  %12s\n", lines[i].name, cli_grouped(lines[i].bytes),
           cli_bytes(lines[i].bytes));
  }
  uint64_t total = sum(lines, count);
  printf("  %-36s%18s  %12s\n", "total", cli_grouped(total), cli_bytes(total));
}

static void print_head(const description *d) {
  const vgg_arch_options *o = vgg_arch_get_options(d->arch);
  printf("%s, ratio %d, input %dx%dx%d, %d classes; batch %d, %s, %d thread%s on %s\n\n",
         vgg_arch_title(d->arch), o->ratio, o->input.c, o->input.h, o->input.w, o->classes,
         d->plan->batch, d->plan->precision, d->plan->threads, d->plan->threads == 1 ? "" : "s",
         d->plan->device);
}

static void print_table(const description *d) {
  print_head(d);
  printf("%5s  %-8s %14s %14s %16s %16s\n", "index", "name", "output", "parameters", "MACs",
         "output bytes");
  for (int i = 0; i < vgg_arch_num_layers(d->arch); i++) {
    const vgg_layer *layer = vgg_arch_layer(d->arch, i);
    char shape[48];
    printf("%5d  %-8s %14s %14s %16s %16s\n", i, layer->name,
           shape_text(layer->out, shape, sizeof shape), cli_grouped(layer->params),
           cli_grouped(layer->macs), cli_grouped(output_bytes(d, layer)));
  }
  printf("%5s  %-8s %14s %14s %16s\n", "", "total", "", cli_grouped(vgg_arch_params(d->arch)),
         cli_grouped(vgg_arch_macs(d->arch)));
  printf("\nMACs are for one image, output bytes for a batch of %d in %s.\n", d->plan->batch,
         d->plan->precision);
  print_memory("inference", d->plan->inference, d->plan->num_inference);
  print_memory("training", d->plan->training, d->plan->num_training);
}

/* ---- the tutorial's lines ------------------------------------------------------------------- */

/* print(name,'output shape:\t',X.shape) */
static void print_tutorial(const description *d) {
  for (int i = 0; i < vgg_arch_num_modules(d->arch); i++) {
    vgg_module module = vgg_arch_module(d->arch, i);
    printf("%s output shape:\t torch.Size([", module.class_name);
    for (int k = 0; k < module.rank; k++) printf("%s%d", k > 0 ? ", " : "", module.dims[k]);
    printf("])\n");
  }
}

/* ---- plan ----------------------------------------------------------------------------------- */

static void print_plan(const description *d) {
  print_head(d);
  printf("instruction set: %s\n\n", d->plan->isa);
  printf("%5s  %-18s %-10s %9s %9s  %s\n", "stage", "layers", "backend", "forward", "backward",
         "kernels");
  for (int i = 0; i < d->plan->num_stages; i++) {
    const vgg_stage_info *stage = &d->plan->stages[i];
    printf("%5d  %-18s %-10s %9.1f %9.1f  %s\n", i,
           cli_layers(d->arch, stage->first_layer, stage->num_layers), stage->backend,
           stage->forward_cost * 1e-6, stage->backward_cost * 1e-6, stage->detail);
    if (stage->others[0] != '\0') printf("%56s%s\n", "", stage->others);
  }
  printf(
      "\nforward, backward: what an image is expected to cost, in million multiplications and\n"
      "additions at the processor's fp32 peak (`vgg bench` measures it).\n");
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *json_shape(vgg_shape s) { return json_pack("[i,i,i]", s.c, s.h, s.w); }

static json_t *json_layers(const description *d) {
  json_t *layers = json_array();
  for (int i = 0; i < vgg_arch_num_layers(d->arch); i++) {
    const vgg_layer *layer = vgg_arch_layer(d->arch, i);
    json_array_append_new(
        layers,
        json_pack("{s:i,s:s,s:s,s:s,s:o,s:I,s:I,s:I}", "index", i, "name", layer->name, "module",
                  layer->module, "type", vgg_layer_type_name(layer->type), "output",
                  json_shape(layer->out), "params", (json_int_t)layer->params, "macs",
                  (json_int_t)layer->macs, "output_bytes", (json_int_t)output_bytes(d, layer)));
  }
  return layers;
}

static json_t *json_memory(const vgg_memory_line *lines, int count) {
  json_t *parts = json_array();
  for (int i = 0; i < count; i++) {
    json_array_append_new(
        parts, json_pack("{s:s,s:I}", "name", lines[i].name, "bytes", (json_int_t)lines[i].bytes));
  }
  return json_pack("{s:o,s:I}", "parts", parts, "total", (json_int_t)sum(lines, count));
}

static json_t *json_stages(const description *d) {
  json_t *stages = json_array();
  for (int i = 0; i < d->plan->num_stages; i++) {
    const vgg_stage_info *stage = &d->plan->stages[i];
    json_array_append_new(
        stages, json_pack("{s:i,s:i,s:s,s:s,s:f,s:f,s:s}", "first_layer", stage->first_layer,
                          "layers", stage->num_layers, "backend", stage->backend, "kernels",
                          stage->detail, "forward_cost", stage->forward_cost, "backward_cost",
                          stage->backward_cost, "others", stage->others));
  }
  return stages;
}

static int print_json(const description *d) {
  const vgg_arch_options *o = vgg_arch_get_options(d->arch);
  const vgg_plan_info *p = d->plan;
  json_t *root = json_pack("{s:s,s:i,s:o,s:i,s:i,s:f,s:I,s:I,s:o}", "arch", vgg_arch_title(d->arch),
                           "ratio", o->ratio, "input", json_shape(o->input), "classes", o->classes,
                           "hidden", o->hidden, "dropout", o->dropout > 0 ? o->dropout : 0.0,
                           "params", (json_int_t)vgg_arch_params(d->arch), "macs",
                           (json_int_t)vgg_arch_macs(d->arch), "layers", json_layers(d));
  json_t *plan =
      json_pack("{s:s,s:s,s:s,s:i,s:i,s:o}", "device", p->device, "precision", p->precision, "isa",
                p->isa, "threads", p->threads, "batch", p->batch, "stages", json_stages(d));
  json_t *memory = json_pack("{s:o,s:o}", "inference", json_memory(p->inference, p->num_inference),
                             "training", json_memory(p->training, p->num_training));
  json_object_set_new(root, "plan", plan);
  json_object_set_new(root, "memory", memory);
  return cli_json(root);
}

/* ---- command -------------------------------------------------------------------------------- */

/* The data of `vgg train` counts in its memory. Where nobody asked for it with --data, missing or
 * unfit data is no reason to fail: its line is left out and that is said. */
static vgg_status open_data(description *d, const data_args *data, vgg_error *err) {
  vgg_run_data sets = {0};
  const char *spec = data->data != NULL ? data->data : "fashion-mnist";
  vgg_status status = data_args_get(data, &sets, err);
  if (status == VGG_OK) status = cli_settle(&sets, false, NULL, err);
  if (status == VGG_OK) status = vgg_run_data_open(&sets, &d->train, &d->test, err);
  if (status == VGG_OK) {
    vgg_shape in = vgg_arch_get_options(d->arch)->input;
    int channels = vgg_dataset_shape(d->train).c;
    if (channels >= in.c) return VGG_OK;
    status = err->status = VGG_BAD_VALUE;
    snprintf(err->message, sizeof err->message,
             "%s: found pictures of %d channel%s, wanted %d as in --input %dx%dx%d", spec, channels,
             channels == 1 ? "" : "s", in.c, in.c, in.h, in.w);
  } else if (status != VGG_NO_INPUT) {
    return status;
  }
  close_data(d);
  if (data->data != NULL) return status;
  cli_note("%s %s: the memory for training is without a data cache", spec,
           status == VGG_NO_INPUT ? "is not installed" : "does not fit this input");
  return VGG_OK;
}

int cmd_describe(int argc, char **argv) {
  net_args net = {0};
  data_args data = {0};
  run_args run = {0};
  const char *optimizer = NULL;
  const char *format = "table";
  bool json = false, plan = false;
  opt_list list = {.help = help};
  net_args_options(&net, &list);
  data_args_options(&data, &list);
  run_args_options(&run, &list);
  opt_text(&list, "optimizer", &optimizer);
  opt_choice(&list, "format", "table|tutorial|json", &format);
  opt_flag(&list, "json", &json);
  opt_flag(&list, "plan", &plan);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  json |= strcmp(format, "json") == 0;
  bool tutorial = !json && strcmp(format, "tutorial") == 0;
  if (plan && tutorial) {
    return cli_fail(CLI_USAGE, "found --plan and --format tutorial, wanted one of them");
  }

  description d = {0};
  vgg_error err;
  vgg_arch_options options = net_args_get(&net);
  vgg_run_options run_options = run_args_get(&run);
  run_options.optimizer = optimizer;
  vgg_status status =
      vgg_arch_from_text(net.arch != NULL ? net.arch : "vgg11", &options, &d.arch, &err);
  if (status == VGG_OK && (json || !(tutorial || plan))) status = open_data(&d, &data, &err);
  if (status == VGG_OK && !tutorial) {
    status = vgg_plan_describe(d.arch, &run_options, d.train, d.test, &d.plan, &err);
  }
  code = 0;
  if (status != VGG_OK) {
    code = cli_error(&err);
  } else if (tutorial) {
    print_tutorial(&d);
  } else if (json) {
    code = print_json(&d);
  } else if (plan) {
    print_plan(&d);
  } else {
    print_table(&d);
  }
  description_free(&d);
  return code;
}
