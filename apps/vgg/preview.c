/* SPDX-License-Identifier: Apache-2.0 */
#include "preview.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, COLUMNS = 9, GAP = 4 }; /* the first column is the picture without changes */

typedef struct grid {
  vgg_image image;
  vgg_preprocess rule;
  uint8_t *cell; /* of the rule's input */
} grid;

static bool grid_alloc(grid *g, const vgg_preprocess *rule) {
  const vgg_shape in = rule->input;
  *g = (grid){.image = {.channels = in.c,
                        .height = ROWS * (in.h + GAP) - GAP,
                        .width = COLUMNS * (in.w + GAP) - GAP},
              .rule = *rule};
  const size_t bytes = (size_t)g->image.channels * (size_t)g->image.height * (size_t)g->image.width;
  g->image.pixels = malloc(bytes);
  g->cell = malloc((size_t)in.c * (size_t)in.h * (size_t)in.w);
  if (g->image.pixels == NULL || g->cell == NULL) return false;
  memset(g->image.pixels, 255, bytes);
  return true;
}

static void put_cell(grid *g, int row, int column) {
  const vgg_shape in = g->rule.input;
  const size_t line = (size_t)in.w * (size_t)in.c;
  const size_t width = (size_t)g->image.width * (size_t)in.c;
  uint8_t *to = g->image.pixels + (size_t)row * (size_t)(in.h + GAP) * width +
                (size_t)column * (size_t)(in.w + GAP) * (size_t)in.c;
  for (int y = 0; y < in.h; y++) memcpy(to + (size_t)y * width, g->cell + (size_t)y * line, line);
}

static vgg_status fill_row(grid *g, int row, const vgg_dataset *data, size_t i,
                           const preview_options *o, vgg_error *err) {
  vgg_image image;
  if (vgg_dataset_read(data, i, &image, err) != VGG_OK) {
    cli_note("left out: %s", err->message);
    return VGG_OK;
  }
  vgg_status status = VGG_OK;
  for (int column = 0; column < COLUMNS && status == VGG_OK; column++) {
    status = vgg_augment_apply(column > 0 ? o->augment : NULL, &g->rule, &image, o->seed,
                               (uint32_t)(column > 0 ? column - 1 : 0), (uint32_t)i, g->cell, err);
    if (status == VGG_OK) put_cell(g, row, column);
  }
  vgg_image_free(&image);
  return status;
}

vgg_status preview_save(const vgg_dataset *data, const preview_options *o, vgg_error *err) {
  const size_t count = vgg_dataset_count(data);
  vgg_preprocess rule = {.input = o->input, .channels = VGG_CHANNELS_REPLICATE};
  if (rule.input.c == 0) rule.input = (vgg_shape){vgg_dataset_shape(data).c, 224, 224};
  grid g;
  vgg_status status = VGG_OK;
  if (!grid_alloc(&g, &rule)) {
    *err = (vgg_error){.status = VGG_NO_MEMORY, .message = "no memory for a preview"};
    status = VGG_NO_MEMORY;
  }
  for (int row = 0; row < ROWS && status == VGG_OK; row++)
    if ((size_t)row < count) /* spread over the set */
      status =
          fill_row(&g, row, data, count < ROWS ? (size_t)row : (size_t)row * count / ROWS, o, err);
  if (status == VGG_OK) status = vgg_image_write_png(&g.image, o->path, err);
  vgg_image_free(&g.image);
  free(g.cell);
  return status;
}
