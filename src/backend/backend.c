/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

#include <string.h>

#define BACKEND(row) extern const backend row;
#include "backend/backends.def"
#undef BACKEND

static const backend *const rows[] = {
#define BACKEND(row) &row,
#include "backend/backends.def"
#undef BACKEND
    NULL,
};

const backend *backend_at(size_t i) { return i < sizeof rows / sizeof *rows ? rows[i] : NULL; }

const backend *backend_find(const char *name) {
  for (size_t i = 0; rows[i]; i++)
    if (strcmp(rows[i]->name, name) == 0) return rows[i];
  return NULL;
}
