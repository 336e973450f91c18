/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onednn/onednn.h"

#include <omp.h>
#include <stdio.h>

#include "backend/cost.h"
#include "backend/pass/stage.h"
#include "base/error.h"

od_sizes od_sizes_below(int chunk) {
  od_sizes s = {0};
  s.at[s.count++] = chunk;
  int power = 1;
  while (power <= (chunk - 1) / 2) power *= 2;
  for (; power >= 1 && power < chunk; power /= 2) s.at[s.count++] = power;
  return s;
}

int od_sizes_pick(const od_sizes *s, int left) {
  int i = 0;
  while (s->at[i] > left) i++;
  return i;
}

int od_threads_begin(int threads) {
  const int before = omp_get_max_threads();
  if (before != threads) omp_set_num_threads(threads);
  return before;
}

void od_threads_end(int before) {
  if (before != omp_get_max_threads()) omp_set_num_threads(before);
}

vgg_status od_decline(dnnl_status_t st, const char *what, const stage_env *env, char *why,
                      size_t size, vgg_error *err) {
  if (st == dnnl_out_of_memory)
    return err_set(err, VGG_NO_MEMORY, "oneDNN: no memory for %s", what);
  if (st == dnnl_unimplemented || st == dnnl_invalid_arguments)
    snprintf(why, size, "oneDNN has no %s %s for %s", env->bf16 ? "bf16" : "fp32", what,
             cpu_isa_name(env->isa));
  else
    snprintf(why, size, "oneDNN failed to prepare %s (status %d)", what, (int)st);
  return VGG_OK;
}

static dnnl_cpu_isa_t library_isa(cpu_isa isa) {
  switch (isa) {
    case CPU_AMX:
      return dnnl_cpu_isa_avx512_core_amx;
    case CPU_AVX512BF16:
      return dnnl_cpu_isa_avx512_core_bf16;
    case CPU_AVX512:
      return dnnl_cpu_isa_avx512_core;
    case CPU_AVX2:
      return dnnl_cpu_isa_avx2;
    default:
      return dnnl_cpu_isa_sse41;
  }
}

/* oneDNN's limit holds for the whole process and is fixed by its first use. The first stage sets
 * it; a stage that needs another one is declined. */
static bool limit_isa(cpu_isa isa) {
#if defined(__x86_64__)
  const dnnl_cpu_isa_t wanted = library_isa(isa);
  dnnl_set_max_cpu_isa(wanted); /* refused once fixed; the next line tells to what */
  return dnnl_get_effective_cpu_isa() == wanted;
#else
  return isa == CPU_BASE;
#endif
}

static const char *decline_spec(const stage_spec *spec, const stage_env *env) {
  const edge_type products = env->bf16 ? EDGE_BF16 : EDGE_F32;
  if (spec->x_type != products) return "its input edge is not of the products' type";
  if (spec->y_type != products && !(spec->kind == STAGE_LINEAR && spec->y_type == EDGE_F32))
    return "its output edge is not of the products' type";
  if (spec->pool_size && !spec->relu) return "max-pool without a ReLU before it";
  if (spec->pool_size > PASS_MAX_WINDOW) return "max-pool window over 15x15";
  if (spec->dropout && !spec->relu) return "dropout without a ReLU before it";
  return NULL;
}

static vgg_status prepare(const stage_spec *spec, const stage_env *env, stage **out, char *why,
                          size_t size, vgg_error *err) {
  *out = NULL;
  if (!stage_has_products(spec)) return pass_prepare("onednn", spec, env, out, why, size, err);
  const char *reason = decline_spec(spec, env);
  if (reason) {
    snprintf(why, size, "%s", reason);
    return VGG_OK;
  }
  if (!limit_isa(env->isa)) {
    snprintf(why, size, "this process has fixed oneDNN to another instruction set than %s",
             cpu_isa_name(env->isa));
    return VGG_OK;
  }
  const int before = od_threads_begin(env->threads);
  const vgg_status st = spec->kind == STAGE_CONV
                            ? od_conv_prepare(spec, env, out, why, size, err)
                            : od_linear_prepare(spec, env, out, why, size, err);
  od_threads_end(before);
  return st;
}

/* Shares of the fp32 peak that its kernels reach: fp32 at .9, vdpbf16ps at twice that, AMX's
 * nominal 16 times at 2.6 to 8. First layers were measured on Zen 4, with AVX2 and AVX-512:
 * forward hides some of its memory, which 1.2 makes up for; the filters' gradient leaves most lanes
 * empty. A linear layer's weights are packed anew after every step, and their gradient goes to
 * memory and back, which ours spares: two passes each. */
static stage_cost cost(const stage_spec *spec, const stage_env *env) {
  enum { LANES = 16 };
  if (!stage_has_products(spec)) return cost_walks(spec);
  if (spec->kind == STAGE_CONV && spec->C < LANES) return cost_direct(spec, env, 1.2, 0.2);
  const double rate = !env->bf16 ? 0.9 : env->isa >= CPU_AMX ? 5 : 1.8;
  stage_cost c = cost_direct(spec, env, rate, rate);
  if (spec->kind == STAGE_LINEAR && env->training) c.backward += cost_weight_passes(spec, env, 4);
  return c;
}

#define TEXT(x) #x
#define VERSION_TEXT(a, b, c) "oneDNN " TEXT(a) "." TEXT(b) "." TEXT(c)

static const char *version(void) {
  return VERSION_TEXT(DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH);
}

const backend backend_onednn = {
    .name = "onednn", .version = version, .cost = cost, .prepare = prepare};
