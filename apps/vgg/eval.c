/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "vgg eval: accuracy, loss, per-class accuracy and confusion matrix of a model\n"
    "\n"
    "  vgg eval runs/vgg11-1                     the run's best model on the test set\n"
    "  vgg eval runs/vgg11-1 --mistakes --limit 1000\n"
    "  vgg eval model.safetensors --data idx:digits --split train --json\n"
    "\n"
    "  MODEL             a model file, or a run directory: its best.safetensors\n"
    "  --data SET        as in train [what MODEL was trained on]\n"
    "  --split test|train|val [the first that there is]   --class-order as in train\n"
    "  --channels luma|replicate   for pictures of other channels [the model's rule]\n"
    "  --views LIST      average over views of a picture, as the paper: dense (all of\n"
    "                    it), crops=N (a grid), flip, scales=256/384/512; none [the\n"
    "                    recipe's]\n"
    "  --input CxHxW --head dense|adaptive   the same weights on larger pictures\n"
    "  --mistakes        also list every picture that was taken for another class\n"
    "  --limit N         the first N pictures;  --json  one JSON object\n"
    "  --batch N         images at a time [128]\n"
    "  --device auto|cpu|cuda[:i]   --backend auto|native|onednn|reference\n"
    "  --precision auto|fp32|bf16   --winograd auto|on|off\n"
    "  --isa auto|avx2|avx512|avx512bf16|amx\n"
    "  --threads N       [the processors this process may use]\n";

typedef struct eval_args {
  run_args run;
  data_args data;
  const char *channels, *split, *head, *views;
  vgg_shape input;
  bool mistakes, json;
} eval_args;

/* ---- tables --------------------------------------------------------------------------------- */

static size_t row_total(const vgg_evaluation *e, int label) {
  size_t total = 0;
  for (int k = 0; k < e->classes; k++) total += e->confusion[(size_t)label * e->classes + k];
  return total;
}

static int name_width(const vgg_model *model, int classes) {
  int width = 5;
  for (int k = 0; k < classes; k++) {
    int length = (int)strlen(vgg_model_class_name(model, k));
    if (length > width) width = length;
  }
  return width;
}

static void print_classes(const vgg_model *model, const vgg_evaluation *e) {
  int width = name_width(model, e->classes);
  printf("\n%5s  %-*s %9s %9s %9s\n", "", width, "class", "accuracy", "correct", "total");
  for (int k = 0; k < e->classes; k++) {
    size_t total = row_total(e, k), correct = e->confusion[(size_t)k * e->classes + k];
    char accuracy[16] = "-";
    if (total > 0) snprintf(accuracy, sizeof accuracy, "%.4f", (double)correct / (double)total);
    printf("%5d  %-*s %9s %9zu %9zu\n", k, width, vgg_model_class_name(model, k), accuracy, correct,
           total);
  }
}

static void print_confusion(const vgg_model *model, const vgg_evaluation *e) {
  int width = name_width(model, e->classes), cell = 5;
  char text[24];
  for (size_t i = 0; i < (size_t)e->classes * (size_t)e->classes; i++) {
    int length = snprintf(text, sizeof text, "%zu", e->confusion[i]) + 1;
    if (length > cell) cell = length;
  }
  printf("\nconfusion (row: what it is, column: what it was taken for)\n%5s  %-*s", "", width, "");
  for (int k = 0; k < e->classes; k++) printf(" %*d", cell - 1, k);
  printf("\n");
  for (int r = 0; r < e->classes; r++) {
    printf("%5d  %-*s", r, width, vgg_model_class_name(model, r));
    for (int k = 0; k < e->classes; k++) {
      printf(" %*zu", cell - 1, e->confusion[(size_t)r * e->classes + k]);
    }
    printf("\n");
  }
}

static void print_mistakes(const vgg_model *model, const vgg_evaluation *e) {
  int width = name_width(model, e->classes);
  if (width < 9) width = 9; /* "taken for" */
  printf("\n%7s  %-*s  %-*s  %11s\n", "mistake", width, "is", width, "taken for", "probability");
  for (size_t i = 0; i < e->num_mistakes; i++) {
    const vgg_mistake *m = &e->mistakes[i];
    printf("%7zu  %-*s  %-*s  %11.4f\n", m->index, width, vgg_model_class_name(model, m->label),
           width, vgg_model_class_name(model, m->guess), (double)m->probability);
  }
}

static double accuracy(const vgg_evaluation *e) { return (double)e->correct / (double)e->total; }

static void print_tables(const vgg_model *model, const vgg_evaluation *e, bool mistakes) {
  printf("accuracy %.4f (%zu of %zu), loss %.4f\n", accuracy(e), e->correct, e->total, e->loss);
  if (strcmp(e->views, "none") != 0) printf("views %s\n", e->views);
  print_classes(model, e);
  print_confusion(model, e);
  if (mistakes) print_mistakes(model, e);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *json_classes(const vgg_model *model, const vgg_evaluation *e) {
  json_t *classes = json_array();
  for (int r = 0; r < e->classes; r++) {
    json_t *row = json_array();
    const size_t *counts = &e->confusion[(size_t)r * e->classes];
    for (int k = 0; k < e->classes; k++)
      json_array_append_new(row, json_integer((json_int_t)counts[k]));
    json_array_append_new(classes, json_pack("{s:o,s:I,s:I,s:o}", "name",
                                             cli_json_text(vgg_model_class_name(model, r)),
                                             "correct", (json_int_t)counts[r], "total",
                                             (json_int_t)row_total(e, r), "guesses", row));
  }
  return classes;
}

static json_t *json_mistakes(const vgg_evaluation *e) {
  json_t *list = json_array();
  for (size_t i = 0; i < e->num_mistakes; i++) {
    const vgg_mistake *m = &e->mistakes[i];
    json_array_append_new(
        list, json_pack("{s:I,s:i,s:i,s:o}", "index", (json_int_t)m->index, "label", m->label,
                        "guess", m->guess, "probability", cli_json_real((double)m->probability)));
  }
  return list;
}

static int print_json(const vgg_model *model, const vgg_evaluation *e, bool mistakes) {
  json_t *root =
      json_pack("{s:o,s:I,s:I,s:o,s:s,s:o}", "accuracy", cli_json_real(accuracy(e)), "correct",
                (json_int_t)e->correct, "total", (json_int_t)e->total, "loss",
                cli_json_real(e->loss), "views", e->views, "classes", json_classes(model, e));
  if (root != NULL && mistakes) json_object_set_new(root, "mistakes", json_mistakes(e));
  return cli_json(root);
}

/* ---- command -------------------------------------------------------------------------------- */

static int evaluate(const eval_args *a, const vgg_model *model) {
  const char *split = a->split;
  vgg_run_options options = run_args_get(&a->run);
  vgg_dataset *data = NULL;
  vgg_evaluation *found = NULL;
  vgg_error err;
  vgg_status status = cli_open_for_model(model, &a->data, &split, &data, &err);
  if (status == VGG_OK)
    status = vgg_evaluate_views(model, &options, data, a->views, NULL, NULL, &found, &err);
  int code = 0;
  if (status != VGG_OK) {
    code = cli_error(&err);
  } else {
    for (size_t i = 0; i < found->num_bad; i++) cli_note("left out: %s", found->bad[i]);
    cli_note_luma(model, data);
    cli_note("%zu %s pictures of %s in %s", found->total, split, vgg_dataset_spec(data),
             cli_duration(found->seconds));
    if (a->json) {
      code = print_json(model, found, a->mistakes);
    } else {
      print_tables(model, found, a->mistakes);
    }
  }
  vgg_evaluation_free(found);
  vgg_dataset_close(data);
  return code;
}

int cmd_eval(int argc, char **argv) {
  eval_args a = {0};
  opt_list list = {.help = help, .operand = "MODEL", .min_operands = 1, .max_operands = 1};
  run_args_options(&a.run, &list);
  opt_text(&list, "data", &a.data.data);
  opt_choice(&list, "split", "test|train|val", &a.split);
  opt_choice(&list, "channels", "luma|replicate", &a.channels);
  opt_choice(&list, "class-order", "bytes|natural|file", &a.data.class_order);
  opt_shape(&list, "input", &a.input);
  opt_choice(&list, "head", "flatten|adaptive|dense", &a.head);
  opt_text(&list, "views", &a.views);
  opt_whole(&list, "limit", 1, UINT32_MAX, &a.data.limit);
  opt_flag(&list, "mistakes", &a.mistakes);
  opt_flag(&list, "json", &a.json);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  vgg_model *model = NULL;
  vgg_error err;
  if (vgg_model_load(list.operands[0], &model, &err) != VGG_OK) return cli_error(&err);
  cli_set_channels(model, a.channels);
  const vgg_status status = vgg_model_reshape(model, cli_head(a.head), a.input, &err);
  code = status == VGG_OK ? evaluate(&a, model) : cli_error(&err);
  vgg_model_close(model);
  return code;
}
