/* SPDX-License-Identifier: Apache-2.0 */
#include "data/classes.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

enum { MAX_FILE = 64 << 20 };

/* The place of `name` in by_name, or the one where it would stand. */
static size_t place_of(const class_table *table, const char *name, bool *found) {
  size_t low = 0, high = table->names.count;
  *found = false;
  while (low < high && !*found) {
    const size_t middle = low + (high - low) / 2;
    const int c = strcmp(name, name_list_at(&table->names, table->by_name[middle]));
    if (c == 0) *found = true;
    if (c > 0)
      low = middle + 1;
    else
      high = middle;
  }
  return high;
}

int class_table_find(const class_table *table, const char *name) {
  bool found;
  const size_t place = place_of(table, name, &found);
  return found ? (int)table->by_name[place] : -1;
}

int class_table_add(class_table *table, const char *name) {
  bool found;
  const size_t place = place_of(table, name, &found), count = table->names.count;
  if (found) return (int)table->by_name[place];
  if (count == CLASSES_MAX) return -1;
  if (count == table->room) {
    const size_t room = table->room ? 2 * table->room : 16;
    uint32_t *by_name = realloc(table->by_name, room * sizeof *by_name);
    if (!by_name) return -1;
    table->by_name = by_name;
    table->room = room;
  }
  if (!name_list_add(&table->names, name, strlen(name))) return -1;
  memmove(table->by_name + place + 1, table->by_name + place,
          (count - place) * sizeof *table->by_name);
  table->by_name[place] = (uint32_t)count;
  return (int)count;
}

void class_table_free(class_table *table) {
  name_list_free(&table->names);
  free(table->by_name);
  *table = (class_table){0};
}

/* ---- a file of names ------------------------------------------------------------------------- */

static vgg_status add_line(class_table *table, const char *path, const char *line, size_t length,
                           vgg_error *err) {
  if (length > 0 && line[length - 1] == '\r') length--;
  if (length == 0) return VGG_OK;
  if (memchr(line, 0, length))
    return err_set(err, VGG_BAD_CONTENT, "%s: holds a NUL byte, wanted a class a line", path);
  char *name = strndup(line, length);
  if (!name) return err_no_memory(err, path, length);
  vgg_status status = VGG_OK;
  const int before = (int)table->names.count, id = class_table_add(table, name);
  if (id < 0)
    status = err_no_memory(err, path, length);
  else if (id < before)
    status = err_set(err, VGG_BAD_CONTENT, "%s: names class '%.80s' twice", path, name);
  free(name);
  return status;
}

vgg_status class_table_read(class_table *table, const char *path, vgg_error *err) {
  uint8_t *bytes;
  size_t size;
  vgg_status status = file_read(path, MAX_FILE, &bytes, &size, err);
  if (status != VGG_OK) return status;
  const char *line = (const char *)bytes, *end = line + size;
  while (status == VGG_OK && line < end) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    const char *stop = newline ? newline : end;
    status = add_line(table, path, line, (size_t)(stop - line), err);
    line = stop + 1;
  }
  free(bytes);
  return status;
}

/* ---- order ----------------------------------------------------------------------------------- */

static vgg_status read_order(const char *folder, class_table *table, vgg_error *err) {
  char *path = path_join(folder, "classes.txt");
  if (!path) return err_no_memory(err, folder, strlen(folder));
  const vgg_status status = class_table_read(table, path, err);
  free(path);
  return status;
}

static vgg_status sorted(const class_table *table, name_order order, class_table *out,
                         vgg_error *err) {
  name_list names = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < table->names.count; i++) {
    const char *name = name_list_at(&table->names, i);
    ok = name_list_add(&names, name, strlen(name));
  }
  ok = ok && name_list_sort(&names, order);
  for (size_t i = 0; ok && i < names.count; i++)
    ok = class_table_add(out, name_list_at(&names, i)) >= 0;
  name_list_free(&names);
  return ok ? VGG_OK : err_no_memory(err, "classes", table->names.bytes.length);
}

/* Labels move from `old` numbers to those of `table`. */
static vgg_status relabel(const class_table *old, const class_table *table, const char *folder,
                          int32_t *labels, size_t count, vgg_error *err) {
  const size_t known = old->names.count;
  int32_t *moved = malloc((known ? known : 1) * sizeof *moved);
  if (!moved) return err_no_memory(err, "classes", known * sizeof *moved);
  vgg_status status = VGG_OK;
  for (size_t i = 0; status == VGG_OK && i < known; i++) {
    const char *name = name_list_at(&old->names, i);
    moved[i] = class_table_find(table, name);
    if (moved[i] < 0)
      status = err_set(err, VGG_BAD_CONTENT, "%s/classes.txt: lacks class '%.80s' of the pictures",
                       folder, name);
  }
  for (size_t i = 0; status == VGG_OK && i < count; i++) labels[i] = moved[labels[i]];
  free(moved);
  return status;
}

vgg_status class_table_arrange(class_table *table, const char *order, const char *folder,
                               int32_t *labels, size_t count, vgg_error *err) {
  class_table arranged = {0};
  vgg_status status;
  if (!order || strcmp(order, "bytes") == 0)
    status = sorted(table, name_by_bytes, &arranged, err);
  else if (strcmp(order, "natural") == 0)
    status = sorted(table, name_by_numbers, &arranged, err);
  else if (strcmp(order, "file") == 0)
    status = read_order(folder, &arranged, err);
  else
    status =
        err_set(err, VGG_BAD_VALUE, "class order '%.40s': wanted bytes, natural or file", order);
  if (status == VGG_OK) status = relabel(table, &arranged, folder, labels, count, err);
  if (status == VGG_OK) {
    const class_table old = *table;
    *table = arranged;
    arranged = old;
  }
  class_table_free(&arranged);
  return status;
}
