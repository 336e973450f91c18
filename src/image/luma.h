/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGE_LUMA_H
#define IMAGE_LUMA_H

#include <stdint.h>

/* The grey of a colour rgb[3], by Pillow's integers. */
static inline uint8_t luma(const uint8_t *rgb) {
  return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

#endif
