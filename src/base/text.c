/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(text *t, size_t more) {
  if (t->failed) return false;
  const size_t need = t->length + more + 1;
  if (need <= t->capacity) return true;
  size_t capacity = t->capacity ? t->capacity : 256;
  while (capacity < need) capacity *= 2;
  char *s = realloc(t->s, capacity);
  if (!s) {
    t->failed = true;
    return false;
  }
  t->s = s;
  t->capacity = capacity;
  return true;
}

void text_add_bytes(text *t, const char *bytes, size_t count) {
  if (!reserve(t, count)) return;
  memcpy(t->s + t->length, bytes, count);
  t->length += count;
  t->s[t->length] = 0;
}

void text_add(text *t, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  const int count = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (count < 0) t->failed = true;
  if (count >= 0 && reserve(t, (size_t)count)) {
    vsnprintf(t->s + t->length, (size_t)count + 1, format, again);
    t->length += (size_t)count;
  }
  va_end(again);
}
