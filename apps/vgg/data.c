/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preview.h"

static const char help[] =
    "vgg data: what is in a data set, and what is wrong with it\n"
    "\n"
    "  vgg data pictures              train/, val/ and test/ with a folder for every\n"
    "                                 class, or one such folder\n"
    "  vgg data cifar10:DIR --json    as --data of the other commands\n"
    "  vgg data list.csv --preview grid.png --augment jitter,flip,pca\n"
    "\n"
    "Reads every picture: counts, sizes, channels, balance of the classes, pictures\n"
    "that are in more than one set (the same pixels), those that cannot be read and\n"
    "why, mean and deviation of the training set. Exit code 65 if any cannot be read.\n"
    "\n"
    "  --class-order bytes|natural|file   number classes by the bytes of their names,\n"
    "                    with numbers in them in order, or by classes.txt [bytes]\n"
    "  --exif apply|ignore   turn pictures as the camera was held, or not [apply]\n"
    "  --threads N --json     [the processors of the machine]; one JSON object\n"
    "  --preview FILE.png     no report, but a few pictures as they are and as the\n"
    "                    first epochs of train --augment LIST --input CxHxW --seed N\n"
    "                    --exif X see them. LIST, values with what they are without:\n"
    "                    crop=.08 | jitter=256-512 | pad=4, flip, brightness=.4,\n"
    "                    contrast=.4, saturation=.4, pca=.1, cutout=112, mixup=.2\n";

typedef struct data_command {
  const char *class_order, *exif;
  uint64_t threads;
  bool json;
  preview_options preview;
} data_command;

static const vgg_dataset *any_split(const vgg_data_report *r) { return r->splits[VGG_TRAIN].data; }

/* Sets in the order that people think of them. */
static const vgg_split order[VGG_NUM_SPLITS] = {VGG_TRAIN, VGG_VALIDATION, VGG_TEST};

/* ---- text ----------------------------------------------------------------------------------- */

static void print_heads(const vgg_data_report *r, const char *first, int width) {
  printf("%-*s", width, first);
  for (int i = 0; i < VGG_NUM_SPLITS; i++) {
    if (r->splits[order[i]].data != NULL) printf(" %12s", vgg_split_name(order[i]));
  }
  printf("\n");
}

typedef size_t (*split_number)(const vgg_data_split *s);
static size_t count_of(const vgg_data_split *s) { return vgg_dataset_count(s->data); }
static size_t bad_of(const vgg_data_split *s) { return s->num_bad; }
static size_t grey_of(const vgg_data_split *s) { return s->grey; }
static size_t colour_of(const vgg_data_split *s) { return s->colour; }
static size_t repeated_of(const vgg_data_split *s) { return s->repeated; }

static void print_numbers(const vgg_data_report *r, const char *name, split_number number) {
  printf("%-12s", name);
  for (int i = 0; i < VGG_NUM_SPLITS; i++) {
    const vgg_data_split *s = &r->splits[order[i]];
    if (s->data != NULL) printf(" %12s", cli_grouped(number(s)));
  }
  printf("\n");
}

static void print_range(const vgg_data_report *r, const char *name, bool height) {
  printf("%-12s", name);
  for (int i = 0; i < VGG_NUM_SPLITS; i++) {
    const vgg_data_split *s = &r->splits[order[i]];
    if (s->data == NULL) continue;
    const int min = height ? s->min_h : s->min_w, max = height ? s->max_h : s->max_w;
    char range[32];
    snprintf(range, sizeof range, min == max ? "%d" : "%d..%d", min, max);
    printf(" %12s", range);
  }
  printf("\n");
}

static void print_classes(const vgg_data_report *r) {
  const vgg_dataset *data = any_split(r);
  const int classes = vgg_dataset_classes(data);
  int width = 12;
  size_t least = SIZE_MAX, most = 0;
  for (int k = 0; k < classes; k++) {
    const int length = (int)strlen(vgg_dataset_class_name(data, k));
    const size_t n = r->splits[VGG_TRAIN].per_class[k];
    if (length + 6 > width) width = length + 6;
    if (n < least) least = n;
    if (n > most) most = n;
  }
  printf("\n");
  print_heads(r, "class", width);
  for (int k = 0; k < classes; k++) {
    printf("%5d %-*s", k, width - 6, vgg_dataset_class_name(data, k));
    for (int i = 0; i < VGG_NUM_SPLITS; i++) {
      const vgg_data_split *s = &r->splits[order[i]];
      if (s->data != NULL) printf(" %12s", cli_grouped(s->per_class[k]));
    }
    printf("\n");
  }
  printf("\nlargest class of train %s, smallest %s", cli_grouped(most), cli_grouped(least));
  if (least > 0) printf(": %.3g times", (double)most / (double)least);
  printf("\n");
}

static void print_moments(const vgg_data_report *r) {
  printf("mean");
  for (int c = 0; c < r->channels; c++) printf(" %.4f", r->mean[c]);
  printf("   std");
  for (int c = 0; c < r->channels; c++) printf(" %.4f", r->std[c]);
  printf("   of train's pixels, 0..1\n");
}

/* "train 17" or "train 17 cat/1.png" */
static void print_place(const vgg_data_report *r, vgg_split split, size_t index) {
  const char *path = vgg_dataset_path(r->splits[split].data, index);
  printf("%s %zu%s%s", vgg_split_name(split), index, path != NULL ? " " : "",
         path != NULL ? path : "");
}

static void print_faults(const vgg_data_report *r) {
  if (r->num_twins > 0) printf("\nin two sets: %s\n", cli_grouped(r->num_twins));
  for (size_t i = 0; i < r->num_twins; i++) {
    const vgg_data_twin *t = &r->twins[i];
    printf("  ");
    print_place(r, t->split[0], t->index[0]);
    printf(" = ");
    print_place(r, t->split[1], t->index[1]);
    printf("%s\n", t->same_class ? "" : ", of another class");
  }
  for (int i = 0; i < VGG_NUM_SPLITS; i++) {
    const vgg_data_split *s = &r->splits[order[i]];
    if (s->num_bad > 0)
      printf("\nunreadable in %s: %s\n", vgg_split_name(order[i]), cli_grouped(s->num_bad));
    for (size_t k = 0; k < s->num_bad; k++) printf("  %s\n", s->bad_lines[k]);
  }
}

static void print_report(const vgg_data_report *r) {
  const vgg_dataset *data = any_split(r);
  printf("%s, %d classes\n\n", vgg_dataset_spec(data), vgg_dataset_classes(data));
  print_heads(r, "", 12);
  print_numbers(r, "pictures", count_of);
  print_numbers(r, "unreadable", bad_of);
  print_numbers(r, "repeated", repeated_of);
  print_numbers(r, "grey", grey_of);
  print_numbers(r, "colour", colour_of);
  print_range(r, "height", true);
  print_range(r, "width", false);
  print_classes(r);
  print_moments(r);
  print_faults(r);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *json_bad(const vgg_data_split *s) {
  json_t *list = json_array();
  for (size_t i = 0; i < s->num_bad; i++) {
    const char *path = vgg_dataset_path(s->data, s->bad[i]);
    json_array_append_new(list, json_pack("{s:I,s:o,s:o}", "index", (json_int_t)s->bad[i], "path",
                                          path != NULL ? cli_json_text(path) : json_null(), "why",
                                          cli_json_text(s->bad_lines[i])));
  }
  return list;
}

static json_t *json_split(const vgg_data_split *s) {
  json_t *counts = json_array();
  for (int k = 0; k < vgg_dataset_classes(s->data); k++)
    json_array_append_new(counts, json_integer((json_int_t)s->per_class[k]));
  return json_pack("{s:I,s:I,s:I,s:I,s:[ii],s:[ii],s:o,s:o}", "pictures",
                   (json_int_t)vgg_dataset_count(s->data), "repeated", (json_int_t)s->repeated,
                   "grey", (json_int_t)s->grey, "colour", (json_int_t)s->colour, "height", s->min_h,
                   s->max_h, "width", s->min_w, s->max_w, "classes", counts, "unreadable",
                   json_bad(s));
}

static json_t *json_twins(const vgg_data_report *r) {
  json_t *list = json_array();
  for (size_t i = 0; i < r->num_twins; i++) {
    const vgg_data_twin *t = &r->twins[i];
    json_array_append_new(
        list, json_pack("{s:[si],s:[si],s:b}", "first", vgg_split_name(t->split[0]),
                        (int)t->index[0], "second", vgg_split_name(t->split[1]), (int)t->index[1],
                        "same_class", t->same_class));
  }
  return list;
}

static json_t *json_reals(const double *x, int count) {
  json_t *list = json_array();
  for (int i = 0; i < count; i++) json_array_append_new(list, json_real(x[i]));
  return list;
}

static int print_json(const vgg_data_report *r) {
  const vgg_dataset *data = any_split(r);
  json_t *names = json_array(), *splits = json_object(), *notes = json_array();
  for (int k = 0; k < vgg_dataset_classes(data); k++)
    json_array_append_new(names, cli_json_text(vgg_dataset_class_name(data, k)));
  for (int i = 0; i < VGG_NUM_SPLITS; i++) {
    const vgg_data_split *s = &r->splits[order[i]];
    if (s->data == NULL) continue;
    json_object_set_new(splits, vgg_split_name(order[i]), json_split(s));
    for (size_t n = 0; vgg_dataset_note(s->data, n) != NULL; n++)
      json_array_append_new(notes, cli_json_text(vgg_dataset_note(s->data, n)));
  }
  return cli_json(
      json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "data", cli_json_text(vgg_dataset_spec(data)),
                "classes", names, "splits", splits, "mean", json_reals(r->mean, r->channels), "std",
                json_reals(r->std, r->channels), "in_two_sets", json_twins(r), "notes", notes));
}

/* ---- command -------------------------------------------------------------------------------- */

static bool show_progress(size_t done, size_t total, void *user) {
  (void)user;
  fprintf(stderr, "\r%s of %s pictures", cli_grouped(done), cli_grouped(total));
  if (done == total) fprintf(stderr, "\r\033[K");
  return false;
}

static void print_notes(const vgg_data_report *r) {
  for (int i = 0; i < VGG_NUM_SPLITS; i++) {
    const vgg_dataset *data = r->splits[order[i]].data;
    if (data == NULL) continue;
    for (size_t n = 0; vgg_dataset_note(data, n) != NULL; n++)
      cli_note("note: %s", vgg_dataset_note(data, n));
  }
}

static int make_preview(const char *spec, const data_command *a, const vgg_data_options *options) {
  vgg_dataset *data = NULL;
  vgg_error err;
  vgg_status status = vgg_dataset_open_with(spec, VGG_TRAIN, options, &data, &err);
  if (status == VGG_OK) status = preview_save(data, &a->preview, &err);
  vgg_dataset_close(data);
  return status == VGG_OK ? 0 : cli_error(&err);
}

int cmd_data(int argc, char **argv) {
  data_command a = {.exif = "apply"};
  opt_list list = {.help = help, .operand = "DATA", .min_operands = 1, .max_operands = 1};
  opt_choice(&list, "class-order", "bytes|natural|file", &a.class_order);
  opt_choice(&list, "exif", "apply|ignore", &a.exif);
  opt_whole(&list, "threads", 1, 4096, &a.threads);
  opt_flag(&list, "json", &a.json);
  opt_text(&list, "preview", &a.preview.path);
  opt_text(&list, "augment", &a.preview.augment);
  opt_shape(&list, "input", &a.preview.input);
  opt_whole(&list, "seed", 0, UINT64_MAX, &a.preview.seed);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  if (a.preview.path == NULL && (a.preview.augment != NULL || a.preview.input.c != 0))
    return cli_fail(CLI_USAGE, "--augment and --input: found no --preview, which they are for");
  const vgg_data_options options = {.class_order = a.class_order,
                                    .decode = {.ignore_exif = strcmp(a.exif, "ignore") == 0}};
  if (a.preview.path != NULL) return make_preview(list.operands[0], &a, &options);
  vgg_data_report *report = NULL;
  vgg_error err;
  if (vgg_data_inspect(list.operands[0], &options, (int)a.threads,
                       isatty(STDERR_FILENO) ? show_progress : NULL, NULL, &report, &err) != VGG_OK)
    return cli_error(&err);
  print_notes(report);
  if (a.json) {
    code = print_json(report);
  } else {
    print_report(report);
    code = 0;
  }
  for (int s = 0; s < VGG_NUM_SPLITS; s++)
    if (code == 0 && report->splits[s].num_bad > 0) code = VGG_BAD_CONTENT;
  vgg_data_report_free(report);
  return code;
}
