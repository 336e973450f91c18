/* SPDX-License-Identifier: Apache-2.0 */
#include "data/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "data/dataset.h"

enum { MAX_FILE = 1 << 30 };

/* ---- text ------------------------------------------------------------------------------------ */

typedef struct reader {
  const char *name;
  const char *at, *end;
  char separator;
  size_t line; /* of `at`, from 1 */
  text field;  /* the newest one */
} reader;

static vgg_status bad(const reader *r, size_t line, const char *what, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: line %zu: %s, wanted path%clabel", r->name, line, what,
                 r->separator == '\t' ? ' ' : r->separator);
}

/* At the end of a record: the length of its line break, 0 when there is none. */
static size_t newline(const reader *r) {
  if (r->at < r->end && *r->at == '\n') return 1;
  return r->end - r->at >= 2 && r->at[0] == '\r' && r->at[1] == '\n' ? 2 : 0;
}

static bool at_field_end(const reader *r) {
  return r->at == r->end || *r->at == r->separator || newline(r) > 0;
}

static vgg_status read_quoted(reader *r, vgg_error *err) {
  const size_t first = r->line;
  for (r->at++;; r->at++) {
    const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
    if (!quote) return bad(r, first, "a quote is not closed", err);
    for (const char *p = r->at; p < quote; p++) r->line += *p == '\n';
    text_add_bytes(&r->field, r->at, (size_t)(quote - r->at));
    r->at = quote + 1;
    if (r->at == r->end || *r->at != '"') break;
    text_add_bytes(&r->field, "\"", 1);
  }
  return at_field_end(r) ? VGG_OK : bad(r, r->line, "text follows a closing quote", err);
}

static vgg_status read_plain(reader *r, vgg_error *err) {
  const char *first = r->at;
  while (!at_field_end(r)) {
    if (*r->at == '"') return bad(r, r->line, "a quote stands within a field", err);
    r->at++;
  }
  text_add_bytes(&r->field, first, (size_t)(r->at - first));
  return VGG_OK;
}

/* The next field, to the list. */
static vgg_status read_field(reader *r, const char *what_if_empty, name_list *list,
                             vgg_error *err) {
  const size_t line = r->line;
  r->field.length = 0;
  const bool quoted = r->at < r->end && *r->at == '"';
  const vgg_status status = quoted ? read_quoted(r, err) : read_plain(r, err);
  if (status != VGG_OK) return status;
  if (r->field.failed) return err_no_memory(err, r->name, r->field.length);
  if (r->field.length == 0) return bad(r, line, what_if_empty, err);
  if (memchr(r->field.s, 0, r->field.length)) return bad(r, line, "a NUL byte", err);
  if (!name_list_add(list, r->field.s, r->field.length))
    return err_no_memory(err, r->name, r->field.length);
  return VGG_OK;
}

static vgg_status read_record(reader *r, name_list *paths, name_list *labels, vgg_error *err) {
  vgg_status status = read_field(r, "the path is missing", paths, err);
  if (status != VGG_OK) return status;
  if (r->at == r->end || *r->at != r->separator)
    return bad(r, r->line, "the label is missing", err);
  r->at++;
  status = read_field(r, "the label is missing", labels, err);
  if (status != VGG_OK) return status;
  if (r->at < r->end && *r->at == r->separator)
    return bad(r, r->line, "a third field (quote a path that holds the separator)", err);
  return VGG_OK;
}

static bool is_heading(const name_list *paths, const name_list *labels) {
  return paths->count == 1 && strcasecmp(name_list_at(paths, 0), "path") == 0 &&
         strcasecmp(name_list_at(labels, 0), "label") == 0;
}

vgg_status csv_parse(const char *name, const uint8_t *bytes, size_t size, char separator,
                     name_list *paths, name_list *labels, vgg_error *err) {
  const char *first = (const char *)bytes;
  reader r = {.name = name, .at = first, .end = first + size, .separator = separator, .line = 1};
  if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) r.at += 3;
  vgg_status status = VGG_OK;
  bool heading = false;
  while (status == VGG_OK && r.at < r.end) {
    if (newline(&r) == 0) status = read_record(&r, paths, labels, err);
    if (status == VGG_OK && !heading && is_heading(paths, labels)) {
      heading = true;
      name_list_truncate(paths, 0);
      name_list_truncate(labels, 0);
    }
    const size_t step = newline(&r);
    r.at += step;
    r.line += step > 0;
  }
  free(r.field.s);
  if (status == VGG_OK && paths->count == 0)
    return err_set(err, VGG_BAD_CONTENT, "%s: names no picture, wanted lines of path%clabel", name,
                   separator == '\t' ? ' ' : separator);
  return status;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *suffix) {
  const size_t length = strlen(path), tail = strlen(suffix);
  return length > tail && strcasecmp(path + length - tail, suffix) == 0;
}

/* The list of a split: `path` itself is a training set, a folder may have three. NULL with *absent
 * when there is none, without it when memory ran out. */
static char *file_of(const char *path, vgg_split split, bool *absent) {
  *absent = false;
  if (!path_is_dir(path)) {
    *absent = split != VGG_TRAIN || !path_exists(path);
    return *absent ? NULL : strdup(path);
  }
  for (int i = 0; i < 2; i++) {
    char name[16];
    snprintf(name, sizeof name, "%s.%s", vgg_split_name(split), i ? "tsv" : "csv");
    char *file = path_join(path, name);
    if (!file || path_exists(file)) return file;
    free(file);
  }
  *absent = true;
  return NULL;
}

unsigned csv_holds(const char *set, const char *path) {
  (void)set;
  if (!path_is_dir(path))
    return path_exists(path) && (ends_in(path, ".csv") || ends_in(path, ".tsv")) ? 1u << VGG_TRAIN
                                                                                 : 0;
  unsigned held = 0;
  for (int split = 0; split < VGG_NUM_SPLITS; split++) {
    bool absent;
    char *file = file_of(path, (vgg_split)split, &absent);
    if (file) held |= 1u << split;
    free(file);
  }
  return held & 1u << VGG_TRAIN ? held : 0;
}

/* The list of a split, read. */
static vgg_status read_list(const char *path, vgg_split split, name_list *paths, name_list *labels,
                            vgg_error *err) {
  bool absent;
  uint8_t *bytes = NULL;
  size_t size;
  char *file = file_of(path, split, &absent);
  if (!file && !absent) return err_no_memory(err, path, strlen(path));
  if (!file)
    return err_set(err, VGG_NO_INPUT, "%s: holds no %s set%s", path, vgg_split_name(split),
                   path_is_dir(path) ? "" : ", a CSV file is all training set");
  vgg_status status = file_read(file, MAX_FILE, &bytes, &size, err);
  if (status == VGG_OK)
    status = csv_parse(file, bytes, size, ends_in(file, ".tsv") ? '\t' : ',', paths, labels, err);
  if (status == VGG_OK && paths->count > DATASET_MAX_COUNT)
    status = err_set(err, VGG_BAD_CONTENT, "%s: names %zu pictures, at most %d are read", file,
                     paths->count, DATASET_MAX_COUNT);
  free(bytes);
  free(file);
  return status;
}

/* Labels become numbers: those of the training set, which other splits only look up. */
static vgg_status number(const char *path, const name_list *labels, bool training,
                         class_table *classes, int32_t *out, vgg_error *err) {
  for (size_t i = 0; i < labels->count; i++) {
    const char *name = name_list_at(labels, i);
    out[i] = training ? class_table_add(classes, name) : class_table_find(classes, name);
    if (out[i] >= 0) continue;
    if (!training)
      return err_set(err, VGG_BAD_CONTENT, "%s: class '%.80s' is not in the training set", path,
                     name);
    return err_set(err, VGG_NO_MEMORY, "%s: no memory for its classes, or over %d of them", path,
                   CLASSES_MAX);
  }
  return VGG_OK;
}

static vgg_status read_training(const dataset_query *q, const char *folder, name_list *paths,
                                class_table *classes, int32_t **labels, vgg_error *err) {
  name_list names = {0};
  vgg_status status = read_list(q->path, VGG_TRAIN, paths, &names, err);
  if (status == VGG_OK) {
    *labels = malloc(names.count * sizeof **labels);
    if (!*labels) status = err_no_memory(err, q->path, names.count * sizeof **labels);
  }
  if (status == VGG_OK) status = number(q->path, &names, true, classes, *labels, err);
  if (status == VGG_OK)
    status = class_table_arrange(classes, q->class_order, folder, *labels, names.count, err);
  name_list_free(&names);
  return status;
}

/* Another split beside the training set, whose paths and labels are only there for the classes. */
static vgg_status read_other(const dataset_query *q, dataset_store *out, vgg_error *err) {
  name_list names = {0};
  free(out->labels);
  out->labels = NULL;
  name_list_free(&out->paths);
  vgg_status status = read_list(q->path, q->split, &out->paths, &names, err);
  if (status == VGG_OK) {
    out->labels = malloc(names.count * sizeof *out->labels);
    if (!out->labels) status = err_no_memory(err, q->path, names.count * sizeof *out->labels);
  }
  if (status == VGG_OK) status = number(q->path, &names, false, &out->classes, out->labels, err);
  name_list_free(&names);
  return status;
}

/* What the paths count from, absolute: the program may move. */
static vgg_status folder_of(const char *path, char **out, vgg_error *err) {
  char *absolute = realpath(path, NULL);
  if (!absolute) return err_set(err, VGG_NO_INPUT, "%s: no such file or folder", path);
  if (!path_is_dir(absolute)) {
    char *slash = strrchr(absolute, '/');
    slash[slash == absolute] = 0;
  }
  *out = absolute;
  return VGG_OK;
}

vgg_status csv_read(const dataset_query *q, dataset_store *out, vgg_error *err) {
  vgg_status status = folder_of(q->path, &out->folder, err);
  if (status == VGG_OK)
    status = read_training(q, out->folder, &out->paths, &out->classes, &out->labels, err);
  if (status == VGG_OK && q->split != VGG_TRAIN) status = read_other(q, out, err);
  if (status != VGG_OK) return status;
  out->count = out->paths.count;
  return dataset_note_missing(out, q->split, err);
}
