/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef VGG_VERSION
#error "the build defines VGG_VERSION"
#endif

const char *vgg_status_meaning(vgg_status status) {
  switch (status) {
#define STATUS_CASE(name, value, meaning) \
  case name:                              \
    return meaning;
    VGG_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
  }
  return "unknown status";
}

const char *vgg_version(void) { return VGG_VERSION; }

/* A name from a file or a command line may hold anything; a message is one printable line. */
static void make_one_line(char *s) {
  for (; *s; s++)
    if ((unsigned char)*s < 32 || *s == 127) *s = '?';
}

vgg_status err_set(vgg_error *err, vgg_status status, const char *format, ...) {
  if (!err) return status;
  va_list args;
  va_start(args, format);
  char text[sizeof err->message]; /* apart, since an argument may be the old message */
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  make_one_line(text);
  memcpy(err->message, text, sizeof text);
  err->status = status;
  return status;
}

vgg_status err_prefix(vgg_error *err, vgg_status status, const char *prefix) {
  if (!err) return status;
  return err_set(err, status, "%s: %s", prefix, err->message);
}

vgg_status err_no_memory(vgg_error *err, const char *what, size_t bytes) {
  return err_set(err, VGG_NO_MEMORY, "%s: no memory for %zu bytes", what, bytes);
}
