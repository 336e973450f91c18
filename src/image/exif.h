/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thing that a picture's EXIF block is asked for: how the camera was held.
 *
 *   1. optionally "Exif\0\0"; what follows is a TIFF file, offsets count from its start
 *   2. byte order "II" (little) or "MM" (big), 42 as 16 bits, offset of the first directory, 32
 * bits
 *   3. the directory: count, 16 bits; entries of 12 bytes: tag, type, number of values, value
 *   4. tag 0x0112 is the orientation, type 3 (16 bits) or 4 (32 bits), one value of 1 .. 8
 */
#ifndef IMAGE_EXIF_H
#define IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

#include "vgg/image.h"

/* The orientation, 1 .. 8, of an EXIF block; 1 when it has none or is broken, since cameras and
 * editors write many broken ones around good pictures. */
int exif_orientation(const uint8_t *bytes, size_t size);

/* Turns and mirrors a decoded picture so that it stands as its orientation says, swapping height
 * and width for 5 .. 8. On success the old pixels are freed; on failure (VGG_NO_MEMORY) the
 * picture is as before. */
vgg_status exif_orient(vgg_image *image, int orientation, vgg_error *err);

#endif
