/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors reader: each rule of the format met once by a file that keeps it and once by one
 * that breaks it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/safetensors.h"
#include "format/st_files.h"

#define T(dtype, shape, begin, end) \
  "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

typedef struct st_case {
  const char *what, *header;
  size_t data_size;
  const char *message; /* a part of the error's; NULL: legal */
} st_case;

static const st_case cases[] = {
    /* what the format allows */
    {"no tensor", "{}", 0, NULL},
    {"padding", "{}      ", 0, NULL},
    {"white space",
     "{ \"a\" :\n{\"dtype\":\t\"U8\", \"shape\": [ 2 ,1 ],\r\"data_offsets\":[0, 2]} }", 2, NULL},
    {"fields in any order", "{\"a\":{\"data_offsets\":[0,2],\"shape\":[2],\"dtype\":\"U8\"}}", 2,
     NULL},
    {"a rank of 0", "{\"a\":" T("I64", "[]", 0, 8) "}", 8, NULL},
    {"a size of 0", "{\"a\":" T("F32", "[0,4]", 0, 0) "}", 0, NULL},
    {"0 before a huge factor", "{\"a\":" T("F32", "[0,9223372036854775808]", 0, 0) "}", 0, NULL},
    {"unaligned data", "{\"a\":" T("U8", "[1]", 0, 1) ",\"b\":" T("F32", "[1]", 1, 5) "}", 5, NULL},
    {"header not in the data's order",
     "{\"a\":" T("U8", "[1]", 1, 2) ",\"b\":" T("U8", "[1]", 0, 1) "}", 2, NULL},
    {"an element below a byte", "{\"a\":" T("F4", "[4]", 0, 2) "}", 2, NULL},
    {"metadata", "{\"__metadata__\":{\"k\":\"v\"},\"a\":" T("U8", "[1]", 0, 1) "}", 1, NULL},
    {"metadata at the end", "{\"a\":" T("U8", "[1]", 0, 1) ",\"__metadata__\":{}}", 1, NULL},
    {"an empty name", "{\"\":" T("U8", "[1]", 0, 1) "}", 1, NULL},

    /* the data must be tiled */
    {"a hole", "{\"a\":" T("U8", "[1]", 0, 1) ",\"b\":" T("U8", "[1]", 2, 3) "}", 3,
     "tensor 'b': begins at data byte 2, the one before it ends at 1"},
    {"a hole at the start", "{\"a\":" T("U8", "[1]", 1, 2) "}", 2, "begins at data byte 1"},
    {"an overlap", "{\"a\":" T("U8", "[2]", 0, 2) ",\"b\":" T("U8", "[2]", 1, 3) "}", 3,
     "tensor 'b': begins at data byte 1"},
    {"two tensors in one place", "{\"a\":" T("U8", "[2]", 0, 2) ",\"b\":" T("U8", "[2]", 0, 2) "}",
     2, "begins at data byte 0"},
    {"bytes after the last tensor", "{\"a\":" T("U8", "[1]", 0, 1) "}", 2,
     "1 bytes follow the last tensor"},
    {"bytes without a tensor", "{}", 1, "1 bytes follow"},
    {"an end beyond the file", "{\"a\":" T("U8", "[2]", 0, 2) "}", 1, "end after the file"},
    {"an end before the begin", "{\"a\":" T("U8", "[1]", 1, 0) "}", 1, "end before they begin"},
    {"offsets near 2^64", "{\"a\":" T("U8", "[1]", 18446744073709551614, 18446744073709551615) "}",
     1, "end after the file"},

    /* dtype, shape and offsets must agree */
    {"offsets smaller than the shape", "{\"a\":" T("F32", "[2]", 0, 4) "}", 4, "dtype and shape 8"},
    {"offsets larger than the shape", "{\"a\":" T("U8", "[2]", 0, 4) "}", 4, "dtype and shape 2"},
    {"a product that wraps to 0", "{\"a\":" T("U8", "[4294967296,4294967296]", 0, 0) "}", 0,
     "no size"},
    {"a product that wraps to the right size",
     "{\"a\":" T("U8", "[9223372036854775809,2]", 0, 2) "}", 2, "no size"},
    {"a size in bits that wraps", "{\"a\":" T("F64", "[288230376151711744]", 0, 0) "}", 0,
     "no size"},
    {"a 0 after a product that wraps", "{\"a\":" T("U8", "[4294967296,4294967296,0]", 0, 0) "}", 0,
     "no size"},
    {"half a byte", "{\"a\":" T("F4", "[1]", 0, 1) "}", 1, "no size in whole bytes"},
    {"an unknown dtype", "{\"a\":" T("F31", "[1]", 0, 4) "}", 4, "unknown dtype"},
    {"a dtype in lower case", "{\"a\":" T("f32", "[1]", 0, 4) "}", 4, "unknown dtype"},
    {"a long dtype", "{\"a\":" T("F32F32F32F32F32", "[1]", 0, 4) "}", 4, "unknown dtype"},
    {"a rank over 8", "{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, "more numbers"},
    {"three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1,
     "more numbers"},
    {"one offset", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1,
     "wants two numbers"},
    {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "lacks"},
    {"no fields", "{\"a\":{}}", 0, "lacks"},
    {"an unknown field", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}",
     1, "has a key besides"},
    {"a field twice",
     "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "has a key twice"},

    /* names */
    {"a tensor twice", "{\"a\":" T("U8", "[1]", 0, 1) ",\"a\":" T("U8", "[1]", 1, 2) "}", 2,
     "tensor 'a': stands there twice"},
    {"a tensor twice, once escaped",
     "{\"a\":" T("U8", "[1]", 0, 1) ",\"\\u0061\":" T("U8", "[1]", 1, 2) "}", 2, "twice"},
    {"an empty tensor twice", "{\"a\":" T("U8", "[0]", 0, 0) ",\"a\":" T("U8", "[0]", 0, 0) "}", 0,
     "twice"},
    {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice"},
    {"a metadata key twice", "{\"__metadata__\":{\"k\":\"1\",\"l\":\"2\",\"k\":\"3\"}}", 0,
     "metadata 'k' stands there twice"},
    {"a metadata number", "{\"__metadata__\":{\"k\":1}}", 0, "wanted \""},
    {"a metadata object", "{\"__metadata__\":{\"k\":{}}}", 0, "wanted \""},
    {"null metadata", "{\"__metadata__\":null}", 0, "wanted {"},
    {"a NUL in a name", "{\"a\\u0000b\":" T("U8", "[1]", 0, 1) "}", 1, "a NUL"},

    /* JSON */
    {"an array", "[]", 0, "does not begin with {"},
    {"a space first", " {}", 0, "does not begin with {"},
    {"a byte-order mark", "\xef\xbb\xbf{}", 0, "does not begin with {"},
    {"no closing brace", "{", 0, "wanted \""},
    {"a comma too many", "{\"a\":" T("U8", "[1]", 0, 1) ",}", 1, "wanted \""},
    {"a comma too few", "{\"a\":" T("U8", "[1]", 0, 1) "\"b\":" T("U8", "[1]", 1, 2) "}", 2,
     "wanted ,"},
    {"no colon", "{\"a\"" T("U8", "[1]", 0, 1) "}", 1, "wanted :"},
    {"a tensor that is a number", "{\"a\":1}", 0, "wanted {"},
    {"something after the end", "{}x", 0, "follows the closing brace"},
    {"a NUL after the end", NULL, 0, "follows the closing brace"}, /* built by hand below */
    {"a comment", "{}//", 0, "follows the closing brace"},
    {"a negative size", "{\"a\":" T("U8", "[-1]", 0, 1) "}", 1, "whole number"},
    {"a fraction", "{\"a\":" T("U8", "[1.0]", 0, 1) "}", 1, "wanted ]"},
    {"an exponent", "{\"a\":" T("U8", "[1e0]", 0, 1) "}", 1, "wanted ]"},
    {"a leading 0", "{\"a\":" T("U8", "[01]", 0, 1) "}", 1, "begins with 0"},
    {"a size over 64 bits", "{\"a\":" T("U8", "[18446744073709551617]", 0, 1) "}", 1,
     "over 64 bits"},
    {"a comma after the last size", "{\"a\":" T("U8", "[1,]", 0, 1) "}", 1, "whole number"},
    {"a string without end", "{\"a", 0, "a string without end"},
    {"a string that ends in a backslash", "{\"a\\", 0, "a string without end"},
    {"an unknown escape", "{\"\\x\":" T("U8", "[1]", 0, 1) "}", 1, "unknown escape"},
    {"an escape of three digits", "{\"\\u12\":" T("U8", "[1]", 0, 1) "}", 1, "four hex digits"},
    {"an escape at the end", "{\"\\u12", 0, "four hex digits"},
    {"the low half alone", "{\"\\udc00\":" T("U8", "[1]", 0, 1) "}", 1, "surrogate"},
    {"the high half alone", "{\"\\ud800\":" T("U8", "[1]", 0, 1) "}", 1, "surrogate"},
    {"two high halves", "{\"\\ud800\\ud800\":" T("U8", "[1]", 0, 1) "}", 1, "surrogate"},
    {"a raw line end in a string", "{\"a\nb\":" T("U8", "[1]", 0, 1) "}", 1, "control character"},

    /* UTF-8 */
    {"a lone continuation byte", "{\"\x80\":" T("U8", "[1]", 0, 1) "}", 1, "UTF-8"},
    {"a cut sequence", "{\"\xe2\x82\":" T("U8", "[1]", 0, 1) "}", 1, "UTF-8"},
    {"an overlong slash", "{\"\xc0\xaf\":" T("U8", "[1]", 0, 1) "}", 1, "UTF-8"},
    {"an overlong form of three", "{\"\xe0\x80\xaf\":" T("U8", "[1]", 0, 1) "}", 1, "UTF-8"},
    {"an overlong form of four", "{\"\xf0\x80\x80\xaf\":" T("U8", "[1]", 0, 1) "}", 1, "UTF-8"},
    {"a surrogate in UTF-8", "{\"\xed\xa0\x80\":" T("U8", "[1]", 0, 1) "}", 1, "UTF-8"},
    {"above U+10FFFF", "{\"\xf4\x90\x80\x80\":" T("U8", "[1]", 0, 1) "}", 1, "UTF-8"},
};

static void test_rules(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const st_case *c = &cases[i];
    const st_bytes b =
        c->header ? st_bytes_of(c->header, c->data_size) : st_bytes_raw(3, "{}\0", 3, 0);
    st_file *f = NULL;
    vgg_error err = {0};
    const vgg_status status = st_open_bytes("file", b.bytes, b.size, &f, &err);
    const bool right = c->message
                           ? status == VGG_BAD_CONTENT && !f && strstr(err.message, c->message) &&
                                 strncmp(err.message, "file: ", 6) == 0
                           : status == VGG_OK && f;
    if (!right) print_error("%s: status %d, '%s'\n", c->what, (int)status, err.message);
    st_close(f);
    free(b.bytes);
    assert_true(right);
  }
}

static void expect_refusal(st_bytes b, const char *message) {
  st_file *f = NULL;
  vgg_error err = {0};
  assert_int_equal(st_open_bytes("file", b.bytes, b.size, &f, &err), VGG_BAD_CONTENT);
  if (!strstr(err.message, message)) fail_msg("'%s' lacks '%s'", err.message, message);
  free(b.bytes);
}

static void test_lengths(void **state) {
  (void)state;
  const char wrap[] = "{}";
  expect_refusal(st_bytes_raw(3, wrap, 2, 0), "ends before its header does");
  expect_refusal(st_bytes_raw(100000000, wrap, 2, 0), "ends before its header does");
  expect_refusal(st_bytes_raw(100000001, wrap, 2, 0), "over 100 MB");
  expect_refusal(st_bytes_raw(UINT64_MAX, wrap, 2, 0), "over 100 MB");
  expect_refusal(st_bytes_raw(UINT64_MAX - 7, wrap, 2, 0), "over 100 MB"); /* 8 + N wraps to 0 */
  expect_refusal(st_bytes_raw(0, wrap, 0, 0), "does not begin with {");
}

static void expect_sniffed(const char *bytes, size_t size, const char *message) {
  st_bytes b = {malloc(size), size};
  assert_non_null(b.bytes);
  memcpy(b.bytes, bytes, size);
  expect_refusal(b, message);
}

static void test_other_files_are_named(void **state) {
  (void)state;
  expect_sniffed("PK\3\4\0\0\0\0\0\0\0\0", 12, "is a zip archive, as PyTorch's .pth");
  expect_sniffed("\x80\2\x8a\nl\xfc\x9c\x46\xf9", 9, "is a pickle");
  expect_sniffed("<!DOCTYPE html><html>", 21, "is an HTML or XML page");
  expect_sniffed("\n  <html>", 9, "is an HTML or XML page");
  expect_sniffed("\x89HDF\r\n\x1a\n", 8, "is an HDF5 file");
  expect_sniffed("version https://git-lfs.github.com/spec/v1", 42, "is a Git LFS pointer");
  expect_sniffed("{\"a\":1}", 7, "is JSON text");
  expect_sniffed("abc", 3, "shorter than 8 bytes");
}

static const char small[] = "{\"__metadata__\":{\"format\":\"pt\"},\"w\":" T(
    "F32", "[2,3]", 0, 24) ",\"b\":" T("F32", "[2]", 24, 32) "}";

/* Whatever byte a file is cut at, and whatever length its header then claims, it is refused. */
static void test_truncation(void **state) {
  (void)state;
  const st_bytes whole = st_bytes_of(small, 32);
  for (size_t cut = 0; cut < whole.size; cut++) {
    st_bytes b = {malloc(cut ? cut : 1), cut};
    assert_non_null(b.bytes);
    memcpy(b.bytes, whole.bytes, cut);
    st_file *f = NULL;
    assert_int_equal(st_open_bytes("file", b.bytes, cut, &f, NULL), VGG_BAD_CONTENT);
    if (cut > 8) {
      b.bytes[0] = (uint8_t)(cut - 8); /* the header alone, to its last byte */
      if (cut - 8 < sizeof small - 1)
        assert_int_equal(st_open_bytes("file", b.bytes, cut, &f, NULL), VGG_BAD_CONTENT);
    }
    free(b.bytes);
  }
  free(whole.bytes);
}

static void test_views(void **state) {
  (void)state;
  const char header[] = "{\"z\":" T("U8", "[2]", 1, 3) ",\"\\u00e9\\ud83d\\ude00\\n\":" T(
      "U8", "[1]", 0, 1) ",\"e\":" T("F32", "[0,7]", 3,
                                     3) ",\"__metadata__\":{\"k2\":\"\\\"\\\\\\/\",\"k1\":\"\"}}";
  const st_bytes b = st_bytes_of(header, 3);
  st_file *f;
  assert_int_equal(st_open_bytes("file", b.bytes, b.size, &f, NULL), VGG_OK);
  assert_int_equal(st_count(f), 3);
  assert_string_equal(st_at(f, 0)->name, "\xc3\xa9\xf0\x9f\x98\x80\n");
  assert_string_equal(st_at(f, 1)->name, "z");
  assert_string_equal(st_at(f, 2)->name, "e");
  assert_null(st_at(f, 3));
  const st_tensor *z = st_find(f, "z");
  assert_ptr_equal(z, st_at(f, 1));
  assert_string_equal(z->dtype, "U8");
  assert_int_equal(z->rank, 1);
  assert_int_equal(z->shape[0], 2);
  assert_int_equal(z->bytes, 2);
  assert_int_equal(z->data[0], 1);
  assert_int_equal(st_find(f, "e")->shape[1], 7);
  assert_null(st_find(f, "y"));
  assert_string_equal(st_metadata(f, "k1"), "");
  assert_string_equal(st_metadata(f, "k2"), "\"\\/");
  assert_null(st_metadata(f, "k"));
  st_close(f);
  free(b.bytes);
}

/* More entries than the first rooms of the growing arrays hold. */
static void test_many(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  char *header = malloc(COUNT * 100), *at = header;
  assert_non_null(header);
  at += sprintf(at, "{\"__metadata__\":{");
  for (int i = 0; i < COUNT; i++) at += sprintf(at, "%s\"k%d\":\"v%d\"", i ? "," : "", i, i);
  at += sprintf(at, "}");
  for (int i = 0; i < COUNT; i++)
    at += sprintf(at, ",\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}", i, i,
                  i + 1);
  sprintf(at, "}");
  const st_bytes b = st_bytes_of(header, COUNT);
  st_file *f;
  assert_int_equal(st_open_bytes("file", b.bytes, b.size, &f, NULL), VGG_OK);
  assert_int_equal(st_count(f), COUNT);
  for (int i = 0; i < COUNT; i++) {
    char name[16], value[16];
    sprintf(name, "t%d", i);
    assert_int_equal(*st_find(f, name)->data, i & 255);
    sprintf(name, "k%d", i);
    sprintf(value, "v%d", i);
    assert_string_equal(st_metadata(f, name), value);
  }
  st_close(f);
  free(b.bytes);
  free(header);
}

/* The bounds on a header's entries, which keep the memory it costs below its own size. */
static void test_too_many(void **state) {
  (void)state;
  enum { TENSORS = (1 << 18) + 1, KEYS = (1 << 16) + 1, ROOM = TENSORS * 64 };
  char *header = malloc(ROOM), *at = header;
  assert_non_null(header);
  *at++ = '{';
  for (int i = 0; i < TENSORS; i++)
    at += sprintf(at, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                  i ? "," : "", i);
  strcpy(at, "}");
  expect_refusal(st_bytes_of(header, 0), "more entries");
  at = header + sprintf(header, "{\"__metadata__\":{");
  for (int i = 0; i < KEYS; i++) at += sprintf(at, "%s\"%d\":\"\"", i ? "," : "", i);
  strcpy(at, "}}");
  expect_refusal(st_bytes_of(header, 0), "more entries");
  free(header);
}

static void test_open_failures(void **state) {
  (void)state;
  st_file *f = NULL;
  vgg_error err;
  assert_int_equal(st_open("/nonexistent/file", &f, &err), VGG_NO_INPUT);
  assert_non_null(strstr(err.message, "/nonexistent/file"));
  assert_int_equal(st_open("/", &f, &err), VGG_NO_INPUT);
  assert_int_equal(st_open("/dev/null", &f, &err), VGG_NO_INPUT);
  char path[] = "/tmp/vgg-test-XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(st_open(path, &f, &err), VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "is empty"));
  unlink(path);
  assert_null(f);
  st_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rules),         cmocka_unit_test(test_lengths),
      cmocka_unit_test(test_truncation),    cmocka_unit_test(test_other_files_are_named),
      cmocka_unit_test(test_views),         cmocka_unit_test(test_many),
      cmocka_unit_test(test_open_failures), cmocka_unit_test(test_too_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
