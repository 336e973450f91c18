/* SPDX-License-Identifier: Apache-2.0
 *
 * What one picture costs the loader: one epoch of a data set at 224 x 224, batch 128.
 *
 *   bench_loader [DATASET|jpeg [THREADS [AT_LEAST]]]
 *
 * jpeg: JPEG files of 500 x 375 that it makes itself, decoded, resized and cropped; at least 400 of
 * them should be made in a second of one core. AT_LEAST: exit code 1 if there are fewer; in seconds
 * of the processor, so that neighbours on the machine do not count. [fashion-mnist, 1 thread]
 */
#include "data/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "image/scene.h"

static int fail(const vgg_error *err) {
  fprintf(stderr, "bench_loader: %s\n", err->message);
  return (int)err->status;
}

static double processor_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* ---- JPEG files of their own ----------------------------------------------------------------- */

enum { FILES = 16, LINES = 1024, HEIGHT = 375, WIDTH = 500, QUALITY = 95 };

static char folder[] = "/tmp/vgg-bench-XXXXXX";

static void file_path(char path[64], int i) { snprintf(path, 64, "%s/%d.jpg", folder, i); }

/* folder/list.csv names every file many times over. */
static bool make_files(void) {
  char path[64];
  uint8_t *pixels = malloc((size_t)HEIGHT * WIDTH * 3);
  if (!pixels || !mkdtemp(folder)) return false;
  bool ok = true;
  for (int i = 0; i < FILES && ok; i++) {
    scene_draw((uint32_t)i * 1000u, HEIGHT, WIDTH, pixels);
    scene_jpeg jpeg = scene_encode(pixels, HEIGHT, WIDTH, QUALITY, false);
    file_path(path, i);
    FILE *f = fopen(path, "wb");
    ok = f && fwrite(jpeg.bytes, 1, jpeg.size, f) == jpeg.size;
    if (f) ok = fclose(f) == 0 && ok;
    free(jpeg.bytes);
  }
  free(pixels);
  snprintf(path, sizeof path, "%s/list.csv", folder);
  FILE *list = fopen(path, "w");
  for (int i = 0; list && i < LINES; i++) fprintf(list, "%d.jpg,%d\n", i % FILES, i % 2);
  return list && fclose(list) == 0 && ok;
}

static void remove_files(void) {
  char path[64];
  for (int i = 0; i < FILES; i++) {
    file_path(path, i);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/list.csv", folder);
  unlink(path);
  rmdir(folder);
}

/* ---- an epoch -------------------------------------------------------------------------------- */

static int run_epoch(loader *l, size_t *pictures) {
  vgg_error err;
  const loader_batch *batch;
  if (loader_start(l, 0, 0, &err) != VGG_OK) return fail(&err);
  for (;;) {
    if (loader_next(l, &batch, &err) != VGG_OK) return fail(&err);
    if (!batch) return 0;
    *pictures += (size_t)batch->n;
  }
}

static int measure(const char *spec, int threads, double at_least) {
  int code = 0;
  vgg_error err;
  vgg_dataset *data = NULL;
  loader *l = NULL;
  const double opened = clock_seconds();
  if (vgg_dataset_open(spec, VGG_TRAIN, 0, &data, &err) != VGG_OK) return fail(&err);
  printf("%s: %zu pictures, opened in %.2f s\n", vgg_dataset_spec(data), vgg_dataset_count(data),
         clock_seconds() - opened);
  const loader_options options = {.data = data,
                                  .rule = {.input = {vgg_dataset_shape(data).c, 224, 224}},
                                  .batch = 128,
                                  .shuffle = true,
                                  .workers = threads};
  if (loader_create(&options, &l, &err) != VGG_OK) {
    code = fail(&err);
    goto done;
  }
  const double start = clock_seconds(), busy = processor_seconds();
  size_t pictures = 0;
  code = run_epoch(l, &pictures);
  if (code) goto done;
  const double n = (double)pictures, wall = clock_seconds() - start;
  const double processor = processor_seconds() - busy;
  printf(
      "%zu pictures to %dx224x224 by %d thread%s: %.0f/s by the clock, %.1f us each; %.0f/s and "
      "core, %.1f us of processor time each\n",
      pictures, options.rule.input.c, threads, threads == 1 ? "" : "s", n / wall, wall / n * 1e6,
      n / processor, processor / n * 1e6);
  if (n / processor < at_least) code = 1;
done:
  loader_close(l);
  vgg_dataset_close(data);
  return code;
}

int main(int argc, char **argv) {
  const char *spec = argc > 1 ? argv[1] : "fashion-mnist";
  const int threads = argc > 2 ? atoi(argv[2]) : 1;
  const double at_least = argc > 3 ? atof(argv[3]) : 0;
  if (strcmp(spec, "jpeg") != 0) return measure(spec, threads, at_least);
  char list[64];
  int code = EXIT_FAILURE;
  if (make_files()) {
    snprintf(list, sizeof list, "csv:%s/list.csv", folder);
    code = measure(list, threads, at_least);
  }
  remove_files();
  return code;
}
