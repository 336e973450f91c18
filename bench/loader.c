/* SPDX-License-Identifier: Apache-2.0
 *
 * What one picture costs the loader: one epoch of Fashion-MNIST at 224 x 224, batch 128.
 *
 *   bench_loader [DATASET [THREADS]]
 */
#include "data/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"

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

int main(int argc, char **argv) {
  int code = 0;
  vgg_error err;
  vgg_dataset *data = NULL;
  loader *l = NULL;
  const char *spec = argc > 1 ? argv[1] : "fashion-mnist";
  const double opened = clock_seconds();
  if (vgg_dataset_open(spec, VGG_TRAIN, 0, &data, &err) != VGG_OK) return fail(&err);
  printf("%s: %zu pictures, opened in %.2f s\n", vgg_dataset_spec(data), vgg_dataset_count(data),
         clock_seconds() - opened);
  const loader_options options = {.data = data,
                                  .rule = {.input = {1, 224, 224}},
                                  .batch = 128,
                                  .shuffle = true,
                                  .workers = argc > 2 ? atoi(argv[2]) : 1};
  if (loader_create(&options, &l, &err) != VGG_OK) {
    code = fail(&err);
    goto done;
  }
  const double start = clock_seconds(), busy = processor_seconds();
  const loader_batch *batch;
  size_t pictures = 0;
  if (loader_start(l, 0, 0, &err) != VGG_OK) code = fail(&err);
  while (code == 0) {
    if (loader_next(l, &batch, &err) != VGG_OK) code = fail(&err);
    if (code != 0 || !batch) break;
    pictures += (size_t)batch->n;
  }
  const double n = (double)pictures;
  printf("%zu pictures to 1x224x224: %.1f us each by the clock, %.1f us of processor time\n",
         pictures, (clock_seconds() - start) / n * 1e6, (processor_seconds() - busy) / n * 1e6);
done:
  loader_close(l);
  vgg_dataset_close(data);
  return code;
}
