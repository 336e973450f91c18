/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors, checked sizes, arenas, growing strings, processor names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

static void errors_are_one_line(void **state) {
  (void)state;
  vgg_error err;
  assert_int_equal(err_set(&err, VGG_BAD_VALUE, "%s: bad", "a\nb\tc\x7f\x1b[31m"), VGG_BAD_VALUE);
  assert_int_equal(err.status, VGG_BAD_VALUE);
  assert_string_equal(err.message, "a?b?c??[31m: bad");
  assert_int_equal(err_prefix(&err, VGG_BAD_VALUE, "file"), VGG_BAD_VALUE);
  assert_string_equal(err.message, "file: a?b?c??[31m: bad");
  assert_int_equal(err_set(NULL, VGG_IO, "nobody listens"), VGG_IO);
  assert_int_equal(err_prefix(NULL, VGG_IO, "file"), VGG_IO);
  char big[2000];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  err_set(&err, VGG_IO, "%s", big);
  assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void statuses_have_meanings(void **state) {
  (void)state;
#define CHECK(name, value, meaning)   \
  assert_int_equal((int)name, value); \
  assert_string_equal(vgg_status_meaning(name), meaning);
  VGG_STATUS_LIST(CHECK)
#undef CHECK
  assert_string_equal(vgg_status_meaning((vgg_status)99), "unknown status");
  assert_true(strlen(vgg_version()) > 0);
}

static void sizes_do_not_wrap(void **state) {
  (void)state;
  size_t out = 1;
  assert_true(mem_mul(0, SIZE_MAX, &out) && out == 0);
  assert_true(mem_mul(SIZE_MAX, 1, &out) && out == SIZE_MAX);
  assert_true(mem_mul(SIZE_MAX / 3, 3, &out) && out == SIZE_MAX / 3 * 3);
  assert_false(mem_mul(SIZE_MAX / 2 + 1, 2, &out));
  assert_false(mem_mul((size_t)1 << 32, (size_t)1 << 32, &out));
  assert_true(mem_add(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
  assert_false(mem_add(SIZE_MAX, 1, &out));
  assert_int_equal(mem_round(0), 0);
  assert_int_equal(mem_round(1), 64);
  assert_int_equal(mem_round(64), 64);
  assert_int_equal(mem_round(65), 128);
}

static void arenas_are_aligned(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, (4 << 20) - 1, 4 << 20, 9 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    unsigned char *p = mem_alloc(sizes[i]);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % (sizes[i] >= 4 << 20 ? 2 << 20 : MEM_ALIGN), 0);
    if (sizes[i] > 0) p[0] = p[sizes[i] - 1] = 1;
    mem_free(p);
  }
  assert_null(mem_alloc(SIZE_MAX));
  assert_null(mem_alloc(SIZE_MAX - 100));
  mem_free(NULL);
}

static void strings_grow(void **state) {
  (void)state;
  text t = {0};
  size_t want = 0;
  for (int i = 0; i < 1000; i++) {
    text_add(&t, "%03d,", i);
    want += 4;
    assert_int_equal(t.length, want);
    assert_int_equal(strlen(t.s), want);
  }
  assert_memory_equal(t.s + 4 * 999, "999,", 5);
  text_add_bytes(&t, "a\0b", 3);
  assert_memory_equal(t.s + want, "a\0b", 4);
  text_add(&t, "%s", "");
  assert_int_equal(t.length, want + 3);
  assert_false(t.failed);
  free(t.s);
  text failed = {.failed = true};
  text_add(&failed, "x");
  text_add_bytes(&failed, "x", 1);
  assert_null(failed.s);
}

static void processor_names(void **state) {
  (void)state;
  static const char *const names[] = {"base", "avx2", "avx512", "avx512bf16", "amx"};
  const cpu_isa best = cpu_best_isa();
  cpu_isa isa;
  vgg_error err;
  for (int i = CPU_BASE; i <= CPU_AMX; i++) {
    assert_string_equal(cpu_isa_name((cpu_isa)i), names[i]);
    if (i == CPU_BASE) continue;
    const vgg_status status = cpu_isa_from_name(names[i], &isa, &err);
    assert_int_equal(status, i <= (int)best ? VGG_OK : VGG_ABSENT);
    if (status == VGG_OK) assert_int_equal(isa, i);
  }
  assert_int_equal(cpu_isa_from_name(NULL, &isa, &err), VGG_OK);
  assert_int_equal(isa, best);
  assert_int_equal(cpu_isa_from_name("auto", &isa, &err), VGG_OK);
  assert_int_equal(isa, best);
  static const char *const unknown[] = {"", "sse", "AVX2", "avx", "avx5120"};
  for (int i = 0; i < 5; i++)
    assert_int_equal(cpu_isa_from_name(unknown[i], &isa, &err), VGG_BAD_VALUE);
  char name[8];
  cpu_model_name(name, sizeof name);
  assert_in_range(strlen(name), 1, 7);
  assert_in_range(cpu_threads(), 1, 1 << 16);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors_are_one_line), cmocka_unit_test(statuses_have_meanings),
      cmocka_unit_test(sizes_do_not_wrap),   cmocka_unit_test(arenas_are_aligned),
      cmocka_unit_test(strings_grow),        cmocka_unit_test(processor_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
