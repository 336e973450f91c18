/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/target.h"
#include "image/codec.h"
#include "image/exif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  /* Small limits keep each input fast; the code behind them is the same. */
  static const codec_limits limits = {
      .pixels = 1 << 16, .side = 4096, .scratch = 1 << 22, .scans = 20};
  const codec_input in = {"fuzz", data, size, &limits};
  vgg_image image = {0};
  int orientation = 1;
  if (!jpeg_decode(&in, &image, &orientation, NULL)) exif_orient(&image, orientation, NULL);
  vgg_image_free(&image);
  return 0;
}
