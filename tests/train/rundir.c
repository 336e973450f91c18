/* SPDX-License-Identifier: Apache-2.0
 *
 * Run directories: who may have one, what is in it, what is refused.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tiny.h"

enum { PICTURES = 20, TESTS = 5 };

static vgg_status try_create(const tiny *t, vgg_train_options options, const char *out,
                             const char *message) {
  vgg_trainer *trainer = NULL;
  vgg_error err = {0};
  options.out = out ? tiny_path(t, out) : NULL;
  const vgg_status status =
      vgg_trainer_create(t->arch, t->train, t->test, &options, &trainer, &err);
  vgg_trainer_close(trainer);
  if (message && !strstr(err.message, message))
    fail_msg("\"%s\" lacks \"%s\"", err.message, message);
  return status;
}

static void a_run_keeps_its_directory(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "a/b/run", tiny_options(NULL)), 3); /* makes the folders above */
  char *before = tiny_read(&t, "a/b/run", "config.json");
  assert_int_equal(try_create(&t, tiny_options(NULL), "a/b/run", "holds a run already"),
                   VGG_NO_OUTPUT);
  char *after = tiny_read(&t, "a/b/run", "config.json");
  assert_string_equal(before, after);
  free(before);
  free(after);
  unlink(tiny_path(&t, "a/b/run/config.json")); /* half a run is one, too */
  assert_int_equal(try_create(&t, tiny_options(NULL), "a/b/run", "holds a run"), VGG_NO_OUTPUT);
  unlink(tiny_path(&t, "a/b/run/last.safetensors"));
  unlink(tiny_path(&t, "a/b/run/best.safetensors"));
  assert_int_equal(try_create(&t, tiny_options(NULL), "a/b/run", "has not been saved"),
                   VGG_NO_OUTPUT);
  assert_int_equal(mkdir(tiny_path(&t, "empty"), 0777), 0);
  assert_int_equal(try_create(&t, tiny_options(NULL), "empty", NULL), VGG_OK);
  assert_int_equal(try_create(&t, tiny_options(NULL), "train-labels-idx1-ubyte/run", "created"),
                   VGG_NO_OUTPUT);
  assert_int_equal(symlink("nowhere", tiny_path(&t, "link")), 0); /* the reason is mkdir's own */
  assert_int_equal(try_create(&t, tiny_options(NULL), "link/run", strerror(EEXIST)), VGG_NO_OUTPUT);
  tiny_close(&t);
}

static void numbered_directories(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  char here[256];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(t.dir), 0);
  assert_int_equal(try_create(&t, tiny_options(NULL), NULL, NULL), VGG_OK);
  assert_int_equal(try_create(&t, tiny_options(NULL), NULL, NULL), VGG_OK);
  char name[96];
  for (int n = 1; n <= 3; n++) {
    snprintf(name, sizeof name, "runs/%s-%d/config.json", vgg_arch_title(t.arch), n);
    assert_int_equal(path_exists(name), n <= 2);
  }
  assert_int_equal(chdir(here), 0);
  tiny_close(&t);
}

static void one_process_at_a_time(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "run", tiny_options(NULL)), 3);
  vgg_trainer *first = tiny_resume(&t, "run", NULL), *second = NULL;
  vgg_error err = {0};
  assert_int_equal(vgg_trainer_resume(tiny_path(&t, "run"), t.train, t.test, NULL, &second, &err),
                   VGG_NO_OUTPUT);
  assert_non_null(strstr(err.message, "another process"));
  vgg_trainer_close(first);
  vgg_trainer_close(tiny_resume(&t, "run", NULL));
  tiny_close(&t);
}

static void bad_numbers(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
#define REFUSED(message, ...) \
  assert_int_equal(try_create(&t, (vgg_train_options){__VA_ARGS__}, "run", message), VGG_BAD_VALUE)
  REFUSED("lr", .lr = -1);
  REFUSED("lr", .lr = 1e39);  /* infinite as a float */
  REFUSED("lr", .lr = 1e-60); /* zero as a float */
  REFUSED("epochs", .epochs = -1);
  REFUSED("batch", .run = {.batch = -4});
  REFUSED("threads", .run = {.threads = -1});
  REFUSED("seed", .seed = UINT64_MAX);
  REFUSED("save", .save_seconds = -1);
  REFUSED("wanted one of: d2l", .recipe = "none");
#undef REFUSED
  assert_false(path_exists(tiny_path(&t, "run")));
  tiny_close(&t);
}

static void data_that_does_not_fit(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  const vgg_arch_options few = {.input = {1, 8, 8}, .classes = 3, .hidden = 8};
  vgg_arch *arch;
  assert_int_equal(vgg_arch_from_text("1x4", &few, &arch, NULL), VGG_OK);
  vgg_arch *ours = t.arch;
  t.arch = arch;
  assert_int_equal(try_create(&t, tiny_options(NULL), "run", "classes"), VGG_BAD_VALUE);
  t.arch = ours;
  vgg_arch_close(arch);
  const vgg_arch_options colour = {.input = {3, 8, 8}, .hidden = 8};
  assert_int_equal(vgg_arch_from_text("1x4", &colour, &arch, NULL), VGG_OK);
  t.arch = arch;
  assert_int_equal(try_create(&t, tiny_options(NULL), "run", NULL), VGG_BAD_VALUE);
  t.arch = ours;
  vgg_arch_close(arch);
  assert_false(path_exists(tiny_path(&t, "run")));
  tiny_close(&t);
}

static void configuration(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_trainer *trainer = tiny_create(&t, "run", tiny_options(NULL));
  const vgg_train_options *o = vgg_trainer_options(trainer);
  assert_string_equal(o->recipe, "d2l");
  assert_true(o->lr == .05 && o->save_seconds == 600 && o->epochs == 2 && o->seed == 5);
  assert_string_equal(o->run.precision, "fp32");
  assert_string_equal(o->run.device, "cpu");
  assert_string_equal(o->out, vgg_trainer_dir(trainer));
  assert_string_equal(vgg_model_recipe(vgg_trainer_model(trainer))[0] == '{' ? "" : "JSON", "");
  vgg_trainer_close(trainer);

  vgg_run_data data;
  assert_int_equal(vgg_run_data_read(tiny_path(&t, "run"), &data, NULL), VGG_OK);
  assert_string_equal(data.spec, vgg_dataset_spec(t.train));
  assert_int_equal(data.limit, PICTURES);
  assert_int_equal(data.test_limit, TESTS);
  assert_int_equal(data.held, VGG_TEST);
  assert_true(data.val_split == 0 && data.seed == 5 && !data.ignore_exif);

  char *text = tiny_read(&t, "run", "config.json");
  json_t *json = json_loads(text, 0, NULL);
  const char *kernels, *processor, *version;
  double lr;
  assert_int_equal(
      json_unpack(json, "{s:s, s:{s:F}, s:{s:s}, s:[{s:s}]}", "vgg", &version, "recipe", "lr", &lr,
                  "run", "processor", &processor, "stages", "kernels", &kernels),
      0);
  assert_true(lr == .05);
  assert_string_equal(version, vgg_version());
  json_decref(json);
  free(text);
  tiny_close(&t);
}

/* The recipe's numbers, where nothing is asked for. */
static void defaults_of_d2l(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_trainer *trainer =
      tiny_create(&t, "run", (vgg_train_options){.recipe = "d2l", .run.backend = "reference"});
  const vgg_train_options *o = vgg_trainer_options(trainer);
  assert_true(o->lr == .05 && o->epochs == 10 && o->run.batch == 128 && o->seed == 0);
  vgg_trainer_close(trainer);
  tiny_close(&t);
}

static int count_files(const char *dir) {
  DIR *d = opendir(dir);
  assert_non_null(d);
  int count = 0;
  while (readdir(d)) count++;
  closedir(d);
  return count;
}

/* No file may grow beyond `bytes`, as on a disk that is full: the write fails with a status. */
static void limit_files(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  signal(SIGXFSZ, bytes == RLIM_INFINITY ? SIG_DFL : SIG_IGN);
}

/* The run ends with VGG_IO and the file's name, its files stay as they were, and it can go on. */
static void assert_survives(const tiny *t, const char *run, rlim_t limit, const char *file) {
  tiny_train(tiny_create(t, run, tiny_options(NULL)), 3);
  const int files = count_files(tiny_path(t, run)); /* no temporary file stays */
  vgg_trainer *trainer = tiny_resume(t, run, NULL);
  vgg_error err = {0};
  limit_files(limit);
  const vgg_status status = vgg_trainer_run(trainer, NULL, NULL, NULL, &err);
  limit_files(RLIM_INFINITY);
  assert_int_equal(status, VGG_IO);
  if (!strstr(err.message, file)) fail_msg("\"%s\" lacks \"%s\"", err.message, file);
  assert_int_equal(count_files(tiny_path(t, run)), files);
  vgg_trainer_close(trainer);
  tiny_train(tiny_resume(t, run, NULL), UINT64_MAX);
  assert_same_run(t, "straight", run);
}

static void a_full_disk(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  tiny_train(tiny_create(&t, "straight", tiny_options(NULL)), UINT64_MAX);
  struct stat last, png;
  assert_int_equal(stat(tiny_path(&t, "straight/last.safetensors"), &last), 0);
  last.st_size -= 1024; /* the times in it have more or fewer digits in every run */
  if (stat(tiny_path(&t, "straight/curves.png"), &png) == 0)
    assert_true(png.st_size < last.st_size);
  assert_survives(&t, "at-metrics", 100, "metrics.");
  assert_survives(&t, "at-curves", 1000, "curves.svg");
  assert_survives(&t, "at-model", (rlim_t)last.st_size, ".safetensors");
  tiny_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_keeps_its_directory), cmocka_unit_test(numbered_directories),
      cmocka_unit_test(one_process_at_a_time),     cmocka_unit_test(bad_numbers),
      cmocka_unit_test(data_that_does_not_fit),    cmocka_unit_test(configuration),
      cmocka_unit_test(defaults_of_d2l),           cmocka_unit_test(a_full_disk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
