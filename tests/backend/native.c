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

static void test_any_channels_and_windows_are_taken(void **state) {
  (void)state;
  stage_spec s = vgg_conv;
  s.C = s.K = 1;
  assert_string_equal(reason(s, false, CPU_AVX512), "");
  s = vgg_conv;
  s.pool_size = 3, s.pool_stride = 2, s.OP = s.OQ = 3;
  assert_string_equal(reason(s, false, CPU_AVX512), "");
}

static void test_other_stages_are_declined(void **state) {
  (void)state;
  stage_spec s = vgg_conv;
  s.stride = 2;
  assert_string_equal(reason(s, false, CPU_AVX512), "runs 3x3, stride 1, pad 1 only");
  s = vgg_conv;
  s.relu = false, s.pool_size = s.pool_stride = 2, s.OP = s.OQ = 4;
  assert_string_equal(reason(s, false, CPU_AVX512), "pools after a ReLU only");
  assert_string_equal(reason(vgg_conv, false, CPU_AVX2), "");
  assert_string_equal(reason(vgg_conv, false, CPU_BASE), "needs AVX2 and FMA");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_only_amx_is_worth_bf16),
      cmocka_unit_test(test_first_layers_stay_everywhere),
      cmocka_unit_test(test_any_channels_and_windows_are_taken),
      cmocka_unit_test(test_other_stages_are_declined),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
