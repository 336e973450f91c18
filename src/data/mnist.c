/* SPDX-License-Identifier: Apache-2.0
 *
 * The sets that come in IDX files: MNIST (LeCun, Cortes, Burges), KMNIST (Clanuwat et al., arXiv
 * 1812.01718), EMNIST (Cohen et al., arXiv 1702.05373), and any others.
 */
#include "data/mnist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "data/idx.h"

enum { MAX_NAME = 64 }; /* of a file */

/* A published set whose labels have names. */
typedef struct idx_set {
  const char *word;
  const char *below;    /* folder that torchvision makes */
  const char *files[2]; /* how their names begin, by split */
  const char *classes;  /* names with a blank between */
  int first_label;      /* of class 0 */
  bool lying;           /* pictures are stored column by column */
} idx_set;

#define MNIST_FILES \
  { "train", "t10k" }
#define EMNIST_FILES(set) \
  { "emnist-" set "-train", "emnist-" set "-test" }
#define DIGITS "0 1 2 3 4 5 6 7 8 9"
#define CAPITALS "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z"
#define SMALLS "a b c d e f g h i j k l m n o p q r s t u v w x y z"
#define UNLIKE_CAPITALS "a b d e f g h n q r t" /* the small letters that differ in shape */

static const idx_set sets[] = {
    {"mnist", "MNIST/raw", MNIST_FILES, DIGITS, 0, false},
    {"kmnist", "KMNIST/raw", MNIST_FILES, "o ki su tsu na ha ma ya re wo", 0, false},
    {"emnist-balanced", "EMNIST/raw", EMNIST_FILES("balanced"),
     DIGITS " " CAPITALS " " UNLIKE_CAPITALS, 0, true},
    {"emnist-bymerge", "EMNIST/raw", EMNIST_FILES("bymerge"),
     DIGITS " " CAPITALS " " UNLIKE_CAPITALS, 0, true},
    {"emnist-byclass", "EMNIST/raw", EMNIST_FILES("byclass"), DIGITS " " CAPITALS " " SMALLS, 0,
     true},
    {"emnist-letters", "EMNIST/raw", EMNIST_FILES("letters"), CAPITALS, 1, true},
    {"emnist-digits", "EMNIST/raw", EMNIST_FILES("digits"), DIGITS, 0, true},
    {"emnist-mnist", "EMNIST/raw", EMNIST_FILES("mnist"), DIGITS, 0, true},
};

/* ---- places ---------------------------------------------------------------------------------- */

vgg_status mnist_folder(const dataset_query *q, const char *below, char **out, vgg_error *err) {
  const vgg_status status = dataset_refuse_validation(q, err);
  if (status != VGG_OK) return status;
  *out = dataset_folder(q->path, below);
  return *out ? VGG_OK : err_no_memory(err, q->path, strlen(q->path));
}

unsigned mnist_holds_in(const char *path, const char *below) {
  char *folder = dataset_folder(path, below);
  unsigned held = 0;
  if (folder && idx_exists(folder, idx_name(VGG_TRAIN, IDX_PICTURES))) held |= 1u << VGG_TRAIN;
  if (folder && idx_exists(folder, idx_name(VGG_TEST, IDX_PICTURES))) held |= 1u << VGG_TEST;
  free(folder);
  return held & 1u << VGG_TRAIN ? held : 0;
}

/* ---- sets with names ------------------------------------------------------------------------- */

static const idx_set *set_of(const char *word) {
  size_t i = 0;
  while (strcmp(sets[i].word, word) != 0) i++; /* datasets.def has no word that is not here */
  return &sets[i];
}

static void name_files(const idx_set *set, vgg_split split, char pictures[MAX_NAME],
                       char labels[MAX_NAME]) {
  const char *begin = set->files[split == VGG_TEST];
  snprintf(pictures, MAX_NAME, "%s-images-idx3-ubyte", begin);
  snprintf(labels, MAX_NAME, "%s-labels-idx1-ubyte", begin);
}

static vgg_status name_classes(const idx_set *set, dataset_store *out, vgg_error *err) {
  for (const char *p = set->classes; *p;) {
    const size_t length = strcspn(p, " ");
    char name[8];
    snprintf(name, sizeof name, "%.*s", (int)length, p);
    if (class_table_add(&out->classes, name) < 0) return err_no_memory(err, set->word, sizeof name);
    p += length + (p[length] == ' ');
  }
  return VGG_OK;
}

static vgg_status number_labels(const idx_set *set, const char *file, dataset_store *out,
                                vgg_error *err) {
  const int classes = (int)out->classes.names.count;
  for (size_t i = 0; i < out->count; i++) {
    const int label = out->labels[i] - set->first_label;
    if (label < 0 || label >= classes)
      return err_set(err, VGG_BAD_CONTENT, "%s: label %zu is %d, %s has %d to %d", file, i,
                     out->labels[i], set->word, set->first_label, set->first_label + classes - 1);
    out->labels[i] = label;
  }
  return VGG_OK;
}

/* Pictures that lie on their side: rows become columns. */
static vgg_status turn_upright(dataset_store *out, vgg_error *err) {
  const int h = out->shape.h, w = out->shape.w;
  const size_t size = (size_t)h * (size_t)w;
  uint8_t *lying = malloc(size);
  if (!lying) return err_no_memory(err, "turning pictures", size);
  for (size_t i = 0; i < out->count; i++) {
    uint8_t *p = out->pixels + i * size;
    memcpy(lying, p, size);
    for (int x = 0; x < h; x++)
      for (int y = 0; y < w; y++) p[y * h + x] = lying[x * w + y];
  }
  free(lying);
  out->shape.h = w;
  out->shape.w = h;
  return VGG_OK;
}

static vgg_status read_set(const idx_set *set, const dataset_query *q, dataset_store *out,
                           vgg_error *err) {
  static const char advice[] = "name the folder that holds its IDX files";
  char pictures_name[MAX_NAME], labels_name[MAX_NAME], *folder = NULL;
  idx_array pictures = {0}, labels = {0};
  name_files(set, q->split, pictures_name, labels_name);
  vgg_status status = mnist_folder(q, set->below, &folder, err);
  if (status == VGG_OK) status = name_classes(set, out, err);
  if (status == VGG_OK) status = idx_read(folder, pictures_name, 3, advice, &pictures, err);
  if (status == VGG_OK) status = idx_read(folder, labels_name, 1, advice, &labels, err);
  if (status == VGG_OK)
    status = idx_adopt(folder, pictures_name, &pictures, labels_name, &labels, out, err);
  if (status == VGG_OK) status = number_labels(set, labels_name, out, err);
  if (status == VGG_OK && set->lying) status = turn_upright(out, err);
  free(pictures.data);
  free(labels.data);
  free(folder);
  return status;
}

/* ---- rows of datasets.def -------------------------------------------------------------------- */

vgg_status mnist_read(const dataset_query *q, dataset_store *out, vgg_error *err) {
  return read_set(set_of(q->word), q, out, err);
}

unsigned mnist_holds(const char *set, const char *path) {
  const idx_set *known = set_of(set);
  unsigned held = 0;
  char *folder = dataset_folder(path, known->below), names[2][MAX_NAME];
  for (int split = VGG_TRAIN; folder && split <= VGG_TEST; split++) {
    name_files(known, (vgg_split)split, names[0], names[1]);
    if (idx_exists(folder, names[0])) held |= 1u << split;
  }
  free(folder);
  return held & 1u << VGG_TRAIN ? held : 0;
}

static int highest(const idx_array *labels) {
  int most = 0;
  for (size_t i = 0; i < labels->size; i++)
    if (labels->data[i] > most) most = labels->data[i];
  return most;
}

/* Any content. The labels of both splits are read, since they say together how many classes there
 * are. */
vgg_status idx_folder_read(const dataset_query *q, dataset_store *out, vgg_error *err) {
  static const char advice[] =
      "idx:DIR wants train-images-idx3-ubyte, train-labels-idx1-ubyte, "
      "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte";
  const vgg_split other_split = q->split == VGG_TRAIN ? VGG_TEST : VGG_TRAIN;
  const char *pictures_name = idx_name(q->split, IDX_PICTURES);
  const char *labels_name = idx_name(q->split, IDX_LABELS);
  idx_array pictures = {0}, labels = {0}, other = {0};
  vgg_status status = dataset_refuse_validation(q, err);
  if (status == VGG_OK) status = idx_read(q->path, pictures_name, 3, advice, &pictures, err);
  if (status == VGG_OK) status = idx_read(q->path, labels_name, 1, advice, &labels, err);
  if (status == VGG_OK)
    status = idx_read(q->path, idx_name(other_split, IDX_LABELS), 1, advice, &other, err);
  if (status == VGG_OK) {
    const int here = highest(&labels), there = highest(&other);
    status = dataset_number_classes(out, 1 + (here > there ? here : there), err);
  }
  if (status == VGG_OK)
    status = idx_adopt(q->path, pictures_name, &pictures, labels_name, &labels, out, err);
  free(pictures.data);
  free(labels.data);
  free(other.data);
  return status;
}

unsigned idx_folder_holds(const char *set, const char *path) {
  (void)set;
  return mnist_holds_in(path, ".");
}
