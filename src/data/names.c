/* SPDX-License-Identifier: Apache-2.0 */
#include "data/names.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

int name_by_bytes(const char *a, const char *b) { return strcmp(a, b); }

/* Runs of digits without their leading zeros: the longer is the greater, equal ones by their bytes.
 * Both pointers move behind their runs. */
static int compare_digits(const char **a, const char **b) {
  size_t la = strspn(*a, "0"), lb = strspn(*b, "0");
  const char *p = *a + la, *q = *b + lb;
  la = strspn(p, "0123456789");
  lb = strspn(q, "0123456789");
  *a = p + la;
  *b = q + lb;
  return la != lb ? (la > lb) - (la < lb) : strncmp(p, q, la);
}

int name_by_numbers(const char *a, const char *b) {
  const char *p = a, *q = b;
  while (*p && *q) {
    if (is_digit(*p) && is_digit(*q)) {
      const int c = compare_digits(&p, &q);
      if (c != 0) return c;
    } else if (*p != *q) {
      return (unsigned char)*p - (unsigned char)*q;
    } else {
      p++, q++;
    }
  }
  if (*p || *q) return (*p != 0) - (*q != 0);
  return strcmp(a, b);
}

bool name_list_add(name_list *list, const char *name, size_t length) {
  if (list->count == list->room) {
    const size_t room = list->room ? 2 * list->room : 16;
    size_t *at = realloc(list->at, room * sizeof *at);
    if (!at) return false;
    list->at = at;
    list->room = room;
  }
  const size_t at = list->bytes.length;
  text_add_bytes(&list->bytes, name, length);
  text_add_bytes(&list->bytes, "", 1);
  if (list->bytes.failed) return false;
  list->at[list->count++] = at;
  return true;
}

const char *name_list_at(const name_list *list, size_t i) { return list->bytes.s + list->at[i]; }

static int bytes_of(const void *a, const void *b) {
  return name_by_bytes(*(const char *const *)a, *(const char *const *)b);
}
static int numbers_of(const void *a, const void *b) {
  return name_by_numbers(*(const char *const *)a, *(const char *const *)b);
}

bool name_list_sort(name_list *list, name_order order) {
  if (list->count < 2) return true;
  const char **names = malloc(list->count * sizeof *names);
  if (!names) return false;
  for (size_t i = 0; i < list->count; i++) names[i] = name_list_at(list, i);
  qsort(names, list->count, sizeof *names, order == name_by_numbers ? numbers_of : bytes_of);
  for (size_t i = 0; i < list->count; i++) list->at[i] = (size_t)(names[i] - list->bytes.s);
  free(names);
  return true;
}

void name_list_truncate(name_list *list, size_t count) {
  if (count < list->count) list->count = count;
}

void name_list_free(name_list *list) {
  free(list->bytes.s);
  free(list->at);
  *list = (name_list){0};
}

size_t name_list_bytes(const name_list *list) {
  return list->bytes.capacity + list->room * sizeof *list->at;
}
