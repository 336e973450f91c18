/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "vgg bench: how fast a net trains or runs here, layer by layer\n"
    "\n"
    "  vgg bench train --ratio 4 --batch 128 --layers       the tutorial's net\n"
    "  vgg bench infer --arch vgg16 --input 3x224x224 --classes 1000 --batch 8\n"
    "  vgg bench train --ratio 4 --layers --format md > layers.md\n"
    "\n"
    "  train | infer     whole steps from the batch in memory to the updated weights,\n"
    "                    or forward alone\n"
    "  --layers          also a table per layer and direction\n"
    "  --format text|md|csv|json            --json is short for the last [text]\n"
    "  --seconds S       for whole steps, and as much for the layers [3]\n"
    "  --arch --ratio --input --classes --hidden --dropout --bn --lrn --head   as in\n"
    "                    describe\n"
    "  --batch --device --backend --precision --winograd --isa --threads   likewise\n"
    "\n"
    "  GFLOP/s count the direct products (two a multiply-add, rim too), so Winograd\n"
    "  can pass 100 % of the peak: an FMA loop on all threads, before and after.\n";

static const char *const pass_names[] = {"forward", "data", "weights"};

typedef struct bench_page {
  const vgg_arch *arch;
  const vgg_bench_result *r;
  bool training;
} bench_page;

static double peak(const vgg_bench_result *r) { return (r->peak_before + r->peak_after) / 2; }

static double percent(const vgg_bench_result *r, double gflops) { return 100 * gflops / peak(r); }

static const char *layers_text(const bench_page *p, const vgg_bench_layer *l) {
  return cli_layers(p->arch, l->first_layer, l->num_layers);
}

/* ---- text and Markdown ---------------------------------------------------------------------- */

static void print_head(const bench_page *p) {
  const vgg_bench_result *r = p->r;
  const vgg_arch_options *o = vgg_arch_get_options(p->arch);
  printf("%s, ratio %d, input %dx%dx%d, %d classes: %s, batch %d, %s, %s, %d thread%s\n%s\n",
         vgg_arch_title(p->arch), o->ratio, o->input.c, o->input.h, o->input.w, o->classes,
         p->training ? "training" : "inference", r->batch, r->precision, r->isa, r->threads,
         r->threads == 1 ? "" : "s", r->processor);
}

static void print_whole(const bench_page *p) {
  const vgg_bench_result *r = p->r;
  print_head(p);
  printf("\n%.1f images/s, a step %.1f ms (quartiles %.1f and %.1f, %d steps)\n",
         r->images_per_second, 1e3 * r->step_median, 1e3 * r->step_low, 1e3 * r->step_high,
         r->steps);
  printf("%.0f GFLOP/s, %.0f %% of the peak (%.0f GFLOP/s before, %.0f after)\n", r->gflops,
         percent(r, r->gflops), r->peak_before, r->peak_after);
}

static int print_text(const bench_page *p) {
  print_whole(p);
  if (p->r->num_layers)
    printf("\n%-16s %-8s %9s %7s %8s %6s %6s %9s  %s\n", "layers", "pass", "us/image", "spread",
           "GFLOP/s", "peak", "GB/s", "expected", "who");
  for (int i = 0; i < p->r->num_layers; i++) {
    const vgg_bench_layer *l = &p->r->layers[i];
    printf("%-16s %-8s %9.1f %7.1f %8.0f %5.0f%% %6.1f %9.1f  %s: %s\n", layers_text(p, l),
           pass_names[l->pass], l->us, l->spread, l->gflops, percent(p->r, l->gflops), l->gbytes,
           l->expected, l->backend, l->kernels);
  }
  return 0;
}

static int print_markdown(const bench_page *p) {
  print_whole(p);
  if (p->r->num_layers)
    printf(
        "\n| layers | pass | us/image | spread | GFLOP/s | %% of peak | GB/s | expected us | who "
        "|\n"
        "|---|---|---|---|---|---|---|---|---|\n");
  for (int i = 0; i < p->r->num_layers; i++) {
    const vgg_bench_layer *l = &p->r->layers[i];
    printf("| %s | %s | %.1f | %.1f | %.0f | %.0f | %.1f | %.1f | %s: %s |\n", layers_text(p, l),
           pass_names[l->pass], l->us, l->spread, l->gflops, percent(p->r, l->gflops), l->gbytes,
           l->expected, l->backend, l->kernels);
  }
  return 0;
}

/* ---- for programs --------------------------------------------------------------------------- */

/* One table: the whole step is a row of its own, its columns of layers empty. */
static int print_csv(const bench_page *p) {
  const vgg_bench_result *r = p->r;
  printf(
      "layers,pass,us_per_image,spread,gflops,percent_of_peak,gbytes,expected_us,backend,"
      "kernels\n");
  printf("step,%s,%.3f,%.3f,%.2f,%.2f,,,,\n", p->training ? "train" : "infer",
         1e6 / r->images_per_second, 1e6 * (r->step_high - r->step_low) / r->batch, r->gflops,
         percent(r, r->gflops));
  for (int i = 0; i < r->num_layers; i++) {
    const vgg_bench_layer *l = &r->layers[i];
    printf("%s,%s,%.3f,%.3f,%.2f,%.2f,%.3f,%.3f,%s,\"%s\"\n", layers_text(p, l),
           pass_names[l->pass], l->us, l->spread, l->gflops, percent(r, l->gflops), l->gbytes,
           l->expected, l->backend, l->kernels);
  }
  return 0;
}

static json_t *json_layers(const bench_page *p) {
  json_t *layers = json_array();
  for (int i = 0; i < p->r->num_layers; i++) {
    const vgg_bench_layer *l = &p->r->layers[i];
    json_array_append_new(
        layers,
        json_pack("{s:s,s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:s,s:s}", "layers", layers_text(p, l), "pass",
                  pass_names[l->pass], "us_per_image", l->us, "spread", l->spread, "gflops",
                  l->gflops, "percent_of_peak", percent(p->r, l->gflops), "gbytes", l->gbytes,
                  "expected_us", l->expected, "backend", l->backend, "kernels", l->kernels));
  }
  return layers;
}

static int print_json(const bench_page *p) {
  const vgg_bench_result *r = p->r;
  json_t *root = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:f,s:f,s:f,s:f,s:i,s:f,s:f,s:f}", "arch",
                           vgg_arch_title(p->arch), "work", p->training ? "train" : "infer",
                           "processor", r->processor, "precision", r->precision, "isa", r->isa,
                           "threads", r->threads, "batch", r->batch, "images_per_second",
                           r->images_per_second, "step_seconds", r->step_median, "step_low",
                           r->step_low, "step_high", r->step_high, "steps", r->steps, "gflops",
                           r->gflops, "peak_before", r->peak_before, "peak_after", r->peak_after);
  if (root && r->num_layers) json_object_set_new(root, "layers", json_layers(p));
  return cli_json(root);
}

/* ---- command -------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  int (*print)(const bench_page *p);
} formats[] = {
    {"text", print_text}, {"md", print_markdown}, {"csv", print_csv}, {"json", print_json}};

static int print_as(const char *format, const bench_page *p) {
  size_t i = 0;
  while (strcmp(formats[i].name, format) != 0) i++;
  return formats[i].print(p);
}

int cmd_bench(int argc, char **argv) {
  net_args net = {0};
  run_args run = {0};
  bool layers = false, json = false;
  double seconds = 0;
  const char *format = "text";
  opt_list list = {.help = help, .operand = "train or infer", .min_operands = 1, .max_operands = 1};
  net_args_options(&net, &list);
  run_args_options(&run, &list);
  opt_flag(&list, "layers", &layers);
  opt_flag(&list, "json", &json);
  opt_choice(&list, "format", "text|md|csv|json", &format);
  opt_real(&list, "seconds", false, INFINITY, &seconds);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  const char *work = list.operands[0];
  const bool training = strcmp(work, "train") == 0;
  if (!training && strcmp(work, "infer") != 0)
    return cli_fail(CLI_USAGE, "found '%s', wanted train or infer", work);
  const vgg_bench_options options = {
      .run = run_args_get(&run), .training = training, .layers = layers, .seconds = seconds};
  const vgg_arch_options shape = net_args_get(&net);
  vgg_error err;
  vgg_arch *arch = NULL;
  vgg_bench_result *result = NULL;
  vgg_status status = vgg_arch_from_text(net.arch ? net.arch : "vgg11", &shape, &arch, &err);
  if (status == VGG_OK) status = vgg_bench(arch, &options, &result, &err);
  code = status == VGG_OK ? print_as(json ? "json" : format, &(bench_page){arch, result, training})
                          : cli_error(&err);
  vgg_bench_free(result);
  vgg_arch_close(arch);
  return code;
}
