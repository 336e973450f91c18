/* SPDX-License-Identifier: Apache-2.0 */
#include "data/bad.h"

#include <stdlib.h>
#include <string.h>

static bool reserve(bad_list *list, size_t more) {
  if (list->count + more <= list->room) return true;
  const size_t room = 2 * (list->count + more);
  bad_picture *at = realloc(list->at, room * sizeof *at);
  if (!at) return false;
  list->at = at;
  list->room = room;
  return true;
}

bool bad_add(bad_list *list, uint32_t id, const char *line) {
  char *copy = strdup(line);
  if (!copy || !reserve(list, 1)) {
    free(copy);
    return false;
  }
  list->at[list->count++] = (bad_picture){id, copy};
  return true;
}

bool bad_move(bad_list *to, bad_list *from) {
  if (from->count == 0) return true;
  if (!reserve(to, from->count)) return false;
  memcpy(to->at + to->count, from->at, from->count * sizeof *from->at);
  to->count += from->count;
  from->count = 0;
  return true;
}

void bad_clear(bad_list *list) {
  for (size_t i = 0; i < list->count; i++) free(list->at[i].line);
  list->count = 0;
}

void bad_free(bad_list *list) {
  bad_clear(list);
  free(list->at);
  *list = (bad_list){0};
}
