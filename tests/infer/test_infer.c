/* SPDX-License-Identifier: Apache-2.0
 *
 * Predictors and evaluations on a small data set made here: the evaluation against the same
 * pictures sent one by one, and everything against itself at other batch sizes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/dataset.h"
#include "format/model.h"
#include "vgg/infer.h"

enum { COUNT = 23, SIDE = 9, CLASSES = 4, NET_CLASSES = 5, INPUT = 16 };

static char folder[64], spec[80];

static void write_idx(const char *name, const uint8_t *header, size_t header_size,
                      const uint8_t *data, size_t size) {
  char *path = path_join(folder, name);
  file_writer *w;
  assert_non_null(path);
  assert_int_equal(file_begin(path, &w, NULL), VGG_OK);
  assert_int_equal(file_write(w, header, header_size, NULL), VGG_OK);
  assert_int_equal(file_write(w, data, size, NULL), VGG_OK);
  assert_int_equal(file_commit(w, NULL), VGG_OK);
  free(path);
}

static int make_data(void **state) {
  (void)state;
  strcpy(folder, "/tmp/vgg-test-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  snprintf(spec, sizeof spec, "idx:%s", folder);
  static uint8_t pixels[COUNT * SIDE * SIDE], labels[COUNT];
  uint32_t x = 12345;
  for (size_t i = 0; i < sizeof pixels; i++) {
    x = x * 1664525 + 1013904223; /* Knuth's linear congruential numbers: any noise will do */
    pixels[i] = (uint8_t)(x >> 24);
  }
  for (int i = 0; i < COUNT; i++) labels[i] = (uint8_t)(i % CLASSES);
  const uint8_t images_header[] = {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
  const uint8_t labels_header[] = {0, 0, 8, 1, 0, 0, 0, COUNT};
  write_idx("train-images-idx3-ubyte", images_header, sizeof images_header, pixels, sizeof pixels);
  write_idx("t10k-images-idx3-ubyte", images_header, sizeof images_header, pixels, sizeof pixels);
  write_idx("train-labels-idx1-ubyte", labels_header, sizeof labels_header, labels, COUNT);
  write_idx("t10k-labels-idx1-ubyte", labels_header, sizeof labels_header, labels, COUNT);
  return 0;
}

static int remove_data(void **state) {
  (void)state;
  char command[96];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  return system(command);
}

static vgg_dataset *open_data(void) {
  vgg_dataset *data;
  vgg_error err;
  if (vgg_dataset_open(spec, VGG_TEST, 0, &data, &err) != VGG_OK) fail_msg("%s", err.message);
  return data;
}

static vgg_model *make_model(int channels, int classes) {
  const vgg_arch_options options = {
      .input = {channels, INPUT, INPUT}, .classes = classes, .hidden = 16};
  vgg_arch *arch;
  vgg_model *model;
  assert_int_equal(vgg_arch_from_text("1x8,2x12", &options, &arch, NULL), VGG_OK);
  assert_int_equal(vgg_model_create(arch, 7, &model, NULL), VGG_OK);
  vgg_arch_close(arch);
  return model;
}

static vgg_predictor *make_predictor(const vgg_model *model, int batch) {
  const vgg_run_options options = {.precision = "fp32", .threads = 2, .batch = batch};
  vgg_predictor *predictor;
  vgg_error err;
  if (vgg_predictor_create(model, &options, &predictor, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return predictor;
}

static vgg_evaluation *evaluate(const vgg_model *model, const vgg_dataset *data, int batch) {
  vgg_predictor *predictor = make_predictor(model, batch);
  vgg_evaluation *e;
  vgg_error err;
  if (vgg_evaluate(predictor, data, NULL, NULL, &e, &err) != VGG_OK) fail_msg("%s", err.message);
  vgg_predictor_close(predictor);
  return e;
}

/* Picture i as the model's rule makes it, by the public function. */
static void prepare(const vgg_model *model, const vgg_dataset *data, size_t i, uint8_t *pixels) {
  const vgg_image image = {.channels = 1,
                           .height = SIDE,
                           .width = SIDE,
                           .pixels = (uint8_t *)vgg_dataset_pixels(data, i)};
  assert_int_equal(vgg_preprocess_apply(vgg_model_preprocess(model), &image, pixels, NULL), VGG_OK);
}

static void test_evaluation_against_single_pictures(void **state) {
  (void)state;
  vgg_model *model = make_model(1, NET_CLASSES);
  vgg_dataset *data = open_data();
  vgg_evaluation *e = evaluate(model, data, 6);
  vgg_predictor *predictor = make_predictor(model, 1);
  size_t correct = 0, confusion[NET_CLASSES][NET_CLASSES] = {{0}}, mistake = 0;
  double loss = 0;
  for (size_t i = 0; i < COUNT; i++) {
    uint8_t pixels[INPUT * INPUT];
    float logits[NET_CLASSES], p[NET_CLASSES];
    prepare(model, data, i, pixels);
    assert_int_equal(vgg_predictor_logits(predictor, 1, pixels, logits, NULL), VGG_OK);
    vgg_softmax(logits, NET_CLASSES, p);
    const int label = vgg_dataset_label(data, i);
    int guess = 0;
    for (int k = 0; k < NET_CLASSES; k++)
      if (p[k] > p[guess]) guess = k;
    loss -= log(p[label]);
    correct += guess == label;
    confusion[label][guess]++;
    if (guess != label) {
      assert_true(mistake < e->num_mistakes);
      assert_int_equal(e->mistakes[mistake].index, i);
      assert_int_equal(e->mistakes[mistake].label, label);
      assert_int_equal(e->mistakes[mistake].guess, guess);
      assert_float_equal(e->mistakes[mistake].probability, p[guess], 1e-5);
      mistake++;
    }
  }
  assert_int_equal(e->total, COUNT);
  assert_int_equal(e->correct, correct);
  assert_int_equal(e->num_mistakes, mistake);
  assert_int_equal(e->classes, NET_CLASSES);
  assert_memory_equal(e->confusion, confusion, sizeof confusion);
  assert_true(fabs(e->loss - loss / COUNT) < 1e-5);
  assert_true(correct > 0 && correct < COUNT); /* or this test sees little */
  assert_true(e->seconds > 0);
  vgg_predictor_close(predictor);
  vgg_evaluation_free(e);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

static void test_any_batch_size_counts_alike(void **state) {
  (void)state;
  vgg_model *model = make_model(1, NET_CLASSES);
  vgg_dataset *data = open_data();
  vgg_evaluation *one = evaluate(model, data, 1);
  const int batches[] = {2, 5, 22, 23, 24, 64};
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
    vgg_evaluation *e = evaluate(model, data, batches[i]);
    assert_int_equal(e->total, one->total);
    assert_int_equal(e->correct, one->correct);
    assert_memory_equal(e->confusion, one->confusion,
                        NET_CLASSES * NET_CLASSES * sizeof *e->confusion);
    assert_true(fabs(e->loss - one->loss) < 1e-6);
    vgg_evaluation_free(e);
  }
  vgg_evaluation_free(one);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

static void test_predicting_twice_gives_the_same_bytes(void **state) {
  (void)state;
  vgg_model *model = make_model(1, NET_CLASSES);
  vgg_predictor *predictor = make_predictor(model, 4);
  uint8_t pixels[3 * INPUT * INPUT];
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 37 % 251);
  float first[3 * NET_CLASSES], again[3 * NET_CLASSES];
  assert_int_equal(vgg_predictor_logits(predictor, 3, pixels, first, NULL), VGG_OK);
  assert_int_equal(vgg_predictor_logits(predictor, 1, pixels, again, NULL), VGG_OK);
  assert_int_equal(vgg_predictor_logits(predictor, 3, pixels, again, NULL), VGG_OK);
  assert_memory_equal(first, again, sizeof first);
  vgg_predictor_close(predictor);
  predictor = make_predictor(model, 4);
  assert_int_equal(vgg_predictor_logits(predictor, 3, pixels, again, NULL), VGG_OK);
  assert_memory_equal(first, again, sizeof first);

  vgg_error err;
  assert_int_equal(vgg_predictor_logits(predictor, 0, pixels, again, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_predictor_logits(predictor, 5, pixels, again, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "1 to 4"));
  vgg_predictor_close(predictor);
  vgg_predictor_close(NULL);
  vgg_model_close(model);
}

static void expect_refusal(vgg_model *model, const char *message) {
  vgg_dataset *data = open_data();
  vgg_predictor *predictor = make_predictor(model, 4);
  vgg_evaluation *e = NULL;
  vgg_error err = {0};
  assert_int_equal(vgg_evaluate(predictor, data, NULL, NULL, &e, &err), VGG_BAD_VALUE);
  if (!strstr(err.message, message)) fail_msg("'%s' lacks '%s'", err.message, message);
  assert_null(e);
  vgg_predictor_close(predictor);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

static void test_data_that_does_not_fit(void **state) {
  (void)state;
  expect_refusal(make_model(1, 3), "has 4 classes, the model knows 3");
  expect_refusal(make_model(3, CLASSES), "have 1 channel, the model takes 3");
}

/* The data set's names are "0" to "3", which leave a model's own names alone. */
static void test_named_classes(void **state) {
  (void)state;
  vgg_model *model = make_model(1, CLASSES);
  const char *names[CLASSES] = {"cat", "dog", "cow", "hen"};
  assert_int_equal(vgg_model_set_classes(model, names, NULL), VGG_OK);
  vgg_dataset *data = open_data();
  vgg_evaluation_free(evaluate(model, data, 8));
  vgg_dataset_close(data);
  vgg_model_close(model);
}

/* A net of zeros finds all classes alike: the first one is the guess, as PyTorch's argmax has it.
 */
static void test_ties(void **state) {
  (void)state;
  vgg_model *model = make_model(1, NET_CLASSES);
  memset(model->values, 0, model->params.floats * sizeof(float));
  vgg_dataset *data = open_data();
  vgg_evaluation *e = evaluate(model, data, 10);
  assert_int_equal(e->correct, (COUNT + CLASSES - 1) / CLASSES);
  assert_int_equal(e->confusion[2 * NET_CLASSES], COUNT / CLASSES + (COUNT % CLASSES > 2));
  assert_true(fabs(e->loss - log(NET_CLASSES)) < 1e-12);
  assert_int_equal(e->mistakes[0].guess, 0);
  assert_float_equal(e->mistakes[0].probability, 1.0 / NET_CLASSES, 1e-7);
  vgg_evaluation_free(e);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

static void test_names_that_differ(void **state) {
  (void)state;
  static const char *const theirs[CLASSES] = {"cat", "hen", "2", "dog"};
  const char *ours[NET_CLASSES] = {"cat", "dog", "cow", "hen", "pig"};
  static const int wanted[CLASSES] = {0, 3, 2, 1};
  vgg_model *model = make_model(1, NET_CLASSES);
  assert_int_equal(vgg_model_set_classes(model, ours, NULL), VGG_OK);
  vgg_predictor *predictor = make_predictor(model, 8);
  vgg_dataset *data = open_data();
  class_table_free(&data->store->classes);
  for (int i = 0; i < CLASSES; i++) /* the last class is lacking, one has only its number */
    assert_int_equal(class_table_add(&data->store->classes, theirs[i]), i);
  vgg_evaluation *e = NULL;
  vgg_error err;
  int map[CLASSES];
  assert_int_equal(vgg_class_map(model, data, map, NULL), VGG_OK);
  assert_memory_equal(map, wanted, sizeof map);
  assert_int_equal(vgg_evaluate(predictor, data, NULL, NULL, &e, NULL), VGG_OK);
  for (int i = 0; i < CLASSES; i++) { /* a row of the confusion holds the class of that name */
    size_t row = 0;
    for (int k = 0; k < NET_CLASSES; k++) row += e->confusion[wanted[i] * NET_CLASSES + k];
    assert_int_equal(row, COUNT / CLASSES + (COUNT % CLASSES > i));
  }
  vgg_evaluation_free(e);
  ours[2] = "2";
  ours[0] = "x";
  ours[4] = "cat"; /* found by its name, wherever it is */
  assert_int_equal(vgg_model_set_classes(model, ours, NULL), VGG_OK);
  assert_int_equal(vgg_class_map(model, data, map, NULL), VGG_OK);
  assert_int_equal(map[0], 4);
  ours[1] = "1"; /* nobody has named it, but it is hen's number */
  ours[3] = "3";
  assert_int_equal(vgg_model_set_classes(model, ours, NULL), VGG_OK);
  assert_int_equal(vgg_class_map(model, data, map, NULL), VGG_OK);
  assert_int_equal(map[1], 1);
  ours[2] = "hen";
  assert_int_equal(vgg_model_set_classes(model, ours, NULL), VGG_OK);
  assert_int_equal(vgg_class_map(model, data, map, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "'hen' and '2' would both be the model's 'hen'"));
  ours[0] = "cat", ours[1] = "dog", ours[2] = "cow", ours[4] = "pig";
  ours[3] = "cock";
  assert_int_equal(vgg_model_set_classes(model, ours, NULL), VGG_OK);
  assert_int_equal(vgg_evaluate(predictor, data, NULL, NULL, &e, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "class 1 is 'hen', which the model does not know"));
  vgg_dataset_close(data);
  vgg_predictor_close(predictor);
  vgg_model_close(model);
}

static bool stop_at_third(void *user) {
  int *calls = user;
  return ++*calls == 3;
}

static void test_stopping(void **state) {
  (void)state;
  vgg_model *model = make_model(1, CLASSES);
  vgg_dataset *data = open_data();
  vgg_predictor *predictor = make_predictor(model, 4);
  vgg_evaluation *e = NULL;
  int calls = 0;
  assert_int_equal(vgg_evaluate(predictor, data, stop_at_third, &calls, &e, NULL), VGG_STOPPED);
  assert_null(e);
  assert_int_equal(calls, 3);
  assert_int_equal(vgg_evaluate(predictor, data, NULL, NULL, &e, NULL), VGG_OK);
  assert_int_equal(e->total, COUNT);
  vgg_evaluation_free(e);
  vgg_evaluation_free(NULL);
  vgg_predictor_close(predictor);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

static void test_softmax(void **state) {
  (void)state;
  float x[] = {0, logf(2), logf(5)}, p[3];
  vgg_softmax(x, 3, p);
  assert_float_equal(p[0], 0.125, 1e-7);
  assert_float_equal(p[1], 0.25, 1e-7);
  assert_float_equal(p[2], 0.625, 1e-7);
  vgg_softmax(x, 3, x);
  assert_memory_equal(x, p, sizeof p);
  float large[] = {1e30f, 1e30f, -1e30f};
  vgg_softmax(large, 3, large);
  assert_true(large[0] == 0.5f && large[1] == 0.5f && large[2] == 0);
  float one = -3;
  vgg_softmax(&one, 1, &one);
  assert_true(one == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_evaluation_against_single_pictures),
      cmocka_unit_test(test_any_batch_size_counts_alike),
      cmocka_unit_test(test_predicting_twice_gives_the_same_bytes),
      cmocka_unit_test(test_data_that_does_not_fit),
      cmocka_unit_test(test_named_classes),
      cmocka_unit_test(test_ties),
      cmocka_unit_test(test_names_that_differ),
      cmocka_unit_test(test_stopping),
      cmocka_unit_test(test_softmax),
  };
  return cmocka_run_group_tests(tests, make_data, remove_data);
}
