/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages, and numbers as people read them.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

const char *cli_program = "vgg", *cli_name = "";

void cli_note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

int cli_fail(int code, const char *format, ...) {
  fprintf(stderr, "vgg%s%s: ", *cli_name != '\0' ? " " : "", cli_name);
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  return code;
}

int cli_error(const vgg_error *err) { return cli_fail((int)err->status, "%s", err->message); }

enum { BUFFER = 48 };

/* Eight results can stand in one printf. */
static char *next_buffer(void) {
  static char buffers[8][BUFFER];
  static unsigned turn;
  return buffers[turn++ % 8];
}

const char *cli_layers(const vgg_arch *arch, int first, int count) {
  char *out = next_buffer();
  snprintf(out, BUFFER, "%s%s%s", vgg_arch_layer(arch, first)->name, count > 1 ? "-" : "",
           count > 1 ? vgg_arch_layer(arch, first + count - 1)->name : "");
  return out;
}

const char *cli_grouped(uint64_t n) {
  char digits[24], *out = next_buffer(), *p = out;
  int count = snprintf(digits, sizeof digits, "%" PRIu64, n);
  for (int i = 0; i < count; i++) {
    if (i > 0 && (count - i) % 3 == 0) *p++ = ',';
    *p++ = digits[i];
  }
  *p = '\0';
  return out;
}

const char *cli_bytes(uint64_t n) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  char *out = next_buffer();
  double x = (double)n;
  int unit = 0;
  while (x >= 1024 && unit < 4) {
    x /= 1024;
    unit++;
  }
  snprintf(out, BUFFER, "%.*f %s", unit == 0 ? 0 : 2, x, units[unit]);
  return out;
}

const char *cli_duration(double seconds) {
  char *out = next_buffer();
  if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) return strcpy(out, "?");
  long s = lround(seconds);
  if (s < 60) {
    snprintf(out, BUFFER, "%lds", s);
  } else if (s < 3600) {
    snprintf(out, BUFFER, "%ldm%02lds", s / 60, s % 60);
  } else {
    snprintf(out, BUFFER, "%ldh%02ldm", s / 3600, s / 60 % 60);
  }
  return out;
}

int cli_json(json_t *document) {
  if (document == NULL) return cli_fail(VGG_NO_MEMORY, "no memory for the JSON output");
  /* A short write shows in ferror(stdout), which main reports. */
  json_dumpf(document, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
  fputc('\n', stdout);
  json_decref(document);
  return 0;
}

json_t *cli_json_text(const char *s) {
  json_t *text = json_string(s);
  if (text != NULL) return text;
  char *copy = strdup(s);
  if (copy == NULL) return NULL;
  for (char *p = copy; *p != '\0'; p++) {
    if ((unsigned char)*p >= 0x80) *p = '?';
  }
  text = json_string(copy);
  free(copy);
  return text;
}

json_t *cli_json_real(double x) { return isfinite(x) ? json_real(x) : json_null(); }
