/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets of the picture formats share.
 */
#ifndef FUZZ_PICTURE_H
#define FUZZ_PICTURE_H

#include <stdlib.h>

#include "vgg/image.h"

/* Decodes a file. Small limits keep each input fast; the code behind them is the same. */
static inline void fuzz_picture(const uint8_t *data, size_t size, int shrunk) {
  const vgg_decode_options options = {.max_pixels = 1 << 16,
                                      .max_side = 4096,
                                      .max_memory = 1 << 22,
                                      .max_scans = 20,
                                      .shrunk_h = shrunk,
                                      .shrunk_w = shrunk};
  vgg_image image;
  if (vgg_image_decode("fuzz", data, size, &options, &image, NULL) != VGG_OK) return;
  const size_t count = (size_t)image.channels * (size_t)image.height * (size_t)image.width;
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < count; i++) sum = (uint8_t)(sum + image.pixels[i]);
  vgg_image_free(&image);
}

#endif
