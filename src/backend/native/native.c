/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/native/native.h"

#include "backend/cost.h"
#include "backend/pass/stage.h"

/* Other pools than those of the nets' first layers are Winograd's. */
static bool is_first(const stage_spec *spec) {
  const bool usual_pool = spec->relu && spec->pool_size == 2 && spec->pool_stride == 2;
  return spec->kind == STAGE_CONV && !spec->need_dx && spec->C <= 3 &&
         (!spec->pool_size || usual_pool);
}

static vgg_status prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                          size_t size, vgg_error *err) {
  if (!stage_has_products(spec)) return pass_prepare(NATIVE_NAME, spec, env, out, why, size, err);
  if (spec->kind == STAGE_LINEAR) return linear_prepare(spec, env, out, why, size, err);
  return (is_first(spec) ? first_prepare : winograd_prepare)(spec, env, out, why, size, err);
}

/* A first layer has few products a value. What it reaches was measured on Zen 4: of the gradient
 * behind a pool three quarters are zero and cost nothing. */
static stage_cost cost_first(const stage_spec *spec, const stage_env *env) {
  const bool pool = spec->pool_size != 0;
  if (env->isa < CPU_AVX512) return cost_fused(spec, env, 0.9, pool ? 1.2 : 0.4);
  return cost_fused(spec, env, spec->C == 1 ? 1.4 : 2, pool ? 2 : 0.4);
}

static stage_cost cost(const stage_spec *spec, const stage_env *env) {
  if (!stage_has_products(spec)) return cost_walks(spec);
  if (spec->kind == STAGE_LINEAR) return cost_fused(spec, env, 0.95, 0.95);
  if (is_first(spec)) return cost_first(spec, env);
  if (spec->R == 3 && spec->S == 3) return cost_winograd(spec, env);
  return cost_fused(spec, env, 1, 1); /* not ours: low enough to be asked, so that it can say so */
}

static const char *version(void) {
  return "Winograd F(4x4, 3x3), first and linear layers, AVX-512 and AVX2, vgg " VGG_VERSION;
}

extern const backend backend_native;
const backend backend_native = {
    .name = NATIVE_NAME, .version = version, .cost = cost, .prepare = prepare};
