/* SPDX-License-Identifier: Apache-2.0 */
#include "tiny.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/philox.h"
#include "format/model.h"

enum { SIDE = 8, CLASSES = 10 };

static void write_file(const tiny *t, const char *name, const uint8_t *header, size_t size,
                       const uint8_t *body, size_t count) {
  FILE *f = fopen(tiny_path(t, name), "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(header, 1, size, f), size);
  assert_int_equal(fwrite(body, 1, count, f), count);
  assert_int_equal(fclose(f), 0);
}

/* Class k is a bright bar at a place of its own in noise that depends on (split, picture). */
static void write_split(const tiny *t, const char *prefix, uint32_t split, int count) {
  const size_t size = (size_t)count * SIDE * SIDE;
  uint8_t *pixels = malloc(size), *labels = malloc((size_t)count);
  assert_true(pixels && labels);
  for (int i = 0; i < count; i++) {
    uint8_t *picture = pixels + (size_t)i * SIDE * SIDE;
    uint32_t draw[4];
    philox(7, PHILOX_ORDER, split, (uint32_t)i, 0, draw);
    labels[i] = (uint8_t)(draw[0] % CLASSES);
    for (int j = 0; j < SIDE * SIDE; j++) {
      philox(7, PHILOX_ORDER, split, (uint32_t)i, (uint32_t)j + 1, draw);
      picture[j] = (uint8_t)(draw[0] % 100);
    }
    for (int j = 0; j < 6; j++) picture[(labels[i] * 6 + j) % (SIDE * SIDE)] = 250;
  }
  const uint8_t hi = (uint8_t)(count >> 8), lo = (uint8_t)count;
  const uint8_t images_header[16] = {0, 0, 8, 3, 0, 0, hi, lo, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
  const uint8_t labels_header[8] = {0, 0, 8, 1, 0, 0, hi, lo};
  char name[48];
  snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
  write_file(t, name, images_header, sizeof images_header, pixels, size);
  snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
  write_file(t, name, labels_header, sizeof labels_header, labels, (size_t)count);
  free(pixels);
  free(labels);
}

const char *tiny_path(const tiny *t, const char *name) {
  static char paths[8][288];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", t->dir, name);
  return path;
}

void tiny_open(tiny *t, int train_count, int test_count) {
  /* In memory where there is such a place: every point of a curve waits for the disk. */
  *t = (tiny){.dir = "/dev/shm/vgg-train-XXXXXX"};
  if (!mkdtemp(t->dir)) {
    *t = (tiny){.dir = "/tmp/vgg-train-XXXXXX"};
    assert_non_null(mkdtemp(t->dir));
  }
  write_split(t, "train", 1, train_count);
  write_split(t, "t10k", 2, test_count);
  char spec[80];
  snprintf(spec, sizeof spec, "idx:%s", t->dir);
  const vgg_arch_options options = {
      .input = {1, SIDE, SIDE}, .classes = CLASSES, .hidden = TINY_HIDDEN};
  vgg_error err = {0};
  if (vgg_arch_from_text("1x4,1x8", &options, &t->arch, &err) != VGG_OK ||
      vgg_dataset_open(spec, VGG_TRAIN, 0, &t->train, &err) != VGG_OK ||
      vgg_dataset_open(spec, VGG_TEST, 0, &t->test, &err) != VGG_OK)
    fail_msg("%s", err.message);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

void tiny_close(tiny *t) {
  vgg_arch_close(t->arch);
  vgg_dataset_close(t->train);
  vgg_dataset_close(t->test);
  nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

vgg_train_options tiny_options(const char *out) {
  return (vgg_train_options){
      .recipe = "d2l",
      .lr = .05,
      .epochs = 2,
      .seed = 5,
      .out = out,
      .run = {.backend = "reference", .precision = "fp32", .threads = 1, .batch = TINY_BATCH}};
}

vgg_trainer *tiny_create(const tiny *t, const char *name, vgg_train_options options) {
  options.out = tiny_path(t, name);
  vgg_trainer *trainer = NULL;
  vgg_error err = {0};
  if (vgg_trainer_create(t->arch, t->train, t->test, &options, &trainer, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return trainer;
}

vgg_trainer *tiny_resume(const tiny *t, const char *name, const vgg_train_options *options) {
  vgg_trainer *trainer = NULL;
  vgg_error err = {0};
  if (vgg_trainer_resume(tiny_path(t, name), t->train, t->test, options, &trainer, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return trainer;
}

static bool enough(const vgg_train_state *state, void *user) {
  return state->step >= *(const uint64_t *)user;
}

void tiny_train(vgg_trainer *trainer, uint64_t steps) {
  vgg_error err = {0};
  vgg_train_state final = {0};
  const vgg_status status = vgg_trainer_run(trainer, enough, &steps, &final, &err);
  if (status != VGG_OK && status != VGG_STOPPED) fail_msg("%s", err.message);
  if (status == VGG_STOPPED) assert_int_equal(final.step, steps);
  vgg_trainer_close(trainer);
}

char *tiny_read(const tiny *t, const char *run, const char *file) {
  char name[96];
  snprintf(name, sizeof name, "%s/%s", run, file);
  uint8_t *bytes;
  size_t size;
  vgg_error err = {0};
  if (file_read(tiny_path(t, name), 1 << 24, &bytes, &size, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return (char *)bytes;
}

static void assert_same_weights(const tiny *t, const char *a, const char *b, const char *file) {
  char names[2][96];
  snprintf(names[0], sizeof names[0], "%s/%s", a, file);
  snprintf(names[1], sizeof names[1], "%s/%s", b, file);
  vgg_model *models[2];
  vgg_error err = {0};
  for (int i = 0; i < 2; i++)
    if (vgg_model_load(tiny_path(t, names[i]), &models[i], &err) != VGG_OK)
      fail_msg("%s", err.message);
  assert_memory_equal(models[0]->values, models[1]->values,
                      models[0]->params.floats * sizeof(float));
  for (int i = 0; i < 2; i++) vgg_model_close(models[i]);
}

/* The two last fields of a line are timings. */
static void drop_timings(char *text) {
  char *to = text;
  for (char *line = text; *line;) {
    char *end = strchr(line, '\n');
    assert_non_null(end);
    char *cut = end;
    for (int fields = 0; fields < 2; fields++) do
        cut--;
      while (*cut != ',');
    memmove(to, line, (size_t)(cut - line));
    to += cut - line;
    *to++ = '\n';
    line = end + 1;
  }
  *to = 0;
}

static void assert_same_text(const tiny *t, const char *a, const char *b, const char *file,
                             bool timed) {
  char *texts[2] = {tiny_read(t, a, file), tiny_read(t, b, file)};
  for (int i = 0; i < 2 && timed; i++) drop_timings(texts[i]);
  assert_string_equal(texts[0], texts[1]);
  free(texts[0]);
  free(texts[1]);
}

void assert_same_run(const tiny *t, const char *a, const char *b) {
  assert_same_weights(t, a, b, "last.safetensors");
  assert_same_weights(t, a, b, "best.safetensors");
  assert_same_text(t, a, b, "metrics.jsonl", true);
  assert_same_text(t, a, b, "metrics.csv", true);
  assert_same_text(t, a, b, "curves.svg", false);
}
