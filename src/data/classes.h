/* SPDX-License-Identifier: Apache-2.0
 *
 * The classes of a data set: names that the training set gives numbers, and the others look up.
 */
#ifndef DATA_CLASSES_H
#define DATA_CLASSES_H

#include <stdint.h>

#include "data/names.h"
#include "vgg/status.h"

enum { CLASSES_MAX = 1 << 20 };

/* Start with {0}; free with class_table_free. */
typedef struct class_table {
  name_list names;   /* by number */
  uint32_t *by_name; /* [names.count] the numbers in bytewise order of their names */
  size_t room;
} class_table;

/* The number of a name, or -1. */
int class_table_find(const class_table *table, const char *name);
/* The same; a new name gets the next number. -1 without memory or beyond CLASSES_MAX. */
int class_table_add(class_table *table, const char *name);
void class_table_free(class_table *table);

/* Adds the lines of a file, a class each, to an empty table; empty lines do not count. Fails with
 * VGG_NO_INPUT, VGG_BAD_CONTENT (a class twice, a NUL byte), VGG_NO_MEMORY. */
vgg_status class_table_read(class_table *table, const char *path, vgg_error *err);

/* Numbers the classes anew.
 *   order   "bytes", "natural", or "file": as the lines of FOLDER/classes.txt, which may name
 *           classes that no picture has
 *   labels  [count], old numbers replaced by new ones
 * Fails with VGG_BAD_VALUE (another word), VGG_NO_INPUT (no classes.txt), VGG_BAD_CONTENT (it names
 * a class twice or lacks one), VGG_NO_MEMORY. */
vgg_status class_table_arrange(class_table *table, const char *order, const char *folder,
                               int32_t *labels, size_t count, vgg_error *err);

#endif
