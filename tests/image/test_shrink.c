/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG decoded at a reduced scale: when, and how near it stays to the exact way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* cmocka.h wants the headers above it */
#include <cmocka.h>

#include "image/codec.h"
#include "image/scene.h"

enum { HEIGHT = 600, WIDTH = 800 };

static void scale_keeps_twice_the_wanted_size(void **state) {
  (void)state;
  assert_int_equal(codec_jpeg_divisor(375, 500, 0, 0), 1);
  assert_int_equal(codec_jpeg_divisor(375, 500, 224, 224), 1);
  assert_int_equal(codec_jpeg_divisor(895, 2000, 224, 224), 1);
  assert_int_equal(codec_jpeg_divisor(896, 896, 224, 224), 2);
  assert_int_equal(codec_jpeg_divisor(4000, 1791, 224, 224), 2);
  assert_int_equal(codec_jpeg_divisor(1792, 4000, 224, 224), 4);
  assert_int_equal(codec_jpeg_divisor(4000, 3584, 224, 224), 8);
  assert_int_equal(codec_jpeg_divisor(65500, 65500, 1, 1), 8);
  assert_int_equal(codec_jpeg_divisor(1, 1, 1, 1), 1);
  assert_int_equal(codec_jpeg_divisor(1000, 1000, 250, 300), 1); /* both sides count */
  assert_int_equal(codec_jpeg_divisor(1200, 1000, 300, 250), 2);
}

static vgg_image decode(const scene_jpeg *file, const vgg_decode_options *options) {
  vgg_image image;
  vgg_error err;
  if (vgg_image_decode("scene", file->bytes, file->size, options, &image, &err))
    fail_msg("%s", err.message);
  return image;
}

/* The mean difference, in 255ths, of a net's input made by way of a reduced decode. */
static double difference(const scene_jpeg *file, int side, int divisor) {
  const vgg_preprocess rule = {.input = {3, side, side}};
  const vgg_decode_options options = {.shrunk_h = side, .shrunk_w = side};
  vgg_image exact = decode(file, NULL), reduced = decode(file, &options);
  assert_int_equal(exact.width, WIDTH);
  assert_int_equal(reduced.width, WIDTH / divisor);
  const int count = 3 * side * side;
  uint8_t *want = malloc((size_t)count), *got = malloc((size_t)count);
  assert_int_equal(vgg_preprocess_apply(&rule, &exact, want, NULL), VGG_OK);
  assert_int_equal(vgg_preprocess_apply(&rule, &reduced, got, NULL), VGG_OK);
  long sum = 0;
  for (int i = 0; i < count; i++) sum += labs((long)got[i] - want[i]);
  vgg_image_free(&exact);
  vgg_image_free(&reduced);
  free(want);
  free(got);
  return (double)sum / count;
}

static void reduced_scale_stays_near(void **state) {
  (void)state;
  static const struct {
    int side, divisor;
  } cases[] = {{150, 2}, {100, 2}, {75, 4}, {50, 4}, {37, 8}, {24, 8}};
  uint8_t *pixels = malloc((size_t)HEIGHT * WIDTH * 3);
  for (uint32_t seed = 1; seed <= 2; seed++) {
    scene_draw(seed * 1000, HEIGHT, WIDTH, pixels);
    const scene_jpeg file = scene_encode(pixels, HEIGHT, WIDTH, 90, seed == 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      const double mean = difference(&file, cases[i].side, cases[i].divisor);
      printf("to %d by 1/%d: %.3f of 255\n", cases[i].side, cases[i].divisor, mean);
      assert_true(mean < 1.5);
      assert_true(mean > 0); /* it is another way */
    }
    free(file.bytes);
  }
  free(pixels);
}

/* The option speaks of the picture as it stands, the decoder of how it is stored. */
static void orientation_swaps_the_wanted_sides(void **state) {
  (void)state;
  static const uint8_t exif6[] =
      "\xff\xe1\0\x22"
      "Exif\0\0II\x2a\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0";
  uint8_t *pixels = malloc((size_t)HEIGHT * WIDTH * 3);
  scene_draw(1, HEIGHT, WIDTH, pixels);
  scene_jpeg file = scene_encode(pixels, HEIGHT, WIDTH, 90, false);
  scene_jpeg turned = {malloc(file.size + 36), file.size + 36};
  for (unsigned long i = 0; i < turned.size; i++)
    turned.bytes[i] = i < 2 ? file.bytes[i] : i < 38 ? exif6[i - 2] : file.bytes[i - 36];
  vgg_decode_options options = {.shrunk_h = WIDTH / 4, .shrunk_w = HEIGHT / 4};
  vgg_image image = decode(&turned, &options);
  assert_int_equal(image.height, WIDTH / 2);
  assert_int_equal(image.width, HEIGHT / 2);
  vgg_image_free(&image);
  options.ignore_exif = true;
  image = decode(&turned, &options);
  assert_int_equal(image.width, WIDTH);
  vgg_image_free(&image);
  free(pixels);
  free(file.bytes);
  free(turned.bytes);
}

/* Its coefficients must all be kept: 600 x 800 of 3 / 2 samples of 2 bytes. */
static void progressive_memory_is_limited(void **state) {
  (void)state;
  uint8_t *pixels = calloc((size_t)HEIGHT * WIDTH, 3);
  const scene_jpeg file = scene_encode(pixels, HEIGHT, WIDTH, 90, true);
  vgg_image image = {0};
  vgg_decode_options options = {.max_memory = 1000000};
  assert_int_equal(vgg_image_decode("scene", file.bytes, file.size, &options, &image, NULL),
                   VGG_BAD_CONTENT);
  options.max_memory = 2000000;
  image = decode(&file, &options);
  vgg_image_free(&image);
  free(pixels);
  free(file.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scale_keeps_twice_the_wanted_size),
      cmocka_unit_test(reduced_scale_stays_near),
      cmocka_unit_test(orientation_swaps_the_wanted_sides),
      cmocka_unit_test(progressive_memory_is_limited),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
