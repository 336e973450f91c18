/* SPDX-License-Identifier: Apache-2.0 */
#include <png.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "vgg/image.h"

vgg_status vgg_image_write_png(const vgg_image *image, const char *path, vgg_error *err) {
  png_image png = {.version = PNG_IMAGE_VERSION,
                   .width = (png_uint_32)image->width,
                   .height = (png_uint_32)image->height,
                   .format = image->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
  png_alloc_size_t size = 0;
  if (!png_image_write_to_memory(&png, NULL, &size, 0, image->pixels, 0, NULL))
    return err_set(err, VGG_BAD_VALUE, "%s: %dx%d pixels: %s", path, image->width, image->height,
                   png.message);
  uint8_t *bytes = malloc(size);
  if (!bytes) return err_no_memory(err, path, size);
  vgg_status status;
  if (!png_image_write_to_memory(&png, bytes, &size, 0, image->pixels, 0, NULL))
    status = err_set(err, VGG_NO_MEMORY, "%s: %s", path, png.message);
  else
    status = file_replace(path, bytes, size, err);
  free(bytes);
  return status;
}
