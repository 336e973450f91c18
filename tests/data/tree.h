/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of small pictures for tests.
 */
#ifndef TESTS_DATA_TREE_H
#define TESTS_DATA_TREE_H

#include <ftw.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vgg/data.h"

typedef struct tree {
  char dir[64];
} tree;

static inline tree tree_make(void) {
  tree t = {"/tmp/vgg-test-XXXXXX"};
  assert_non_null(mkdtemp(t.dir));
  return t;
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type,
                                  struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}
static inline void tree_remove(const tree *t) {
  assert_int_equal(nftw(t->dir, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* DIR/NAME in `path`; all folders above it are there afterwards. */
static inline void tree_path(const tree *t, const char *name, char path[256]) {
  snprintf(path, 256, "%s/%s", t->dir, name);
  for (char *p = path + strlen(t->dir) + 1; (p = strchr(p, '/')); p++) {
    *p = 0;
    mkdir(path, 0700);
    *p = '/';
  }
}

static inline void tree_file(const tree *t, const char *name, const void *content, size_t size) {
  char path[256];
  tree_path(t, name, path);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(content, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
}
static inline void tree_text(const tree *t, const char *name, const char *lines) {
  tree_file(t, name, lines, strlen(lines));
}

static inline void tree_png(const tree *t, const char *name, int h, int w, int channels,
                            const uint8_t *pixels) {
  char path[256];
  tree_path(t, name, path);
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)w,
                     .height = (png_uint_32)h,
                     .format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
  assert_true(png_image_write_to_file(&image, path, 0, pixels, 0, NULL));
}

/* A picture of h x w that `value` tells from others. */
static inline void tree_dot(const tree *t, const char *name, int h, int w, int channels,
                            uint8_t value) {
  uint8_t pixels[3 * 64 * 64];
  const int size = h * w * channels;
  assert_true(size <= (int)sizeof pixels);
  for (int i = 0; i < size; i++) pixels[i] = (uint8_t)(value + i * 7);
  tree_png(t, name, h, w, channels, pixels);
}

static inline vgg_status tree_open(const tree *t, const char *word, const char *below,
                                   vgg_split split, const char *order, vgg_dataset **out,
                                   vgg_error *err) {
  char spec[320];
  snprintf(spec, sizeof spec, "%s%s%s/%s", word, *word ? ":" : "", t->dir, below);
  const vgg_data_options options = {.class_order = order};
  *out = NULL;
  *err = (vgg_error){0};
  const vgg_status status = vgg_dataset_open_with(spec, split, &options, out, err);
  if (status != VGG_OK) assert_null(*out);
  assert_int_equal(err->status, status);
  return status;
}

static inline vgg_dataset *tree_must_open(const tree *t, const char *word, const char *below,
                                          vgg_split split, const char *order) {
  vgg_dataset *data;
  vgg_error err;
  if (tree_open(t, word, below, split, order, &data, &err) != VGG_OK) fail_msg("%s", err.message);
  return data;
}

/* Refused with `status` and a message that has `part`. */
static inline void tree_refused(const tree *t, const char *word, const char *below, vgg_split split,
                                const char *order, vgg_status status, const char *part) {
  vgg_dataset *data;
  vgg_error err;
  const vgg_status found = tree_open(t, word, below, split, order, &data, &err);
  if (found != status || !strstr(err.message, part))
    fail_msg("status %d, \"%s\"; wanted %d, \"%s\"", found, err.message, status, part);
}

/* The picture's first byte and label. */
static inline void assert_picture(const vgg_dataset *data, size_t i, uint8_t value, int label) {
  vgg_image image;
  vgg_error err;
  if (vgg_dataset_read(data, i, &image, &err) != VGG_OK) fail_msg("%s", err.message);
  if (image.pixels[0] != value || vgg_dataset_label(data, i) != label)
    fail_msg("picture %zu: value %d, label %d; wanted %d, %d", i, image.pixels[0],
             vgg_dataset_label(data, i), value, label);
  vgg_image_free(&image);
}

static inline void assert_classes(const vgg_dataset *data, const char *const *names, int count) {
  assert_int_equal(vgg_dataset_classes(data), count);
  for (int i = 0; i < count; i++) assert_string_equal(vgg_dataset_class_name(data, i), names[i]);
}

#endif
