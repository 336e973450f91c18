/* SPDX-License-Identifier: Apache-2.0
 *
 * Small inputs for the command tests.
 *   make_data idx DIR TRAIN TEST SIZE CLASSES   the four IDX files of SIZE x SIZE pictures: class k
 *                                               has a bright bar at the k-th of CLASSES heights
 *   make_data png FILE SIZE CLASSES K           one such picture as PNG
 */
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static unsigned char noise(void) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return (unsigned char)(state >> 27);
}

static void draw(unsigned char *pixels, int size, int classes, int k) {
  for (int y = 0; y < size; y++) {
    for (int x = 0; x < size; x++) {
      pixels[y * size + x] = (unsigned char)((y * classes / size == k ? 200 : 20) + noise());
    }
  }
}

static FILE *begin(const char *dir, const char *name, uint32_t magic, const uint32_t *dims) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "wb");
  if (f == NULL) {
    perror(path);
    exit(1);
  }
  uint32_t words[4] = {magic, dims[0], dims[1], dims[2]};
  for (uint32_t i = 0; i < 1 + (magic & 3); i++) {
    for (int shift = 24; shift >= 0; shift -= 8) fputc((int)(words[i] >> shift & 255), f);
  }
  return f;
}

static void write_split(const char *dir, const char *split, int count, int size, int classes) {
  char name[64];
  uint32_t dims[] = {(uint32_t)count, (uint32_t)size, (uint32_t)size};
  snprintf(name, sizeof name, "%s-images-idx3-ubyte", split);
  FILE *images = begin(dir, name, 0x803, dims);
  snprintf(name, sizeof name, "%s-labels-idx1-ubyte", split);
  FILE *labels = begin(dir, name, 0x801, dims);
  unsigned char *pixels = malloc((size_t)size * (size_t)size);
  for (int i = 0; i < count; i++) {
    draw(pixels, size, classes, i % classes);
    fwrite(pixels, 1, (size_t)size * (size_t)size, images);
    fputc(i % classes, labels);
  }
  free(pixels);
  fclose(images);
  fclose(labels);
}

static int write_png(const char *path, int size, int classes, int k) {
  unsigned char *pixels = malloc((size_t)size * (size_t)size);
  draw(pixels, size, classes, k);
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)size,
                     .height = (png_uint_32)size,
                     .format = PNG_FORMAT_GRAY};
  int ok = png_image_write_to_file(&image, path, 0, pixels, 0, NULL);
  free(pixels);
  return ok ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc == 7 && strcmp(argv[1], "idx") == 0) {
    mkdir(argv[2], 0777);
    write_split(argv[2], "train", atoi(argv[3]), atoi(argv[5]), atoi(argv[6]));
    write_split(argv[2], "t10k", atoi(argv[4]), atoi(argv[5]), atoi(argv[6]));
    return 0;
  }
  if (argc == 6 && strcmp(argv[1], "png") == 0) {
    return write_png(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
  }
  fprintf(stderr, "make_data: see the top of make_data.c\n");
  return 64;
}
