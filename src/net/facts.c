/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <jpeglib.h>
#include <png.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#ifdef VGG_HAVE_CAIRO
#include <cairo.h>
#endif
#ifdef VGG_HAVE_WEBP
#include <webp/decode.h>
#endif

#include "backend/backend.h"
#include "base/cpu.h"
#include "net/plan.h"

typedef struct fact_list {
  vgg_fact *at;
  int max, count;
} fact_list;

static void add(fact_list *list, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(fact_list *list, const char *name, const char *format, ...) {
  if (list->count < list->max) {
    vgg_fact *f = &list->at[list->count];
    snprintf(f->name, sizeof f->name, "%s", name);
    va_list args;
    va_start(args, format);
    vsnprintf(f->value, sizeof f->value, format, args);
    va_end(args);
  }
  list->count++;
}

int vgg_system_facts(vgg_fact *facts, int max) {
  fact_list list = {facts, max, 0};
  char model[128];
  cpu_model_name(model, sizeof model);
  const cpu_isa isa = cpu_best_isa();
  add(&list, "version", "%s", vgg_version());
  add(&list, "compiler", "%s", __VERSION__);
  add(&list, "processor", "%s", model);
  add(&list, "instruction sets", "%s and below", cpu_isa_name(isa));
  add(&list, "threads", "%d", cpu_threads());
  for (size_t i = 0; backend_at(i); i++)
    add(&list, "backend", "%s: %s", backend_at(i)->name, backend_at(i)->version());
  add(&list, "devices", "cpu; this build has no CUDA");
  add(&list, "auto device", "cpu");
  add(&list, "auto precision", "%s", plan_prefers_bf16(isa, NULL, false) ? "bf16" : "fp32");
  add(&list, "auto backend", "for each stage the one that is expected to be fastest");
  add(&list, "zlib", "%s", zlibVersion());
  add(&list, "libpng", "%s", png_get_libpng_ver(NULL));
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
  add(&list, "libjpeg-turbo", "%d.%d.%d", LIBJPEG_TURBO_VERSION_NUMBER / 1000000,
      LIBJPEG_TURBO_VERSION_NUMBER / 1000 % 1000, LIBJPEG_TURBO_VERSION_NUMBER % 1000);
#else
  add(&list, "libjpeg", "%d", JPEG_LIB_VERSION);
#endif
  add(&list, "jansson", "%s", JANSSON_VERSION);
#ifdef VGG_HAVE_WEBP
  const int webp = WebPGetDecoderVersion();
  add(&list, "libwebp", "%d.%d.%d", webp >> 16, webp >> 8 & 255, webp & 255);
#else
  add(&list, "libwebp", "absent: WebP pictures cannot be read");
#endif
#ifdef VGG_HAVE_CAIRO
  add(&list, "cairo", "%s", cairo_version_string());
#else
  add(&list, "cairo", "absent: pictures are SVG only");
#endif
  return list.count;
}
