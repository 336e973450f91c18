/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static const char help[] =
    "vgg predict: what is in the pictures?\n"
    "\n"
    "  vgg predict runs/vgg11-1 shirt.png photos/\n"
    "  vgg predict runs/vgg11-1 --index 17,18 --split test\n"
    "  vgg predict model.safetensors --invert --top 5 --csv scans/ > answers.csv\n"
    "\n"
    "  MODEL             a model file, a run directory: its best.safetensors, or\n"
    "                    published weights (docs/weights.md)\n"
    "  FILE...           PNG, JPEG, WebP, PNM files, or folders (sorted by bytes)\n"
    "  --index N[,N...]  pictures of a data set instead, counted from 0\n"
    "  --data SET        as in train [what MODEL was trained on]\n"
    "  --split test|train|val [the first that there is]   --class-order as in train\n"
    "  --channels luma|replicate   for pictures of other channels [the model's rule]\n"
    "  --top K           the K likeliest classes [3]\n"
    "  --invert          dark drawings on light ground\n"
    "  --json, --csv     one JSON object a picture; a table with a header line\n"
    "  --device auto|cpu|cuda[:i]   --backend auto|native|onednn|reference\n"
    "  --precision auto|fp32|bf16   --winograd auto|on|off\n"
    "  --isa auto|avx2|avx512|avx512bf16|amx\n"
    "  --threads N       [the processors this process may use]\n"
    "A picture that cannot be read gets a line on stderr and an exit code at the end.\n";

typedef struct predict_args {
  run_args run;
  data_args data;
  const char *channels, *split, *index;
  uint64_t top;
  bool json, csv, invert;
} predict_args;

/* What one picture after the other goes through. */
typedef struct session {
  const vgg_model *model;
  vgg_predictor *predictor;
  vgg_preprocess rule;
  int classes, top;
  bool json, csv, rule_said;
  uint8_t *pixels;      /* [h][w][c] of rule.input */
  float *probabilities; /* [classes] */
  int *order;           /* [top], likeliest first */
  int code;             /* of the last picture that failed; 0 when none did */
} session;

/* ---- output --------------------------------------------------------------------------------- */

/* RFC 4180: quotes around what holds a quote, comma or line break; quotes doubled. */
static void print_csv_text(const char *s) {
  if (s[strcspn(s, "\",\r\n")] == '\0') {
    fputs(s, stdout);
    return;
  }
  putchar('"');
  for (; *s != '\0'; s++) {
    if (*s == '"') putchar('"');
    putchar(*s);
  }
  putchar('"');
}

static void print_csv(const session *s, const char *name, int label) {
  for (int i = 0; i < s->top; i++) {
    int k = s->order[i];
    print_csv_text(name);
    printf(",%d,%d,", i + 1, k);
    print_csv_text(vgg_model_class_name(s->model, k));
    printf(",%.9g,", (double)s->probabilities[k]);
    if (label >= 0) printf("%d", label);
    printf("\n");
  }
}

static int print_json(const session *s, const char *name, int label) {
  json_t *top = json_array();
  for (int i = 0; i < s->top; i++) {
    int k = s->order[i];
    json_array_append_new(top,
                          json_pack("{s:i,s:o,s:o}", "class", k, "name",
                                    cli_json_text(vgg_model_class_name(s->model, k)), "probability",
                                    cli_json_real((double)s->probabilities[k])));
  }
  json_t *root = json_pack("{s:o,s:o}", "picture", cli_json_text(name), "top", top);
  if (root != NULL && label >= 0) json_object_set_new(root, "label", json_integer(label));
  return cli_json(root);
}

static void print_line(const session *s, const char *name, int label) {
  printf("%s:", name);
  for (int i = 0; i < s->top; i++) {
    int k = s->order[i];
    printf("%s %s %.4f", i > 0 ? "," : "", vgg_model_class_name(s->model, k),
           (double)s->probabilities[k]);
  }
  if (label >= 0) printf(" (is %s)", vgg_model_class_name(s->model, label));
  printf("\n");
}

/* ---- one picture ---------------------------------------------------------------------------- */

/* The likeliest first; of equals the lower class. */
static void sort_top(session *s) {
  for (int i = 0; i < s->top; i++) {
    int best = -1;
    for (int k = 0; k < s->classes; k++) {
      bool taken = false;
      for (int j = 0; j < i && !taken; j++) taken = s->order[j] == k;
      if (!taken && (best < 0 || s->probabilities[k] > s->probabilities[best])) best = k;
    }
    s->order[i] = best;
  }
}

/* Once, before the first answer. */
static void say_rule(session *s) {
  if (s->rule_said) return;
  s->rule_said = true;
  char cover[32];
  if (s->rule.shorter_side != 0)
    snprintf(cover, sizeof cover, "shorter side %d", s->rule.shorter_side);
  else
    snprintf(cover, sizeof cover, "cover %dx%d", s->rule.input.h, s->rule.input.w);
  cli_note(
      "pictures become input so: EXIF orientation %s, alpha over black%s%s, resized (bilinear)"
      " to %s, cropped at the centre%s%s",
      s->rule.ignore_exif ? "ignored" : "applied",
      s->rule.input.c == 1                         ? ", colour to grey (Pillow's L)"
      : s->rule.channels == VGG_CHANNELS_REPLICATE ? ", grey to three equal channels"
                                                   : "",
      s->rule.invert ? ", inverted" : "", cover,
      s->rule.reduced_jpeg ? " (large JPEGs decoded at a reduced size)" : "",
      s->rule.std[0] > 0 ? ", less the mean and over the deviation of the weights' pictures" : "");
}

static vgg_status classify(session *s, const vgg_image *image, const char *name, int label,
                           vgg_error *err) {
  vgg_status status = vgg_preprocess_apply(&s->rule, image, s->pixels, err);
  if (status == VGG_OK) {
    status = vgg_predictor_logits(s->predictor, 1, s->pixels, s->probabilities, err);
  }
  if (status != VGG_OK) return status;
  say_rule(s);
  vgg_softmax(s->probabilities, s->classes, s->probabilities);
  sort_top(s);
  if (s->json) {
    int code = print_json(s, name, label);
    if (code != 0) s->code = code;
  } else if (s->csv) {
    print_csv(s, name, label);
  } else {
    print_line(s, name, label);
  }
  return VGG_OK;
}

/* A picture that fails is said and remembered; the others still get their answer. */
static void predict_file(session *s, const char *path) {
  vgg_image image = {0};
  vgg_error err;
  const vgg_decode_options decode = vgg_preprocess_decode(&s->rule);
  if (vgg_image_read_with(path, &decode, &image, &err) != VGG_OK) {
    s->code = cli_error(&err);
    return;
  }
  if (classify(s, &image, path, -1, &err) != VGG_OK) {
    s->code = cli_fail((int)err.status, "%s: %s", path, err.message);
  }
  vgg_image_free(&image);
}

/* ---- folders -------------------------------------------------------------------------------- */

static int by_bytes(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The files of a folder, not those of folders in it, which are said. */
static void predict_folder(session *s, const char *path) {
  struct dirent **entries;
  int count = scandir(path, &entries, is_visible, by_bytes);
  if (count < 0) {
    s->code = cli_fail(VGG_NO_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    return;
  }
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  for (int i = 0; i < count; i++) {
    char *file;
    if (asprintf(&file, "%.*s/%s", (int)length, path, entries[i]->d_name) < 0) {
      file = NULL;
      s->code = cli_fail(VGG_NO_MEMORY, "%s: no memory", path);
    } else if (is_folder(file)) {
      cli_note("%s: a folder in a folder, left out", file);
    } else {
      predict_file(s, file);
    }
    free(file);
    free(entries[i]);
  }
  free(entries);
  if (count == 0) {
    s->code = cli_fail(VGG_NO_INPUT, "%s: found an empty folder, wanted pictures", path);
  }
}

/* ---- data sets ------------------------------------------------------------------------------ */

/* An open data set, its split, and the model's class for each of its own. */
typedef struct indexed {
  vgg_dataset *data;
  const char *split;
  int *map;
} indexed;

static vgg_status predict_index(session *s, const indexed *set, size_t i, vgg_error *err) {
  vgg_image image;
  char name[40];
  snprintf(name, sizeof name, "%s %zu", set->split, i);
  vgg_status status = vgg_dataset_read(set->data, i, &image, err);
  if (status != VGG_OK) return status;
  status = classify(s, &image, name, set->map[vgg_dataset_label(set->data, i)], err);
  vgg_image_free(&image);
  return status;
}

/* `list` is "3,17,4": read whole before the first picture, so that a typing error costs nothing. */
static int predict_indices(session *s, const char *list, const indexed *set) {
  const size_t count = vgg_dataset_count(set->data);
  for (int pass = 0; pass < 2; pass++) {
    for (const char *p = list; p != NULL; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
      char word[24];
      snprintf(word, sizeof word, "%.*s", (int)strcspn(p, ","), p);
      uint64_t i;
      if (!cli_whole(word, 0, count - 1, &i)) {
        return cli_fail(CLI_USAGE, "--index: found '%s', wanted a whole number from 0 to %zu", word,
                        count - 1);
      }
      vgg_error err;
      if (pass == 1 && predict_index(s, set, i, &err) != VGG_OK) return cli_error(&err);
    }
  }
  return 0;
}

static int predict_data(session *s, const predict_args *a) {
  indexed set = {.split = a->split};
  vgg_error err;
  if (cli_open_for_model(s->model, &a->data, &set.split, &set.data, &err) != VGG_OK)
    return cli_error(&err);
  int code;
  set.map = malloc(((size_t)vgg_dataset_classes(set.data) + 1) * sizeof *set.map);
  if (set.map == NULL)
    code = cli_fail(VGG_NO_MEMORY, "no memory for %d classes", vgg_dataset_classes(set.data));
  else if (vgg_class_map(s->model, set.data, set.map, &err) != VGG_OK)
    code = cli_error(&err);
  else
    code = predict_indices(s, a->index, &set);
  free(set.map);
  vgg_dataset_close(set.data);
  return code;
}

/* ---- command -------------------------------------------------------------------------------- */

static bool session_open(session *s, const predict_args *a, vgg_model *model, vgg_error *err) {
  vgg_run_options options = run_args_get(&a->run);
  options.batch = 1; /* so that no answer depends on the pictures beside it */
  s->model = model;
  s->rule = *vgg_model_preprocess(model);
  s->rule.invert ^= a->invert;
  s->classes = vgg_arch_get_options(vgg_model_arch(model))->classes;
  s->top = a->top == 0 ? 3 : (int)a->top;
  if (s->top > s->classes) s->top = s->classes;
  s->json = a->json;
  s->csv = a->csv;
  if (vgg_predictor_create(model, &options, &s->predictor, err) != VGG_OK) return false;
  vgg_shape in = s->rule.input;
  s->pixels = malloc((size_t)in.c * (size_t)in.h * (size_t)in.w);
  s->probabilities = malloc((size_t)s->classes * sizeof(float));
  s->order = malloc((size_t)s->top * sizeof(int));
  if (s->pixels != NULL && s->probabilities != NULL && s->order != NULL) return true;
  *err = (vgg_error){.status = VGG_NO_MEMORY, .message = "no memory for a picture"};
  return false;
}

static void session_close(session *s) {
  vgg_predictor_close(s->predictor);
  free(s->pixels);
  free(s->probabilities);
  free(s->order);
}

static int predict(const predict_args *a, vgg_model *model, char **paths, int num_paths) {
  session s = {0};
  vgg_error err;
  int code = 0;
  if (!session_open(&s, a, model, &err)) {
    code = cli_error(&err);
  } else {
    if (a->csv) printf("picture,rank,class,name,probability,label\n");
    if (a->index != NULL) code = predict_data(&s, a);
    for (int i = 0; i < num_paths; i++) {
      if (is_folder(paths[i])) {
        predict_folder(&s, paths[i]);
      } else {
        predict_file(&s, paths[i]);
      }
    }
    if (code == 0) code = s.code;
  }
  session_close(&s);
  return code;
}

int cmd_predict(int argc, char **argv) {
  predict_args a = {0};
  opt_list list = {.help = help, .operand = "MODEL", .min_operands = 1, .max_operands = argc};
  run_args_options(&a.run, &list);
  opt_text(&list, "data", &a.data.data);
  opt_choice(&list, "split", "test|train|val", &a.split);
  opt_choice(&list, "channels", "luma|replicate", &a.channels);
  opt_choice(&list, "class-order", "bytes|natural|file", &a.data.class_order);
  opt_text(&list, "index", &a.index);
  opt_whole(&list, "top", 1, 1 << 20, &a.top);
  opt_flag(&list, "json", &a.json);
  opt_flag(&list, "csv", &a.csv);
  opt_flag(&list, "invert", &a.invert);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  if ((a.index != NULL) == (list.num_operands > 1)) {
    return cli_fail(CLI_USAGE, "found %s, wanted either pictures or --index",
                    a.index != NULL ? "both" : "neither");
  }
  if (a.json && a.csv) return cli_fail(CLI_USAGE, "found --json and --csv, wanted one of them");
  vgg_model *model = NULL;
  vgg_error err;
  if (vgg_model_load(list.operands[0], &model, &err) != VGG_OK) return cli_error(&err);
  cli_set_channels(model, a.channels);
  code = predict(&a, model, list.operands + 1, list.num_operands - 1);
  vgg_model_close(model);
  return code;
}
