/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of names in one block of memory: a data set may have a million paths.
 */
#ifndef DATA_NAMES_H
#define DATA_NAMES_H

#include <stddef.h>

#include "base/text.h"

/* Start with {0}; free with name_list_free. */
typedef struct name_list {
  text bytes; /* "cat\0dog\0" */
  size_t *at; /* [count] where each begins */
  size_t count, room;
} name_list;

/* How names are ordered: by their bytes, or with runs of digits compared as numbers. */
typedef int (*name_order)(const char *a, const char *b);
int name_by_bytes(const char *a, const char *b);
/* "a2" before "a10"; names that differ in leading zeros only are ordered by their bytes. */
int name_by_numbers(const char *a, const char *b);

/* Adds a name of `length` bytes, none of them NUL. False without memory. */
bool name_list_add(name_list *list, const char *name, size_t length);
/* Lent until the next addition. */
const char *name_list_at(const name_list *list, size_t i);
/* False without memory. */
bool name_list_sort(name_list *list, name_order order);
void name_list_truncate(name_list *list, size_t count);
void name_list_free(name_list *list);
size_t name_list_bytes(const name_list *list);

#endif
