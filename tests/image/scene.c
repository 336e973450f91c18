/* SPDX-License-Identifier: Apache-2.0 */
#include "image/scene.h"

#include <math.h>
#include <stdio.h> /* jpeglib.h wants it and size_t */
#include <stdlib.h>

#include <jpeglib.h>

enum { OCTAVES = 8, DISCS = 24 };

static uint32_t hash(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t h = a * 0x9e3779b1u ^ b * 0x85ebca77u ^ c * 0xc2b2ae3du;
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  h = (h ^ h >> 12) * 0x297a2d39u;
  return h ^ h >> 15;
}

/* -1 .. 1 */
static float noise(uint32_t seed, int y, int x) {
  return (float)(int32_t)hash(seed, (uint32_t)y, (uint32_t)x) * 0x1p-31f;
}

/* Noise on a grid `step` wide, smooth between. */
static float smooth(uint32_t seed, float y, float x, float step) {
  const float v = y / step, u = x / step;
  const int j = (int)v, i = (int)u;
  const float b = v - (float)j, a = u - (float)i;
  const float t = b * b * (3 - 2 * b), s = a * a * (3 - 2 * a);
  const float top = noise(seed, j, i) * (1 - s) + noise(seed, j, i + 1) * s;
  const float low = noise(seed, j + 1, i) * (1 - s) + noise(seed, j + 1, i + 1) * s;
  return top * (1 - t) + low * t;
}

static float light(uint32_t seed, float y, float x) {
  float sum = 0, step = 256;
  for (uint32_t k = 0; k < OCTAVES; k++, step /= 2)
    sum += smooth(seed + k, y + 7, x + 13, step) * step / 256;
  return sum;
}

void scene_draw(uint32_t seed, int height, int width, uint8_t *pixels) {
  struct {
    float y, x, r, level;
  } discs[DISCS];
  for (int d = 0; d < DISCS; d++) {
    discs[d].y = (0.5f + 0.6f * noise(seed, d, 1)) * (float)height;
    discs[d].x = (0.5f + 0.6f * noise(seed, d, 2)) * (float)width;
    discs[d].r = fabsf(noise(seed, d, 3)) * 0.2f * (float)height + 2;
    discs[d].level = 60 * noise(seed, d, 4);
  }
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      float grey = 70 * light(seed, (float)y, (float)x);
      for (int d = 0; d < DISCS; d++) {
        const float dy = (float)y - discs[d].y, dx = (float)x - discs[d].x;
        if (dy * dy + dx * dx < discs[d].r * discs[d].r) grey = grey / 2 + discs[d].level;
      }
      for (int c = 0; c < 3; c++) {
        const uint32_t plane = seed + 100u * (uint32_t)(c + 1);
        const float v =
            120 + grey + 30 * smooth(plane, (float)y, (float)x, 64) + 8 * noise(plane + 1, y, x);
        *pixels++ = (uint8_t)fminf(fmaxf(v, 0), 255);
      }
    }
}

scene_jpeg scene_encode(const uint8_t *pixels, int height, int width, int quality,
                        bool progressive) {
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  scene_jpeg out = {0};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &out.bytes, &out.size);
  jpeg.image_width = (unsigned)width;
  jpeg.image_height = (unsigned)height;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = (JSAMPROW)pixels + (size_t)jpeg.next_scanline * (size_t)width * 3;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  return out;
}
