/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures with the statistics of photographs, and JPEG files of them, for tests and timing.
 */
#ifndef TESTS_IMAGE_SCENE_H
#define TESTS_IMAGE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* pixels [height][width][3], written: light that varies at all scales as 1 / frequency, discs with
 * sharp edges in front of it, a sensor's noise. Equal seeds give equal pictures. */
void scene_draw(uint32_t seed, int height, int width, uint8_t *pixels);

typedef struct scene_jpeg {
  uint8_t *bytes; /* free with free() */
  unsigned long size;
} scene_jpeg;

/* A JPEG file of pixels [height][width][3], colours at half resolution. */
scene_jpeg scene_encode(const uint8_t *pixels, int height, int width, int quality,
                        bool progressive);

#endif
