/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/native/native.h"

static vgg_status prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                          size_t size, vgg_error *err) {
  const bool first = spec->kind == STAGE_CONV && !spec->need_dx;
  return (first && spec->C <= 3 ? first_prepare : winograd_prepare)(spec, env, out, why, size, err);
}

static const char *version(void) {
  return "Winograd F(4x4, 3x3) and first layers, AVX-512, vgg " VGG_VERSION;
}

extern const backend backend_native;
const backend backend_native = {.name = NATIVE_NAME, .version = version, .prepare = prepare};
