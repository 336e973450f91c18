/* SPDX-License-Identifier: Apache-2.0 */
#include "image/augment.h"

#include <math.h>
#include <string.h>

#include "image/luma.h"

static size_t samples(const vgg_image *image) {
  return (size_t)image->height * (size_t)image->width * (size_t)image->channels;
}

void augment_flip(vgg_image *image) {
  const size_t channels = (size_t)image->channels, row = (size_t)image->width * channels;
  for (int y = 0; y < image->height; y++) {
    uint8_t *left = image->pixels + (size_t)y * row, *right = left + row - channels;
    for (; left < right; left += channels, right -= channels)
      for (size_t c = 0; c < channels; c++) {
        const uint8_t kept = left[c];
        left[c] = right[c];
        right[c] = kept;
      }
  }
}

/* Pillow's blend: in floats, cut off towards zero. */
static inline uint8_t blend(uint8_t from, uint8_t to, float factor) {
  const float v = (float)from + factor * (float)(to - from);
  return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : v);
}

static void blend_all(vgg_image *image, uint8_t from, float factor) {
  uint8_t table[256];
  for (int v = 0; v < 256; v++) table[v] = blend(from, (uint8_t)v, factor);
  const size_t count = samples(image);
  for (size_t i = 0; i < count; i++) image->pixels[i] = table[image->pixels[i]];
}

void augment_brightness(vgg_image *image, float factor) { blend_all(image, 0, factor); }

void augment_contrast(vgg_image *image, float factor) {
  const size_t count = samples(image), pixels = count / (size_t)image->channels;
  uint64_t sum = 0;
  if (image->channels == 1)
    for (size_t i = 0; i < count; i++) sum += image->pixels[i];
  else
    for (size_t i = 0; i < count; i += 3) sum += luma(image->pixels + i);
  blend_all(image, (uint8_t)((double)sum / (double)pixels + 0.5), factor);
}

void augment_saturation(vgg_image *image, float factor) {
  if (image->channels == 1) return;
  const size_t count = samples(image);
  for (uint8_t *p = image->pixels; p < image->pixels + count; p += 3) {
    const uint8_t grey = luma(p);
    for (int c = 0; c < 3; c++) p[c] = blend(grey, p[c], factor);
  }
}

void augment_pca(const float draws[3], float shift[3]) {
  static const float values[3] = {0.2175f, 0.0188f, 0.0045f}; /* of samples in 0 .. 1 */
  static const float vectors[3][3] = {/* rows: red, green, blue; columns: components */
                                      {-0.5675f, 0.7192f, 0.4009f},
                                      {-0.5808f, -0.0045f, -0.8140f},
                                      {-0.5836f, -0.6948f, 0.4203f}};
  for (int c = 0; c < 3; c++) {
    shift[c] = 0;
    for (int i = 0; i < 3; i++) shift[c] += 255 * vectors[c][i] * values[i] * draws[i];
  }
}

void augment_shift(vgg_image *image, const float *shift) {
  const size_t count = samples(image), channels = (size_t)image->channels;
  for (size_t c = 0; c < channels; c++) {
    uint8_t table[256];
    for (int v = 0; v < 256; v++)
      table[v] = (uint8_t)fminf(fmaxf((float)v + shift[c] + 0.5f, 0), 255);
    for (size_t i = c; i < count; i += channels) image->pixels[i] = table[image->pixels[i]];
  }
}

static int within(int v, int high) { return v < 0 ? 0 : v < high ? v : high; }

void augment_window(const vgg_image *image, int top, int left, vgg_image *out) {
  const size_t channels = (size_t)image->channels;
  const size_t in_row = (size_t)image->width * channels, row = (size_t)out->width * channels;
  /* columns of `out` that the picture covers */
  const int begin = within(-left, out->width), end = within(image->width - left, out->width);
  memset(out->pixels, 0, row * (size_t)out->height);
  for (int y = 0; y < out->height && begin < end; y++) {
    if (y + top < 0 || y + top >= image->height) continue;
    memcpy(out->pixels + (size_t)y * row + (size_t)begin * channels,
           image->pixels + (size_t)(y + top) * in_row + (size_t)(begin + left) * channels,
           (size_t)(end - begin) * channels);
  }
}

void augment_cutout(vgg_image *image, int row, int column, int side, uint8_t fill) {
  const size_t channels = (size_t)image->channels;
  const int top = within(row - side / 2, image->height);
  const int bottom = within(row - side / 2 + side, image->height);
  const int left = within(column - side / 2, image->width);
  const int right = within(column - side / 2 + side, image->width);
  if (left >= right) return;
  for (int y = top; y < bottom; y++)
    memset(image->pixels + ((size_t)y * (size_t)image->width + (size_t)left) * channels, fill,
           (size_t)(right - left) * channels);
}
