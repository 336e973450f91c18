/* SPDX-License-Identifier: Apache-2.0 */
#include "train/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "vgg/report.h"

static const char *column_name(const metrics *m, int i) {
  static const char *const names[2][METRICS_COLUMNS] = {
      {"step", "epoch", "x", "train_loss", "train_acc", "test_acc", "test_loss", "lr",
       "images_per_sec", "wall"},
      {"step", "epoch", "x", "train_loss", "train_acc", "val_acc", "val_loss", "lr",
       "images_per_sec", "wall"},
  };
  return names[m->held == VGG_VALIDATION][i];
}

static void column_values(const metrics_record *r, double values[METRICS_COLUMNS]) {
  memcpy(values, r, sizeof *r);
}

/* Nine digits tell any two floats apart. The decimal point must not follow the locale that a
 * program around the library may have set. */
static void add_number(text *t, double value) {
  char s[40];
  snprintf(s, sizeof s, "%.9g", value);
  char *comma = strchr(s, ',');
  if (comma) *comma = '.';
  text_add(t, "%s", s);
}

static void add_json_line(const metrics *m, text *t, const metrics_record *r) {
  double values[METRICS_COLUMNS];
  column_values(r, values);
  for (int i = 0; i < METRICS_COLUMNS; i++) {
    text_add(t, "%s\"%s\": ", i ? ", " : "{", column_name(m, i));
    if (isfinite(values[i]))
      add_number(t, values[i]);
    else
      text_add(t, "null");
  }
  text_add(t, "}\n");
}

static void add_csv_heading(const metrics *m, text *t) {
  for (int i = 0; i < METRICS_COLUMNS; i++) text_add(t, "%s%s", i ? "," : "", column_name(m, i));
  text_add(t, "\n");
}

static void add_csv_line(text *t, const metrics_record *r) {
  double values[METRICS_COLUMNS];
  column_values(r, values);
  for (int i = 0; i < METRICS_COLUMNS; i++) {
    if (i) text_add(t, ",");
    if (isfinite(values[i])) add_number(t, values[i]);
  }
  text_add(t, "\n");
}

static vgg_status remember(metrics *m, const metrics_record *record, vgg_error *err) {
  if (m->count == m->capacity) {
    const size_t capacity = m->capacity ? 2 * m->capacity : 64;
    metrics_record *records = realloc(m->records, capacity * sizeof *records);
    if (records) m->records = records;
    vgg_curve_point *points = realloc(m->points, capacity * sizeof *points);
    if (points) m->points = points;
    if (!records || !points) return err_no_memory(err, "metrics", capacity * sizeof *records);
    m->capacity = capacity;
  }
  m->records[m->count] = *record;
  m->points[m->count] =
      (vgg_curve_point){record->x, record->train_loss, record->train_acc, record->held_acc};
  m->count++;
  return VGG_OK;
}

typedef vgg_status (*put_function)(const char *path, const void *bytes, size_t size,
                                   vgg_error *err);

static vgg_status append(const char *path, const void *bytes, size_t size, vgg_error *err) {
  const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return err_set(err, VGG_NO_OUTPUT, "%s: %s", path, strerror(errno));
  const ssize_t written = write(fd, bytes, size);
  const int cause = written < 0 ? errno : ENOSPC;
  close(fd);
  if (written != (ssize_t)size) return err_set(err, VGG_IO, "%s: %s", path, strerror(cause));
  return VGG_OK;
}

static vgg_status put(const metrics *m, const char *name, text *t, put_function function,
                      vgg_error *err) {
  char *path = path_join(m->dir, name);
  vgg_status status = VGG_OK;
  if (!path || t->failed)
    status = err_no_memory(err, name, t->length);
  else
    status = function(path, t->s ? t->s : "", t->length, err);
  free(path);
  free(t->s);
  return status;
}

static vgg_status draw(const metrics *m, const char *name, vgg_error *err) {
  char *path = path_join(m->dir, name);
  if (!path) return err_no_memory(err, name, strlen(m->dir));
  const vgg_status status = vgg_curves_save(m->points, m->count, m->epochs, m->held, path, err);
  free(path);
  return status;
}

static vgg_status draw_curves(const metrics *m, vgg_error *err) {
  const vgg_status status = draw(m, "curves.svg", err);
  if (status != VGG_OK) return status;
#ifdef VGG_HAVE_CAIRO
  return draw(m, "curves.png", err);
#else
  return VGG_OK;
#endif
}

vgg_status metrics_open(metrics *m, const char *dir, int epochs, vgg_split held,
                        const metrics_record *records, size_t count, vgg_error *err) {
  m->dir = dir;
  m->epochs = epochs;
  m->held = held;
  vgg_status status = VGG_OK;
  text json = {0}, csv = {0};
  add_csv_heading(m, &csv);
  for (size_t i = 0; i < count && status == VGG_OK; i++) {
    add_json_line(m, &json, &records[i]);
    add_csv_line(&csv, &records[i]);
    status = remember(m, &records[i], err);
  }
  if (status != VGG_OK) {
    free(json.s);
    free(csv.s);
    return status;
  }
  status = put(m, "metrics.jsonl", &json, file_replace, err);
  if (status != VGG_OK) {
    free(csv.s);
    return status;
  }
  status = put(m, "metrics.csv", &csv, file_replace, err);
  return status == VGG_OK ? draw_curves(m, err) : status;
}

void metrics_close(metrics *m) {
  free(m->records);
  free(m->points);
  *m = (metrics){0};
}

vgg_status metrics_add(metrics *m, const metrics_record *record, vgg_error *err) {
  vgg_status status = remember(m, record, err);
  if (status != VGG_OK) return status;
  text json = {0}, csv = {0};
  add_json_line(m, &json, record);
  status = put(m, "metrics.jsonl", &json, append, err);
  if (status != VGG_OK) return status;
  add_csv_line(&csv, record);
  status = put(m, "metrics.csv", &csv, append, err);
  return status == VGG_OK ? draw_curves(m, err) : status;
}
