/* SPDX-License-Identifier: Apache-2.0 */
#include "train/class_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The next number of the list at *s; false if there is none that is allowed. */
static bool next_number(const char **s, double *value) {
  if (**s != '.' && (**s < '0' || **s > '9')) return false; /* strtod takes blanks and words */
  char *end;
  *value = strtod(*s, &end);
  const bool ok = isfinite((float)*value) && (*end == 0 || (*end == ',' && end[1] != 0));
  *s = *end == ',' ? end + 1 : end;
  return ok;
}

/* How many numbers; 0 if it is no list of numbers of which one is positive. */
static int count_numbers(const char *s) {
  int count = 0;
  double value, most = 0;
  do {
    if (!next_number(&s, &value)) return 0;
    most = value > most ? value : most;
    count++;
  } while (*s);
  return most > 0 ? count : 0;
}

static bool is_word(const char *word) {
  return strcmp(word, "none") == 0 || strcmp(word, "balanced") == 0;
}

vgg_status class_weights_check(const char *word, vgg_error *err) {
  if (is_word(word) || count_numbers(word) > 0) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE,
                 "class weights '%s': wanted none, balanced or a number for each class: 1,2,0.5",
                 word);
}

/* Absent classes do not count as classes, so that the mean over all pictures is 1. */
static vgg_status balance(const vgg_dataset *data, int classes, float *out, vgg_error *err) {
  const size_t count = vgg_dataset_count(data);
  size_t *of_class = calloc((size_t)classes, sizeof *of_class);
  if (!of_class) return err_no_memory(err, "class weights", (size_t)classes * sizeof *of_class);
  for (size_t i = 0; i < count; i++) of_class[vgg_dataset_label(data, i)]++;
  int present = 0;
  for (int k = 0; k < classes; k++) present += of_class[k] > 0;
  for (int k = 0; k < classes; k++)
    out[k] = of_class[k] ? (float)((double)count / ((double)present * (double)of_class[k])) : 0;
  free(of_class);
  return VGG_OK;
}

vgg_status class_weights_make(const char *word, const vgg_dataset *data, int classes, float **out,
                              vgg_error *err) {
  *out = NULL;
  if (strcmp(word, "none") == 0) return VGG_OK;
  const int count = is_word(word) ? 0 : count_numbers(word), wanted = vgg_dataset_classes(data);
  if (count > 0 && count != wanted)
    return err_set(err, VGG_BAD_VALUE, "class weights: %d numbers, the data has %d classes", count,
                   wanted);
  float *weights = calloc((size_t)classes, sizeof *weights);
  if (!weights) return err_no_memory(err, "class weights", (size_t)classes * sizeof *weights);
  vgg_status status = VGG_OK;
  if (count == 0) status = balance(data, classes, weights, err);
  double value = 0;
  for (int k = 0; k < count; k++) {
    next_number(&word, &value);
    weights[k] = (float)value;
  }
  if (status == VGG_OK)
    *out = weights;
  else
    free(weights);
  return status;
}
