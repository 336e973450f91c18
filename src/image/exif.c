/* SPDX-License-Identifier: Apache-2.0 */
#include "image/exif.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_SIZE = 12 };

typedef struct tiff {
  const uint8_t *bytes;
  size_t size;
  bool big_endian;
} tiff;

/* `count` bytes at `at`, which the caller has found to lie inside. */
static uint32_t number(const tiff *t, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; i++)
    value = value << 8 | t->bytes[at + (size_t)(t->big_endian ? i : count - 1 - i)];
  return value;
}

static int entry_orientation(const tiff *t, size_t at) {
  const uint32_t type = number(t, at + 2, 2);
  if (number(t, at + 4, 4) != 1 || (type != TYPE_SHORT && type != TYPE_LONG)) return 1;
  const uint32_t value = number(t, at + 8, type == TYPE_SHORT ? 2 : 4);
  return value >= 1 && value <= 8 ? (int)value : 1;
}

int exif_orientation(const uint8_t *bytes, size_t size) {
  if (size >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) bytes += 6, size -= 6;
  if (size < 8 || (memcmp(bytes, "II", 2) != 0 && memcmp(bytes, "MM", 2) != 0)) return 1;
  const tiff t = {bytes, size, bytes[0] == 'M'};
  if (number(&t, 2, 2) != 42) return 1;
  const size_t directory = number(&t, 4, 4);
  if (directory > size - 2) return 1;
  const size_t count = number(&t, directory, 2), first = directory + 2;
  for (size_t i = 0; i < count && (i + 1) * ENTRY_SIZE <= size - first; i++)
    if (number(&t, first + i * ENTRY_SIZE, 2) == TAG_ORIENTATION)
      return entry_orientation(&t, first + i * ENTRY_SIZE);
  return 1;
}

/* The picture as stored -> as it stands:
 *
 *   1 as it is         2 mirrored left-right   3 turned by 180   4 mirrored top-bottom
 *   5 rows <-> columns 6 turned clockwise      7 5 and then 3    8 turned counter-clockwise
 *
 * Every one is a walk over the stored pixels from one of the four corners: `right` is the step in
 * them for one pixel to the right in the result, `down` for one row down. */
vgg_status exif_orient(vgg_image *image, int orientation, vgg_error *err) {
  if (orientation <= 1 || orientation > 8) return VGG_OK;
  const ptrdiff_t c = image->channels, h = image->height, w = image->width;
  const size_t bytes = (size_t)(c * h * w);
  uint8_t *pixels = malloc(bytes);
  if (!pixels) return err_no_memory(err, "picture", bytes);

  const bool swapped = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation >= 7;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const ptrdiff_t column = from_right ? -c : c, row = from_bottom ? -c * w : c * w;
  const ptrdiff_t right = swapped ? row : column, down = swapped ? column : row;
  ptrdiff_t line = (from_right ? c * (w - 1) : 0) + (from_bottom ? c * w * (h - 1) : 0);
  image->height = (int)(swapped ? w : h);
  image->width = (int)(swapped ? h : w);
  uint8_t *out = pixels;
  for (int y = 0; y < image->height; y++, line += down) {
    ptrdiff_t at = line;
    for (int x = 0; x < image->width; x++, at += right, out += c)
      memcpy(out, image->pixels + at, (size_t)c);
  }
  free(image->pixels);
  image->pixels = pixels;
  return VGG_OK;
}
