/* SPDX-License-Identifier: Apache-2.0
 *
 * Resizing and preprocessing against Pillow's own bytes (tests/golden/pillow/make_golden.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants the headers above it */
#include <cmocka.h>

#include "image/pnm.h"
#include "image/preprocess.h"
#include "image/resize.h"
#include "image/resize_kernels.h"

static size_t samples(const vgg_image *image) {
  return (size_t)image->channels * (size_t)image->height * (size_t)image->width;
}

static void resize_equals_pillow(void **state) {
  (void)state;
  pnm_file file = pnm_open("golden/pillow/resize.pnm");
  vgg_image in, want;
  char comment[64];
  int count = 0;
  for (; pnm_next(&file, &in, comment); count++) {
    assert_true(pnm_next(&file, &want, comment));
    uint8_t *got = malloc(samples(&want));
    vgg_error err;
    assert_int_equal(vgg_resize_bilinear(in.pixels, in.height, in.width, in.channels, got,
                                         want.height, want.width, &err),
                     VGG_OK);
    assert_memory_equal(got, want.pixels, samples(&want));
    free(got);
  }
  assert_int_equal(count, 24);
  pnm_close(&file);
}

static void box_equals_pillow(void **state) {
  (void)state;
  pnm_file file = pnm_open("golden/pillow/box.pnm");
  vgg_image in, want;
  char comment[64], none[64];
  int count = 0;
  for (; pnm_next(&file, &in, comment); count++) {
    assert_true(pnm_next(&file, &want, none));
    resizer_window rows = {.size = in.height}, columns = {.size = in.width};
    assert_int_equal(
        sscanf(comment, "%d %d %d %d", &rows.first, &columns.first, &rows.count, &columns.count),
        4);
    resizer *r;
    assert_int_equal(
        resizer_create_box(rows, columns, in.channels, want.height, want.width, &r, NULL), VGG_OK);
    uint8_t *got = malloc(samples(&want));
    resizer_run(r, in.pixels, got);
    assert_memory_equal(got, want.pixels, samples(&want));
    free(got);
    resizer_close(r);
  }
  assert_int_equal(count, 8);
  pnm_close(&file);
}

/* Every window must hold the bytes that the whole output has there. */
static void window_equals_cut(void **state) {
  (void)state;
  pnm_file file = pnm_open("golden/pillow/resize.pnm");
  vgg_image in, want;
  char comment[64];
  while (pnm_next(&file, &in, comment)) {
    assert_true(pnm_next(&file, &want, comment));
    const int top = want.height / 3, rows = (want.height - top + 1) / 2;
    const int left = want.width / 4, columns = (want.width - left + 1) / 2;
    resizer *r;
    assert_int_equal(resizer_create_window(in.height, in.width, in.channels,
                                           (resizer_window){want.height, top, rows},
                                           (resizer_window){want.width, left, columns}, &r, NULL),
                     VGG_OK);
    const size_t row = (size_t)columns * (size_t)in.channels;
    uint8_t *got = malloc(row * (size_t)rows);
    resizer_run(r, in.pixels, got);
    for (int y = 0; y < rows; y++)
      assert_memory_equal(
          got + y * row,
          want.pixels + ((size_t)(top + y) * (size_t)want.width + (size_t)left) * in.channels, row);
    free(got);
    resizer_close(r);
  }
  pnm_close(&file);
}

static uint32_t next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* Weights that are odd multiples, and sum to 2^bits as Pillow's do within a unit for each. */
static resize_axis odd_axis(int in, int out, int taps, int bits, uint32_t *state) {
  resize_axis a = {.in = in, .out = out, .taps = taps, .bits = bits};
  a.first = malloc((size_t)out * sizeof *a.first);
  a.weight = malloc((size_t)out * (size_t)taps * sizeof *a.weight);
  for (int x = 0; x < out; x++) {
    uint32_t left = 1u << bits;
    a.first[x] = out > 1 ? (in - taps) * x / (out - 1) : in - taps;
    for (int t = 0; t < taps; t++) {
      const uint32_t w = t == taps - 1 ? left : next(state) % (left + 1);
      a.weight[x * taps + t] = w;
      left -= w;
    }
  }
  return a;
}

static uint8_t *random_bytes(size_t count, uint32_t *state) {
  uint8_t *bytes = malloc(count); /* just its size: sanitizers see what lies behind */
  for (size_t i = 0; i < count; i++) {
    const uint32_t v = next(state) % 320;
    bytes[i] = (uint8_t)(v < 255 ? v : 255);
  }
  return bytes;
}

static void compare_kernels(const resize_kernels *k, const resize_kernels *plain, int channels,
                            int taps, int bits, uint32_t *state) {
  const int in = taps + (int)(next(state) % 90), out = 1 + (int)(next(state) % 70);
  const resize_axis a = odd_axis(in, out, taps, bits, state);
  const size_t in_row = (size_t)in * (size_t)channels, out_row = (size_t)out * (size_t)channels;
  uint8_t *rows = random_bytes(in_row * (size_t)taps, state);
  uint8_t *got = calloc(out_row + in_row, 1), *want = calloc(out_row + in_row, 1);
  const int left = a.first[0];
  const size_t skip = in_row * (size_t)(taps - 1) + (size_t)left * (size_t)channels;
  k->across(&a, rows + skip, left, got, channels);
  plain->across(&a, rows + skip, left, want, channels);
  k->down(rows, in_row, a.weight, taps, bits, got + out_row, in_row);
  plain->down(rows, in_row, a.weight, taps, bits, want + out_row, in_row);
  assert_memory_equal(got, want, out_row + in_row);
  free(got);
  free(want);
  free(rows);
  free(a.first);
  free(a.weight);
}

static void kernels_equal_plain_c(void **state) {
  (void)state;
  size_t count = 0;
  while (resize_kernels_at(count)) count++;
  const resize_kernels *plain = resize_kernels_at(count - 1);
  uint32_t random = 1;
  for (size_t i = 0; i + 1 < count; i++) {
    const resize_kernels *k = resize_kernels_at(i);
    if (k->isa > cpu_best_isa()) continue;
    for (int taps = 1; taps <= 12; taps++)
      for (int channels = 1; channels <= 4; channels++)
        for (int n = 0; n < 12; n++)
          compare_kernels(k, plain, channels, taps, n % 3 ? 22 : 8, &random);
  }
}

static void preprocess_equals_torchvision(void **state) {
  (void)state;
  pnm_file file = pnm_open("golden/pillow/preprocess.pnm");
  vgg_image in, want;
  char comment[64];
  int count = 0;
  for (; pnm_next(&file, &in, comment); count++) {
    assert_true(pnm_next(&file, &want, comment));
    const vgg_preprocess rule = {.input = {want.channels, want.height, want.width},
                                 .invert = strcmp(comment, "invert") == 0};
    uint8_t *got = malloc(samples(&want));
    assert_int_equal(vgg_preprocess_apply(&rule, &in, got, NULL), VGG_OK);
    assert_memory_equal(got, want.pixels, samples(&want));
    free(got);
  }
  assert_int_equal(count, 14);
  pnm_close(&file);
}

static void bad_sizes_are_refused(void **state) {
  (void)state;
  uint8_t in[4] = {0}, out[4];
  vgg_error err;
  assert_int_equal(vgg_resize_bilinear(in, 0, 2, 1, out, 1, 1, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_resize_bilinear(in, 2, 2, 1, out, 1, -1, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_resize_bilinear(in, (1 << 24) + 1, 2, 1, out, 1, 1, &err), VGG_BAD_VALUE);
  resizer *r;
  assert_int_equal(resizer_create_window(2, 2, 1, (resizer_window){4, 3, 2},
                                         (resizer_window){4, 0, 4}, &r, &err),
                   VGG_BAD_VALUE);
}

static void grey_picture_for_a_colour_net_is_refused(void **state) {
  (void)state;
  uint8_t pixels[4] = {0}, out[12];
  const vgg_image image = {1, 2, 2, pixels};
  const vgg_preprocess rule = {.input = {3, 2, 2}};
  vgg_error err;
  assert_int_equal(vgg_preprocess_apply(&rule, &image, out, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "grey"));
}

/* The picture is 65500 to 1: resized as a whole it would have 3.3 thousand million pixels. */
static void thin_picture_costs_its_window_only(void **state) {
  (void)state;
  uint8_t *pixels = calloc(65500, 1);
  uint8_t *out = malloc(224 * 224);
  const vgg_image image = {1, 1, 65500, pixels};
  const vgg_preprocess rule = {.input = {1, 224, 224}};
  preprocessor *p;
  assert_int_equal(preprocessor_create(&rule, 1, 1, 65500, &p, NULL), VGG_OK);
  assert_true(preprocessor_bytes(p) < 1 << 20);
  preprocessor_close(p);
  assert_int_equal(vgg_preprocess_apply(&rule, &image, out, NULL), VGG_OK);
  free(pixels);
  free(out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resize_equals_pillow),
      cmocka_unit_test(box_equals_pillow),
      cmocka_unit_test(window_equals_cut),
      cmocka_unit_test(kernels_equal_plain_c),
      cmocka_unit_test(preprocess_equals_torchvision),
      cmocka_unit_test(bad_sizes_are_refused),
      cmocka_unit_test(grey_picture_for_a_colour_net_is_refused),
      cmocka_unit_test(thin_picture_costs_its_window_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
