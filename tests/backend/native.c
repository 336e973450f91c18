/* SPDX-License-Identifier: Apache-2.0
 *
 * What the native backend takes and what it leaves, and why. Preparing only measures, so
 * instruction sets that this processor lacks can be asked about, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/memory.h"

static const stage_spec vgg_conv = {.kind = STAGE_CONV,
                                    .C = 32,
                                    .H = 8,
                                    .W = 8,
                                    .K = 32,
                                    .R = 3,
                                    .S = 3,
                                    .stride = 1,
                                    .pad = 1,
                                    .P = 8,
                                    .Q = 8,
                                    .relu = true,
                                    .OP = 8,
                                    .OQ = 8,
                                    .need_dx = true};

/* "" when the stage is taken, else the reason. */
static const char *reason(stage_spec spec, bool bf16, cpu_isa isa) {
  static char why[160];
  const backend *b = backend_find("native");
  spec.x_type = spec.y_type = bf16 ? EDGE_BF16 : EDGE_F32;
  const stage_env env = {.max_n = 2, .threads = 1, .training = true, .bf16 = bf16, .isa = isa};
  stage *s = NULL;
  why[0] = 0;
  assert_int_equal(b->prepare(&spec, &env, &s, why, sizeof why, NULL), VGG_OK);
  if (s) s->ops->destroy(s);
  return why;
}

/* Of native and oneDNN, which one the plan tries first. */
static const char *cheaper(stage_spec spec, bool bf16, cpu_isa isa) {
  spec.x_type = spec.y_type = bf16 ? EDGE_BF16 : EDGE_F32;
  const stage_env env = {.max_n = 64, .threads = 1, .training = true, .bf16 = bf16, .isa = isa};
  const stage_cost own = backend_find("native")->cost(&spec, &env);
  const stage_cost library = backend_find("onednn")->cost(&spec, &env);
  return own.forward + own.backward < library.forward + library.backward ? "native" : "onednn";
}

/* 16 times fp32's rate outweighs a quarter of the multiplications; twice does not. */
static void test_only_amx_is_worth_bf16(void **state) {
  (void)state;
  if (!backend_find("onednn")) skip();
  stage_spec s = vgg_conv;
  s.C = s.K = 128;
  assert_string_equal(cheaper(s, true, CPU_AVX512BF16), "native");
  assert_string_equal(cheaper(s, true, CPU_AMX), "onednn");
  assert_string_equal(cheaper(s, false, CPU_AMX), "native");
  assert_string_equal(cheaper(s, false, CPU_AVX2), "native");
}

/* oneDNN has no good kernel for so few channels on any processor. */
static void test_first_layers_stay_everywhere(void **state) {
  (void)state;
  stage_spec first = vgg_conv;
  first.C = 1;
  first.need_dx = false;
  assert_string_equal(reason(first, true, CPU_AMX), "");
  if (backend_find("onednn")) assert_string_equal(cheaper(first, true, CPU_AMX), "native");
  assert_string_equal(reason(first, true, CPU_AVX2), "");
  assert_string_equal(reason(first, true, CPU_BASE), "needs AVX2 and FMA");
}

/* Winograd pads channels to 16: 4 to 8 are too few for it, 8 to 16 are not, as measured. */
static void test_few_channels_are_left_to_onednn(void **state) {
  (void)state;
  if (!backend_find("onednn")) skip();
  stage_spec s = vgg_conv;
  s.C = 4, s.K = 8, s.H = s.W = s.P = s.Q = 112;
  s.pool_size = s.pool_stride = 2, s.OP = s.OQ = 56;
  assert_string_equal(cheaper(s, false, CPU_AVX512), "onednn");
  s.C = 8, s.K = 16;
  assert_string_equal(cheaper(s, false, CPU_AVX512), "native");
}

static void test_any_channels_and_windows_are_taken(void **state) {
  (void)state;
  stage_spec s = vgg_conv;
  s.C = s.K = 1;
  assert_string_equal(reason(s, false, CPU_AVX512), "");
  s = vgg_conv;
  s.pool_size = 3, s.pool_stride = 2, s.OP = s.OQ = 3;
  assert_string_equal(reason(s, false, CPU_AVX512), "");
  s.relu = false, s.pool_size = s.pool_stride = 2, s.OP = s.OQ = 4;
  assert_string_equal(reason(s, false, CPU_AVX512), "");
  s.C = 1, s.need_dx = false;
  assert_string_equal(reason(s, false, CPU_AVX512), "");
}

static void test_other_stages_are_declined(void **state) {
  (void)state;
  stage_spec s = vgg_conv;
  s.stride = 2;
  assert_string_equal(reason(s, false, CPU_AVX512), "runs 3x3, stride 1, pad 1 only");
  s = vgg_conv;
  s.relu = false, s.pool_size = 3, s.pool_stride = 2, s.OP = s.OQ = 3;
  assert_string_equal(reason(s, false, CPU_AVX512),
                      "pools other than 2x2, stride 2, after a ReLU only");
  assert_string_equal(reason(vgg_conv, false, CPU_AVX2), "");
  assert_string_equal(reason(vgg_conv, false, CPU_BASE), "needs AVX2 and FMA");
}

static stage *taken(const stage_spec *spec, const stage_env *env) {
  stage *s = NULL;
  char why[160];
  assert_int_equal(backend_find("native")->prepare(spec, env, &s, why, sizeof why, NULL), VGG_OK);
  assert_non_null(s);
  return s;
}

static float *some_floats(size_t count) {
  float *x = mem_alloc(count * sizeof *x);
  assert_non_null(x);
  for (size_t i = 0; i < count; i++) x[i] = (float)(i * 2654435761u % 65536u) * 0x1p-15f - 1;
  return x;
}

/* An output too large for the caches goes past them, unless it is not aligned: the same values. */
static void check_streamed(int C, bool need_dx) {
  enum { SIDE = 320, K = 64, APART = 4 };
  stage_spec spec = vgg_conv;
  spec.C = C, spec.K = K, spec.need_dx = need_dx;
  spec.H = spec.W = spec.P = spec.Q = spec.OP = spec.OQ = SIDE;
  const size_t count = (size_t)SIDE * SIDE * K;
  assert_true(count * sizeof(float) > 24 << 20);
  const stage_env env = {.max_n = 1, .threads = 2, .isa = cpu_best_isa()};
  stage *s = taken(&spec, &env);
  float *x = some_floats((size_t)SIDE * SIDE * (size_t)C), *w = some_floats((size_t)(9 * C * K));
  float *b = some_floats(K), *past = some_floats(count), *plain = some_floats(count + APART);
  stage_io io = {.n = 1, .x = x, .w = w, .b = b};
  io.pack = mem_alloc(s->sizes.pack), io.workspace = mem_alloc(s->sizes.workspace);
  assert_true(io.pack && io.workspace && s->ops->repack(s, w, b, io.pack, io.workspace));
  io.y = past;
  assert_true(s->ops->forward(s, &io));
  io.y = plain + APART;
  assert_true(s->ops->forward(s, &io));
  assert_memory_equal(past, plain + APART, count * sizeof *past);
  mem_free(x), mem_free(w), mem_free(b), mem_free(past), mem_free(plain);
  mem_free(io.pack), mem_free(io.workspace);
  s->ops->destroy(s);
}

static void test_streamed_outputs_are_the_same(void **state) {
  (void)state;
  if (cpu_best_isa() < CPU_AVX2) skip();
  check_streamed(3, false);
  check_streamed(16, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_only_amx_is_worth_bf16),
      cmocka_unit_test(test_first_layers_stay_everywhere),
      cmocka_unit_test(test_few_channels_are_left_to_onednn),
      cmocka_unit_test(test_any_channels_and_windows_are_taken),
      cmocka_unit_test(test_other_stages_are_declined),
      cmocka_unit_test(test_streamed_outputs_are_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
