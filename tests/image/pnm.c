/* SPDX-License-Identifier: Apache-2.0 */
#include "image/pnm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants the four headers above it */
#include <cmocka.h>

#include "base/file.h"

pnm_file pnm_open(const char *name) {
  pnm_file file = {0};
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
  vgg_error err;
  if (file_read(path, 1 << 24, &file.bytes, &file.size, &err)) fail_msg("%s", err.message);
  return file;
}

void pnm_close(pnm_file *file) { free(file->bytes); }

/* The next line of the header, without its newline, into line[64]. */
static void header_line(pnm_file *file, char *line) {
  size_t n = 0;
  while (file->at < file->size && file->bytes[file->at] != '\n' && n < 63)
    line[n++] = (char)file->bytes[file->at++];
  line[n] = 0;
  file->at++;
}

bool pnm_next(pnm_file *file, vgg_image *out, char *comment) {
  if (file->at >= file->size) return false;
  char line[64];
  header_line(file, line);
  out->channels = strcmp(line, "P6") == 0 ? 3 : 1;
  header_line(file, line);
  *comment = 0;
  if (line[0] == '#') {
    snprintf(comment, 64, "%s", line + 2);
    header_line(file, line);
  }
  assert_int_equal(sscanf(line, "%d %d", &out->width, &out->height), 2);
  header_line(file, line);
  assert_string_equal(line, "255");
  out->pixels = file->bytes + file->at;
  file->at += (size_t)out->channels * (size_t)out->height * (size_t)out->width;
  assert_true(file->at <= file->size);
  return true;
}
