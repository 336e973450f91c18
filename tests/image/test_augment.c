/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of training pictures, against Pillow (tests/golden/pillow/make_golden.py) where it has
 * them, else against what each says of itself, pixel by pixel.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h wants the headers above it */
#include <cmocka.h>

#include "image/augment.h"
#include "image/pnm.h"

static void apply(vgg_image *image, const char *what, float factor) {
  if (strcmp(what, "brightness") == 0)
    augment_brightness(image, factor);
  else if (strcmp(what, "contrast") == 0)
    augment_contrast(image, factor);
  else if (strcmp(what, "saturation") == 0)
    augment_saturation(image, factor);
  else
    augment_flip(image);
}

static void changes_equal_pillow(void **state) {
  (void)state;
  pnm_file file = pnm_open("golden/pillow/augment.pnm");
  vgg_image image, want;
  char comment[64], none[64], what[32];
  int count = 0;
  for (; pnm_next(&file, &image, comment); count++) {
    float factor;
    assert_true(pnm_next(&file, &want, none));
    assert_int_equal(sscanf(comment, "%31s %f", what, &factor), 2);
    apply(&image, what, factor);
    const int samples = image.channels * image.height * image.width;
    for (int i = 0; i < samples; i++)
      if (image.pixels[i] != want.pixels[i])
        fail_msg("%s: sample %d is %d, wanted %d", comment, i, image.pixels[i], want.pixels[i]);
  }
  assert_int_equal(count, 24);
  pnm_close(&file);
}

/* A picture whose pixels differ: [height][width][channels]. */
static vgg_image numbered(int channels, int height, int width) {
  const size_t count = (size_t)channels * (size_t)height * (size_t)width;
  vgg_image image = {channels, height, width, malloc(count)};
  for (size_t i = 0; i < count; i++) image.pixels[i] = (uint8_t)(i + 1);
  return image;
}

static uint8_t sample(const vgg_image *image, int y, int x, int c) {
  return image->pixels[(y * image->width + x) * image->channels + c];
}

static void check_window(const vgg_image *image, int top, int left, int height, int width) {
  vgg_image out = numbered(image->channels, height, width);
  augment_window(image, top, left, &out);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < image->channels; c++) {
        const int v = y + top, u = x + left;
        const bool inside = v >= 0 && v < image->height && u >= 0 && u < image->width;
        assert_int_equal(sample(&out, y, x, c), inside ? sample(image, v, u, c) : 0);
      }
  vgg_image_free(&out);
}

static void window_is_the_padded_crop(void **state) {
  (void)state;
  for (int channels = 1; channels <= 3; channels += 2) {
    vgg_image image = numbered(channels, 5, 6);
    for (int top = -9; top <= 9; top++)
      for (int left = -9; left <= 9; left++) {
        check_window(&image, top, left, 5, 6);
        check_window(&image, top, left, 3, 8);
      }
    vgg_image_free(&image);
  }
}

static void cutout_fills_its_square(void **state) {
  (void)state;
  for (int side = 0; side <= 9; side++)
    for (int row = -6; row <= 11; row++)
      for (int column = -6; column <= 12; column++) {
        vgg_image image = numbered(3, 5, 7), before = numbered(3, 5, 7);
        augment_cutout(&image, row, column, side, 200);
        for (int y = 0; y < 5; y++)
          for (int x = 0; x < 7; x++) {
            const int v = y - row + side / 2, u = x - column + side / 2;
            const bool inside = v >= 0 && v < side && u >= 0 && u < side;
            for (int c = 0; c < 3; c++)
              assert_int_equal(sample(&image, y, x, c), inside ? 200 : sample(&before, y, x, c));
          }
        vgg_image_free(&image);
        vgg_image_free(&before);
      }
}

static void shift_rounds_and_clips(void **state) {
  (void)state;
  uint8_t pixels[] = {0, 100, 255, 3, 250, 7};
  vgg_image image = {3, 1, 2, pixels};
  augment_shift(&image, (const float[]){-2.4f, 5.6f, 0.4f});
  assert_memory_equal(pixels, ((uint8_t[]){0, 106, 255, 1, 255, 7}), 6);
  vgg_image grey = {1, 1, 2, pixels};
  augment_shift(&grey, (const float[]){300});
  assert_memory_equal(pixels, ((uint8_t[]){255, 255, 255, 1, 255, 7}), 6);
}

/* The components are orthonormal, as published to four digits: each product of two is within
 * 3 * 2 * 0.00005 of 0 or 1. */
static void colour_components_are_orthonormal(void **state) {
  (void)state;
  static const float values[3] = {0.2175f, 0.0188f, 0.0045f};
  float component[3][3];
  for (int i = 0; i < 3; i++) {
    float draws[3] = {0};
    draws[i] = 1 / (255 * values[i]);
    augment_pca(draws, component[i]);
  }
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      float dot = 0;
      for (int c = 0; c < 3; c++) dot += component[i][c] * component[j][c];
      assert_true(fabsf(dot - (i == j)) < 3e-4f);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(changes_equal_pillow),
      cmocka_unit_test(window_is_the_padded_crop),
      cmocka_unit_test(cutout_fills_its_square),
      cmocka_unit_test(shift_rounds_and_clips),
      cmocka_unit_test(colour_components_are_orthonormal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
