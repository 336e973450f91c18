/* SPDX-License-Identifier: Apache-2.0
 *
 * What a loader can do on one core with JPEG pictures of 500 x 375: pictures/s of decoding, of
 * resizing and cropping to 224 x 224, of both.
 *
 *   bench_pictures [SECONDS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "image/preprocess.h"
#include "image/scene.h"

enum { FILES = 8, HEIGHT = 375, WIDTH = 500, QUALITY = 95 };

static scene_jpeg files[FILES];
static vgg_image images[FILES];
static uint8_t small[224 * 224 * 3];
static const vgg_preprocess rule = {.input = {3, 224, 224}};

static vgg_status decode(int i) {
  vgg_image image;
  const vgg_status status =
      vgg_image_decode("picture", files[i].bytes, files[i].size, NULL, &image, NULL);
  if (!status) vgg_image_free(&image);
  return status;
}

static vgg_status resize(int i) { return vgg_preprocess_apply(&rule, &images[i], small, NULL); }

static vgg_status both(int i) {
  vgg_image image;
  vgg_status status =
      vgg_image_decode("picture", files[i].bytes, files[i].size, NULL, &image, NULL);
  if (status) return status;
  status = vgg_preprocess_apply(&rule, &image, small, NULL);
  vgg_image_free(&image);
  return status;
}

static vgg_status measure(const char *name, vgg_status (*stage)(int), double seconds) {
  int count = 0;
  double best = 0;
  const double start = clock_seconds();
  while (clock_seconds() - start < seconds) {
    const double begin = clock_seconds();
    for (int i = 0; i < FILES; i++) {
      const vgg_status status = stage(i);
      if (status) return status;
    }
    const double rate = FILES / (clock_seconds() - begin);
    best = rate > best ? rate : best;
    count += FILES;
  }
  printf("%-16s %7.0f pictures/s in the mean, %7.0f at best\n", name,
         count / (clock_seconds() - start), best);
  return VGG_OK;
}

int main(int argc, char **argv) {
  const double seconds = argc > 1 ? atof(argv[1]) : 2;
  uint8_t *pixels = malloc((size_t)HEIGHT * WIDTH * 3);
  if (!pixels) return EXIT_FAILURE;
  size_t bytes = 0;
  vgg_status status = VGG_OK;
  for (int i = 0; i < FILES && !status; i++) {
    scene_draw((uint32_t)i * 1000u, HEIGHT, WIDTH, pixels);
    files[i] = scene_encode(pixels, HEIGHT, WIDTH, QUALITY, false);
    bytes += files[i].size;
    status = vgg_image_decode("picture", files[i].bytes, files[i].size, NULL, &images[i], NULL);
  }
  printf("%d JPEG files of %dx%d, %zu bytes in the mean\n", FILES, WIDTH, HEIGHT, bytes / FILES);
  if (!status) status = measure("decode", decode, seconds);
  if (!status) status = measure("resize and crop", resize, seconds);
  if (!status) status = measure("both", both, seconds);
  for (int i = 0; i < FILES; i++) {
    free(files[i].bytes);
    vgg_image_free(&images[i]);
  }
  free(pixels);
  return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
