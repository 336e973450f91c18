/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of the trainer from weights of a file against PyTorch's fine-tuning in float64
 * (make_finetune.py): losses, rates and the weights after the last step, for frozen features, for
 * a head at a rate of its own, for classes with weights; as `auto` runs them, on the reference
 * backend, and in parts of a batch.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/model.h"
#include "vgg/vgg.h"

enum { SIDE = 32, N = 3, CLASSES = 5, STEPS = 5, PIXELS = SIDE * SIDE };

static char dir[] = "/tmp/vgg-finetune-XXXXXX";
static char paths[8][64];
static int num_paths;

/* A file of the directory, removed at the end. */
static const char *path_of(const char *name) {
  snprintf(paths[num_paths], sizeof paths[0], "%s/%s", dir, name);
  return paths[num_paths++];
}

/* ---- what make_golden.py and make_finetune.py have as well ----------------------------------- */

static uint64_t splitmix64(uint64_t x) {
  x = (x + 1) * 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

static void write_file(const char *path, const uint8_t *head, size_t size, const uint8_t *body,
                       size_t count) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(head, 1, size, f), size);
  assert_int_equal(fwrite(body, 1, count, f), count);
  assert_int_equal(fclose(f), 0);
}

static vgg_dataset *make_data(uint64_t seed) {
  static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, N, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
  static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, N};
  uint8_t pixels[N * PIXELS], numbers[N];
  for (int i = 0; i < N * PIXELS; i++)
    pixels[i] = (uint8_t)(splitmix64((seed << 32) + (uint64_t)i) >> 56);
  for (int i = 0; i < N; i++)
    numbers[i] = (uint8_t)(splitmix64((seed << 32) + (1u << 31) + (uint64_t)i) % 10 % CLASSES);
  numbers[N - 1] = CLASSES - 1;
  write_file(path_of("train-images-idx3-ubyte"), images, sizeof images, pixels, sizeof pixels);
  write_file(path_of("train-labels-idx1-ubyte"), labels, sizeof labels, numbers, sizeof numbers);
  write_file(path_of("t10k-images-idx3-ubyte"), images, sizeof images, pixels, sizeof pixels);
  write_file(path_of("t10k-labels-idx1-ubyte"), labels, sizeof labels, numbers, sizeof numbers);
  char spec[64];
  snprintf(spec, sizeof spec, "idx:%s", dir);
  vgg_dataset *data;
  vgg_error err;
  if (vgg_dataset_open(spec, VGG_TRAIN, 0, &data, &err) != VGG_OK) fail_msg("%s", err.message);
  return data;
}

static const char *make_weights(uint64_t seed) {
  const vgg_arch_options options = {
      .ratio = 16, .hidden = 64, .input = {1, SIDE, SIDE}, .dropout = -1};
  const char *path = path_of("from.safetensors");
  vgg_arch *arch;
  vgg_model *model;
  assert_int_equal(vgg_arch_from_text("vgg11", &options, &arch, NULL), VGG_OK);
  assert_int_equal(vgg_model_create(arch, seed, &model, NULL), VGG_OK);
  assert_int_equal(vgg_model_save(model, path, NULL), VGG_OK);
  vgg_model_close(model);
  vgg_arch_close(arch);
  return path;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static const double *doubles(const st_file *f, const char *name) {
  const st_tensor *t = st_find(f, name);
  assert_non_null(t);
  assert_string_equal(t->dtype, "F64");
  return (const double *)(const void *)t->data;
}

/* Each step's gradient is within 1e-5 of its tensor's largest, as tests/golden/torch/golden.c has
 * it; with what that changes in the steps after it, so many times the way that the weights went.
 * Adding a step to a weight rounds it. */
static void check_weights(const vgg_model *model, const st_file *golden) {
  const double *ways = doubles(golden, "ways");
  for (int i = 0; i < model->params.count; i++) {
    const net_param *p = &model->params.at[i];
    const st_tensor *t = st_find(golden, p->name);
    if (!t) continue; /* frozen */
    float *file = malloc(p->count * sizeof *file), *want = malloc(t->bytes);
    assert_true(file && want && t->bytes == p->count * sizeof *want);
    net_param_to_file(p, model->values + p->offset, file);
    memcpy(want, t->data, t->bytes);
    double most = 0, worst = 0;
    for (size_t k = 0; k < p->count; k++) {
      most = fmax(most, fabs(want[k]));
      worst = fmax(worst, fabs((double)file[k] - want[k]));
    }
    const double bound = STEPS * (1e-5 * *ways++ + 0x1p-24 * most);
    if (!(worst <= bound)) fail_msg("%s: %g off, wanted at most %g", p->name, worst, bound);
    free(file);
    free(want);
  }
}

typedef struct watch {
  const double *losses, *lrs;
  int steps;
} watch;

static bool check_step(const vgg_train_state *s, void *user) {
  watch *w = user;
  if (s->when != VGG_AFTER_STEP) return false;
  assert_true(w->steps < STEPS);
  if (!(fabs(s->step_loss - w->losses[w->steps]) <= 1e-5 * w->losses[w->steps]))
    fail_msg("loss %d: %.9g, wanted %.9g", w->steps, s->step_loss, w->losses[w->steps]);
  if (!(fabs(s->lr - w->lrs[w->steps]) <= 1e-12 * w->lrs[0]))
    fail_msg("rate %d: %.9g, wanted %.9g", w->steps, s->lr, w->lrs[w->steps]);
  w->steps++;
  return false;
}

static void check_run(const char *golden_name, vgg_train_options options) {
  char golden_path[512];
  snprintf(golden_path, sizeof golden_path, TEST_DATA "/golden/torch/%s.safetensors", golden_name);
  st_file *golden;
  vgg_error err = {0};
  if (st_open(golden_path, &golden, &err) != VGG_OK) fail_msg("%s", err.message);
  const uint64_t seed = strtoull(st_metadata(golden, "seed"), NULL, 10);
  vgg_dataset *data = make_data(seed);
  options.from = make_weights(seed);
  options.recipe = "finetune";
  options.lr = 0.01;
  options.head_lr = 0.05;
  options.weight_decay = 1e-3;
  options.warmup = 2;
  options.epochs = STEPS;
  options.seed = seed + 1;
  options.run.batch = N;
  options.run.precision = "fp32";
  options.run.threads = 1;
  static const char *const run_files[] = {"config.json", "metrics.jsonl",    "metrics.csv",
                                          "curves.svg",  "last.safetensors", "best.safetensors",
                                          "curves.png"};
  char run[64];
  snprintf(run, sizeof run, "%s/run", dir);
  options.out = run;
  vgg_trainer *trainer;
  if (vgg_trainer_create(NULL, data, NULL, &options, &trainer, &err) != VGG_OK)
    fail_msg("%s", err.message);
  watch w = {doubles(golden, "losses"), doubles(golden, "lrs"), 0};
  if (vgg_trainer_run(trainer, check_step, &w, NULL, &err) != VGG_OK) fail_msg("%s", err.message);
  assert_int_equal(w.steps, STEPS);
  check_weights(vgg_trainer_model(trainer), golden);
  vgg_trainer_close(trainer);
  vgg_dataset_close(data);
  st_close(golden);
  for (size_t i = 0; i < sizeof run_files / sizeof *run_files; i++) {
    char path[96];
    snprintf(path, sizeof path, "%s/%s", run, run_files[i]);
    unlink(path);
  }
  rmdir(run);
  while (num_paths > 0) unlink(paths[--num_paths]);
}

static void on_every_way(const char *name, vgg_train_options options) {
  check_run(name, options);
  options.run.backend = "reference";
  check_run(name, options);
  options.micro_batch = 2;
  check_run(name, options);
}

static void frozen_features(void **state) {
  (void)state;
  on_every_way("finetune_frozen", (vgg_train_options){0});
}

static void head_at_its_own_rate(void **state) {
  (void)state;
  on_every_way("finetune_rates", (vgg_train_options){.freeze = "none"});
}

static void class_weights(void **state) {
  (void)state;
  on_every_way("finetune_weights", (vgg_train_options){.class_weights = "1,2,0.5,1,3"});
}

int main(void) {
  if (!mkdtemp(dir)) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frozen_features),
      cmocka_unit_test(head_at_its_own_rate),
      cmocka_unit_test(class_weights),
  };
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  rmdir(dir);
  return failed;
}
