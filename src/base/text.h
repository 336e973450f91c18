/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing string.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Start with {0}; free `s` with free(). Once memory has run out, `failed` stays set and adding
 * does nothing, so that one check at the end suffices. */
typedef struct text {
  char *s; /* NUL-terminated once anything was added */
  size_t length, capacity;
  bool failed;
} text;

void text_add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(text *t, const char *bytes, size_t count);

#endif
