/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of pictures that could not be used, and why.
 */
#ifndef DATA_BAD_H
#define DATA_BAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bad_picture {
  uint32_t id;
  char *line; /* owned */
} bad_picture;

/* Start with {0}; free with bad_free. */
typedef struct bad_list {
  bad_picture *at; /* [count] */
  size_t count, room;
} bad_list;

/* False without memory. */
bool bad_add(bad_list *list, uint32_t id, const char *line);
/* Appends all of `from`, which becomes empty. False without memory. */
bool bad_move(bad_list *to, bad_list *from);
void bad_clear(bad_list *list);
void bad_free(bad_list *list);

#endif
