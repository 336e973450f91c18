/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs on pictures in files: the same weights as from memory, the set that `best` is chosen by, and
 * what run and model keep of it all.
 *
 *   test_train_pictures           short
 *   test_train_pictures fashion   Fashion-MNIST as files: a few minutes
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* jpeglib.h wants stdio.h first */
#include <jpeglib.h>

#include "data/tree.h"
#include "format/model.h"
#include "tiny.h"

enum { PICTURES = 120, TESTS = 40 };

/* ---- data sets as files ---------------------------------------------------------------------- */

/* Grey pixels as a JPEG of good quality. */
static void write_jpeg(const char *path, int h, int w, const uint8_t *pixels) {
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr errors;
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  jpeg_stdio_dest(&c, f);
  c.image_width = (JDIMENSION)w;
  c.image_height = (JDIMENSION)h;
  c.input_components = 1;
  c.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&c);
  jpeg_set_quality(&c, 95, TRUE);
  jpeg_start_compress(&c, TRUE);
  for (int y = 0; y < h; y++) {
    JSAMPROW row = (JSAMPROW)(pixels + (size_t)y * (size_t)w);
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  assert_int_equal(fclose(f), 0);
}

/* One picture of a data set in memory, grey or as three equal channels. */
static void write_png(const char *path, vgg_shape s, int channels, const uint8_t *pixels) {
  uint8_t all[3 * 28 * 28];
  const int count = s.h * s.w;
  assert_true(count <= 28 * 28);
  for (int i = 0; i < count * channels; i++) all[i] = pixels[i / channels];
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)s.w,
                     .height = (png_uint_32)s.h,
                     .format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
  assert_true(png_image_write_to_file(&image, path, 0, all, 0, NULL));
}

/* DIR/NAME.csv and the pictures that it lists, in the order of `data`. */
static void write_list(const char *dir, const char *name, const vgg_dataset *data, int channels) {
  char path[320];
  snprintf(path, sizeof path, "%s/%s.csv", dir, name);
  FILE *list = fopen(path, "w");
  assert_non_null(list);
  for (size_t i = 0; i < vgg_dataset_count(data); i++) {
    fprintf(list, "%s-%zu.png,%d\n", name, i, vgg_dataset_label(data, i));
    snprintf(path, sizeof path, "%s/%s-%zu.png", dir, name, i);
    write_png(path, vgg_dataset_shape(data), channels, vgg_dataset_pixels(data, i));
  }
  assert_int_equal(fclose(list), 0);
}

/* DIR/SPLIT/LABEL/NUMBER.png or .jpg */
static void write_folders(const char *dir, const vgg_dataset *data, bool jpeg) {
  char path[320];
  const char *split = vgg_split_name(vgg_dataset_split(data));
  const vgg_shape s = vgg_dataset_shape(data);
  snprintf(path, sizeof path, "%s/%s", dir, split);
  mkdir(dir, 0700);
  mkdir(path, 0700);
  for (int k = 0; k < vgg_dataset_classes(data); k++) {
    snprintf(path, sizeof path, "%s/%s/%d", dir, split, k);
    mkdir(path, 0700);
  }
  for (size_t i = 0; i < vgg_dataset_count(data); i++) {
    snprintf(path, sizeof path, "%s/%s/%d/%zu.%s", dir, split, vgg_dataset_label(data, i), i,
             jpeg ? "jpg" : "png");
    if (jpeg)
      write_jpeg(path, s.h, s.w, vgg_dataset_pixels(data, i));
    else
      write_png(path, s, 1, vgg_dataset_pixels(data, i));
  }
}

static void must(vgg_status status, const vgg_error *err) {
  if (status != VGG_OK) fail_msg("%s", err->message);
}

/* Opens the data as a user's run does, for an unknown recipe NULL. */
static vgg_run_data open_data(const char *spec, double val_split, vgg_dataset **train,
                              vgg_dataset **held, bool *unasked) {
  vgg_run_data data = {.val_split = val_split, .seed = 5};
  vgg_error err;
  snprintf(data.spec, sizeof data.spec, "%s", spec);
  must(vgg_run_data_settle(&data, NULL, unasked, &err), &err);
  must(vgg_run_data_open(&data, train, held, &err), &err);
  return data;
}

static void close_data(vgg_dataset *train, vgg_dataset *held) {
  vgg_dataset_close(train);
  vgg_dataset_close(held);
}

/* A whole run on such data in t->dir/name. */
static void train_on(const tiny *t, const char *name, const vgg_arch *arch, const char *spec,
                     vgg_channels channels) {
  vgg_dataset *train, *held;
  bool unasked;
  const vgg_run_data data = open_data(spec, 0, &train, &held, &unasked);
  vgg_train_options options = tiny_options(tiny_path(t, name));
  options.data = &data;
  options.channels = channels;
  vgg_trainer *trainer;
  vgg_error err;
  must(vgg_trainer_create(arch, train, held, &options, &trainer, &err), &err);
  tiny_train(trainer, UINT64_MAX);
  close_data(train, held);
}

static void make_lists(const tiny *t, const char *name, int channels) {
  char dir[320];
  snprintf(dir, sizeof dir, "%s", tiny_path(t, name));
  assert_int_equal(mkdir(dir, 0700), 0);
  write_list(dir, "train", t->train, channels);
  write_list(dir, "test", t->test, channels);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Grey and colour PNGs in the order of the IDX files are the IDX files: of a grey picture in three
 * channels luma is the grey. */
static void files_are_memory(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  make_lists(&t, "grey", 1);
  make_lists(&t, "colour", 3);
  train_on(&t, "memory", t.arch, vgg_dataset_spec(t.train), VGG_CHANNELS_LUMA);
  train_on(&t, "run-grey", t.arch, tiny_path(&t, "grey"), VGG_CHANNELS_LUMA);
  train_on(&t, "run-colour", t.arch, tiny_path(&t, "colour"), VGG_CHANNELS_LUMA);
  assert_same_run(&t, "memory", "run-grey");
  assert_same_run(&t, "memory", "run-colour");
  tiny_close(&t);
}

/* A colour net takes grey pictures by --channels replicate only, and the model keeps the rule. */
static void grey_into_colour(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  const vgg_arch_options net = {.input = {3, 8, 8}, .hidden = 16};
  vgg_arch *arch;
  vgg_trainer *trainer = NULL;
  vgg_model *model;
  vgg_error err;
  must(vgg_arch_from_text("1x4", &net, &arch, &err), &err);
  make_lists(&t, "grey", 1);
  make_lists(&t, "colour", 3);
  const vgg_train_options plain = tiny_options(tiny_path(&t, "none"));
  assert_int_equal(vgg_trainer_create(arch, t.train, t.test, &plain, &trainer, &err),
                   VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "--channels replicate"));
  train_on(&t, "run-colour", arch, tiny_path(&t, "colour"), VGG_CHANNELS_LUMA);
  train_on(&t, "run-grey", arch, tiny_path(&t, "grey"), VGG_CHANNELS_REPLICATE);
  assert_same_run(&t, "run-colour", "run-grey");
  must(vgg_model_load(tiny_path(&t, "run-grey"), &model, &err), &err);
  assert_int_equal(vgg_model_preprocess(model)->channels, VGG_CHANNELS_REPLICATE);
  vgg_model_close(model);
  must(vgg_model_load(tiny_path(&t, "run-colour"), &model, &err), &err);
  assert_int_equal(vgg_model_preprocess(model)->channels, VGG_CHANNELS_LUMA);
  vgg_model_close(model);
  vgg_arch_close(arch);
  tiny_close(&t);
}

static void assert_sets(const char *spec, double val_split, size_t train, size_t held,
                        vgg_split split, bool wanted_unasked) {
  vgg_dataset *sets[2];
  bool unasked;
  const vgg_run_data data = open_data(spec, val_split, &sets[0], &sets[1], &unasked);
  assert_int_equal(data.held, split);
  assert_int_equal(unasked, wanted_unasked);
  assert_int_equal(vgg_dataset_count(sets[0]), train);
  assert_int_equal(vgg_dataset_split(sets[0]), VGG_TRAIN);
  assert_int_equal(vgg_dataset_count(sets[1]), held);
  assert_int_equal(vgg_dataset_split(sets[1]), split);
  close_data(sets[0], sets[1]);
}

/* The validation set that there is, else the one that was asked for, else the test set, as the
 * tutorial does, else a tenth of the training set. */
static void which_set_chooses(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  assert_sets(vgg_dataset_spec(t.train), 0, PICTURES, TESTS, VGG_TEST, false);
  assert_sets(vgg_dataset_spec(t.train), .25, 90, 30, VGG_VALIDATION, false);
  /* Only the tutorial's recipe chooses by the test set. */
  vgg_run_data other = {0};
  bool aside = false;
  snprintf(other.spec, sizeof other.spec, "%s", vgg_dataset_spec(t.train));
  assert_int_equal(vgg_run_data_settle(&other, "torchvision", &aside, NULL), VGG_OK);
  assert_true(aside && other.held == VGG_VALIDATION && other.val_split == .1);
  make_lists(&t, "lists", 1);
  const char *dir = tiny_path(&t, "lists"), *test = tiny_path(&t, "lists/test.csv"),
             *val = tiny_path(&t, "lists/val.csv");
  assert_int_equal(rename(test, val), 0);
  assert_sets(dir, 0, PICTURES, TESTS, VGG_VALIDATION, false);
  vgg_run_data data = {.val_split = .1};
  bool unasked;
  vgg_error err;
  snprintf(data.spec, sizeof data.spec, "%s", dir);
  assert_int_equal(vgg_run_data_settle(&data, NULL, &unasked, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "a validation set of its own"));
  assert_int_equal(unlink(val), 0);
  assert_sets(dir, 0, PICTURES - PICTURES / 10, PICTURES / 10, VGG_VALIDATION, true);
  assert_int_equal(vgg_run_data_settle(&data, "none", &unasked, &err), VGG_BAD_VALUE);
  tiny_close(&t);
}

/* A run on a divided set says so in its files, is resumed on the same parts, and its model knows
 * them. */
static void a_divided_set(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_dataset *train, *held, *again[2], *part;
  bool unasked;
  vgg_error err;
  const vgg_run_data data = open_data(vgg_dataset_spec(t.train), .25, &train, &held, &unasked);
  for (int parts = 0; parts < 2; parts++) {
    vgg_train_options options = tiny_options(tiny_path(&t, parts ? "parts" : "whole"));
    options.data = &data;
    vgg_trainer *trainer;
    must(vgg_trainer_create(t.arch, train, held, &options, &trainer, &err), &err);
    tiny_train(trainer, parts ? 30 : UINT64_MAX);
  }
  vgg_run_data kept;
  must(vgg_run_data_read(tiny_path(&t, "parts"), &kept, &err), &err);
  must(vgg_run_data_open(&kept, &again[0], &again[1], &err), &err);
  assert_int_equal(vgg_dataset_digest(again[0]), vgg_dataset_digest(train));
  assert_int_equal(vgg_dataset_digest(again[1]), vgg_dataset_digest(held));
  vgg_trainer *trainer = NULL;
  assert_int_equal(vgg_trainer_resume(tiny_path(&t, "parts"), train, t.test, NULL, &trainer, &err),
                   VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "a test set, the run is evaluated on val"));
  must(vgg_trainer_resume(tiny_path(&t, "parts"), again[0], again[1], NULL, &trainer, &err), &err);
  tiny_train(trainer, UINT64_MAX);
  assert_same_run(&t, "whole", "parts");
  close_data(again[0], again[1]);

  char *csv = tiny_read(&t, "whole", "metrics.csv"), *svg = tiny_read(&t, "whole", "curves.svg");
  assert_non_null(strstr(csv, ",train_acc,val_acc,val_loss,"));
  assert_non_null(strstr(svg, "val acc"));
  assert_null(strstr(svg, "test acc"));
  free(csv);
  free(svg);

  vgg_model *model;
  must(vgg_model_load(tiny_path(&t, "whole"), &model, &err), &err);
  vgg_run_data_of_model(model, &kept);
  must(vgg_run_data_open_split(&kept, VGG_VALIDATION, 0, &part, &err), &err);
  assert_int_equal(vgg_dataset_digest(part), vgg_dataset_digest(held));
  vgg_dataset_close(part);
  must(vgg_run_data_open_split(&kept, VGG_TRAIN, 7, &part, &err), &err);
  assert_int_equal(vgg_dataset_count(part), 7);
  assert_ptr_not_equal(vgg_dataset_pixels(part, 6), NULL);
  assert_memory_equal(vgg_dataset_pixels(part, 6), vgg_dataset_pixels(train, 6), 64);
  vgg_dataset_close(part);
  assert_int_equal(vgg_run_data_open_split(&kept, VGG_VALIDATION, 31, &part, &err), VGG_BAD_VALUE);
  vgg_model_close(model);
  close_data(train, held);
  tiny_close(&t);
}

/* config.json of one run beside the weights of another. */
static void weights_of_another_run(void **state) {
  (void)state;
  tiny t, other;
  tiny_open(&t, PICTURES, TESTS);
  tiny_open(&other, TESTS, PICTURES);
  tiny_train(tiny_create(&t, "run", tiny_options(NULL)), 5);
  tiny_train(tiny_create(&other, "run", tiny_options(NULL)), 5);
  char from[320], to[320];
  snprintf(from, sizeof from, "%s", tiny_path(&other, "run/last.safetensors"));
  snprintf(to, sizeof to, "%s", tiny_path(&t, "run/last.safetensors"));
  assert_int_equal(rename(from, to), 0);
  vgg_trainer *trainer = NULL;
  vgg_error err;
  assert_int_equal(vgg_trainer_resume(tiny_path(&t, "run"), t.train, t.test, NULL, &trainer, &err),
                   VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "last.safetensors: learnt from"));
  tiny_close(&other);
  tiny_close(&t);
}

static void exif_is_kept(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  for (int ignore = 0; ignore < 2; ignore++) {
    vgg_run_data data = {.ignore_exif = ignore == 1}, kept;
    vgg_train_options options = tiny_options(NULL);
    vgg_model *model;
    vgg_error err;
    options.data = &data;
    tiny_train(tiny_create(&t, ignore ? "ignore" : "apply", options), 1);
    const char *run = tiny_path(&t, ignore ? "ignore" : "apply");
    must(vgg_run_data_read(run, &kept, &err), &err);
    assert_int_equal(kept.ignore_exif, ignore);
    must(vgg_model_load(run, &model, &err), &err);
    assert_int_equal(vgg_model_preprocess(model)->ignore_exif, ignore);
    vgg_model_close(model);
  }
  tiny_close(&t);
}

/* Changes at random are the same ones in a run of two parts, not none, and in parts of a batch
 * those of the whole. */
static void changes_at_random(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, TESTS);
  vgg_train_options options = tiny_options(NULL);
  tiny_train(tiny_create(&t, "plain", options), UINT64_MAX);
  options.augment = "pad=1,flip,brightness,cutout=2,mixup";
  options.label_smoothing = .1;
  tiny_train(tiny_create(&t, "whole", options), UINT64_MAX);
  tiny_train(tiny_create(&t, "parts", options), 37);
  vgg_trainer *trainer = NULL;
  vgg_error err;
  const vgg_train_options other = {.augment = "flip"}, sharper = {.label_smoothing = .2};
  assert_int_equal(
      vgg_trainer_resume(tiny_path(&t, "parts"), t.train, t.test, &other, &trainer, &err),
      VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "augment flip: the run has pad=1,flip,"));
  assert_int_equal(
      vgg_trainer_resume(tiny_path(&t, "parts"), t.train, t.test, &sharper, &trainer, &err),
      VGG_BAD_VALUE);
  tiny_train(tiny_resume(&t, "parts", &options), UINT64_MAX);
  assert_same_run(&t, "whole", "parts");
  char *plain = tiny_read(&t, "plain", "metrics.csv");
  char *whole = tiny_read(&t, "whole", "metrics.csv");
  assert_string_not_equal(plain, whole);
  free(plain);
  free(whole);
  vgg_model *models[2];
  must(vgg_model_load(tiny_path(&t, "whole"), &models[0], &err), &err);
  assert_non_null(strstr(vgg_model_recipe(models[0]), "\"augment\": \"pad=1,flip,brightness"));
  options.micro_batch = 3;
  options.max_steps = 60;
  tiny_train(tiny_create(&t, "micro", options), UINT64_MAX);
  must(vgg_model_load(tiny_path(&t, "micro/last.safetensors"), &models[1], &err), &err);
  vgg_model_close(models[0]);
  must(vgg_model_load(tiny_path(&t, "whole/last.safetensors"), &models[0], &err), &err);
  for (size_t i = 0; i < models[0]->params.floats; i++) /* 60 steps of rounding differently */
    assert_true(fabsf(models[0]->values[i] - models[1]->values[i]) < 1e-4f);
  for (int i = 0; i < 2; i++) vgg_model_close(models[i]);
  options.augment = "pca";
  options.out = tiny_path(&t, "none");
  assert_int_equal(vgg_trainer_create(t.arch, t.train, t.test, &options, &trainer, &err),
                   VGG_BAD_VALUE);
  tiny_close(&t);
}

/* ---- Fashion-MNIST --------------------------------------------------------------------------- */

typedef struct fashion {
  tree dir;
  vgg_arch *arch;
  vgg_dataset *train, *test;
} fashion;

static fashion fashion_open(void) {
  fashion f = {.dir = tree_make()};
  const vgg_arch_options net = {.input = {1, 28, 28}, .hidden = 128};
  vgg_error err;
  must(vgg_arch_from_text("1x16,1x32", &net, &f.arch, &err), &err);
  must(vgg_dataset_open("fashion-mnist", VGG_TRAIN, 0, &f.train, &err), &err);
  must(vgg_dataset_open("fashion-mnist", VGG_TEST, 0, &f.test, &err), &err);
  return f;
}

static void fashion_close(fashion *f) {
  vgg_arch_close(f->arch);
  close_data(f->train, f->test);
  tree_remove(&f->dir);
}

/* The test accuracy after two epochs, or the weights after `steps`; and the seconds waited. */
static double fashion_run(const fashion *f, const char *name, const char *spec, uint64_t steps,
                          vgg_model **model) {
  vgg_dataset *train, *held;
  bool unasked;
  char out[128];
  snprintf(out, sizeof out, "%s/%s", f->dir.dir, name);
  const vgg_run_data data = open_data(spec, 0, &train, &held, &unasked);
  const vgg_train_options options = {.recipe = "d2l",
                                     .lr = .02,
                                     .epochs = 2,
                                     .seed = 1,
                                     .max_steps = steps,
                                     .out = out,
                                     .data = &data,
                                     .run = {.batch = 64, .optimizer = "momentum"}};
  vgg_trainer *trainer;
  vgg_train_state final;
  vgg_error err;
  must(vgg_trainer_create(f->arch, train, held, &options, &trainer, &err), &err);
  must(vgg_trainer_run(trainer, NULL, NULL, &final, &err), &err);
  printf("%-8s %5.1f s, %4.1f%% of them waiting for data, test acc %.4f\n", name,
         final.wall_seconds, 100 * final.data_wait_seconds / final.wall_seconds, final.held_acc);
  vgg_trainer_close(trainer);
  if (model) {
    char last[160];
    snprintf(last, sizeof last, "%s/last.safetensors", out);
    must(vgg_model_load(last, model, &err), &err);
  }
  close_data(train, held);
  return final.held_acc;
}

static void fashion_lists(void **state) {
  (void)state;
  fashion f = fashion_open();
  vgg_model *models[2];
  char dir[96];
  snprintf(dir, sizeof dir, "%s/lists", f.dir.dir);
  assert_int_equal(mkdir(dir, 0700), 0);
  write_list(dir, "train", f.train, 1);
  write_list(dir, "test", f.test, 1);
  fashion_run(&f, "memory", "fashion-mnist", 100, &models[0]);
  fashion_run(&f, "png", dir, 100, &models[1]);
  assert_memory_equal(models[0]->values, models[1]->values,
                      models[0]->params.floats * sizeof(float));
  for (int i = 0; i < 2; i++) vgg_model_close(models[i]);
  fashion_close(&f);
}

static void fashion_folders(void **state) {
  (void)state;
  fashion f = fashion_open();
  const double wanted = fashion_run(&f, "memory", "fashion-mnist", 0, NULL);
  assert_true(wanted > .85);
  for (int jpeg = 0; jpeg < 2; jpeg++) {
    char dir[96];
    snprintf(dir, sizeof dir, "%s/%s-files", f.dir.dir, jpeg ? "jpeg" : "png");
    write_folders(dir, f.train, jpeg);
    write_folders(dir, f.test, jpeg);
    const double found = fashion_run(&f, jpeg ? "jpeg" : "folders", dir, 0, NULL);
    assert_true(fabs(found - wanted) <= .015);
  }
  fashion_close(&f);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_are_memory),       cmocka_unit_test(grey_into_colour),
      cmocka_unit_test(which_set_chooses),      cmocka_unit_test(a_divided_set),
      cmocka_unit_test(exif_is_kept),           cmocka_unit_test(changes_at_random),
      cmocka_unit_test(weights_of_another_run),
  };
  const struct CMUnitTest slow[] = {cmocka_unit_test(fashion_lists),
                                    cmocka_unit_test(fashion_folders)};
  if (argc > 1 && strcmp(argv[1], "fashion") == 0)
    return cmocka_run_group_tests_name("fashion", slow, NULL, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
