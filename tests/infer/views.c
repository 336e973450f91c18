/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation by several views against the same views made one by one through the public functions:
 * resized whole, mirrored, cut out by hand, sent through a predictor for each.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/eval_views.h"
#include "format/model.h"
#include "vgg/infer.h"

enum { INPUT = 16, CLASSES = 3, COUNT = 14, MOST = 64 };

static char folder[64];

/* The sizes that files have, in turn. */
static const int sizes[][2] = {{20, 24}, {16, 16}, {24, 20}, {17, 41}, {20, 24}};

static void write_picture(int class, int i) {
  char name[128];
  const int h = sizes[i % 5][0], w = sizes[i % 5][1];
  snprintf(name, sizeof name, "%s/%d", folder, class);
  mkdir(name, 0700);
  snprintf(name, sizeof name, "%s/%d/%03d.pgm", folder, class, i);
  FILE *f = fopen(name, "wb");
  assert_non_null(f);
  fprintf(f, "P5 %d %d 255\n", w, h);
  uint32_t x = (uint32_t)(class * 100 + i + 1);
  for (int k = 0; k < h * w; k++) {
    x = x * 1664525 + 1013904223; /* Knuth's linear congruential numbers */
    fputc((int)(x >> (24 + class)), f);
  }
  assert_int_equal(fclose(f), 0);
}

static int make_data(void **state) {
  (void)state;
  strcpy(folder, "/tmp/vgg-views-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  for (int i = 0; i < COUNT; i++) write_picture(i % CLASSES, i);
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
  if (vgg_dataset_open(folder, VGG_TRAIN, 0, &data, &err) != VGG_OK) fail_msg("%s", err.message);
  return data;
}

static vgg_model *make_model(const char *net, bool norms) {
  const vgg_arch_options options = {
      .input = {1, INPUT, INPUT}, .classes = CLASSES, .hidden = 12, .batch_norm = norms};
  vgg_arch *arch;
  vgg_model *model;
  assert_int_equal(vgg_arch_from_text(net, &options, &arch, NULL), VGG_OK);
  assert_int_equal(vgg_model_create(arch, 3, &model, NULL), VGG_OK);
  vgg_arch_close(arch);
  /* far from alike: the last layer's weights are made large */
  const net_param *last = &model->params.at[model->params.trained - 2];
  for (size_t i = 0; i < last->count; i++) model->values[last->offset + i] *= 20;
  return model;
}

static const vgg_run_options fp32 = {.precision = "fp32", .threads = 2, .batch = 5};

/* ---- by hand --------------------------------------------------------------------------------- */

typedef struct by_hand {
  double p[CLASSES];
  int views;
} by_hand;

static void add_view(by_hand *sum, const vgg_model *model, const uint8_t *pixels) {
  const vgg_run_options options = {.precision = "fp32", .threads = 1, .batch = 1};
  vgg_predictor *predictor;
  float p[CLASSES];
  assert_int_equal(vgg_predictor_create(model, &options, &predictor, NULL), VGG_OK);
  assert_int_equal(vgg_predictor_logits(predictor, 1, pixels, p, NULL), VGG_OK);
  vgg_softmax(p, CLASSES, p);
  for (int k = 0; k < CLASSES; k++) sum->p[k] += p[k];
  sum->views++;
  vgg_predictor_close(predictor);
}

static void add_window(by_hand *sum, const vgg_model *model, const uint8_t *whole, int width,
                       int top, int left) {
  uint8_t pixels[INPUT * INPUT];
  for (int y = 0; y < INPUT; y++)
    memcpy(pixels + y * INPUT, whole + (top + y) * width + left, INPUT);
  add_view(sum, model, pixels);
}

/* The model as a dense net for h x w. */
static vgg_model *dense_for(bool norms, int h, int w) {
  vgg_model *model = make_model("1x8,2x12", norms);
  vgg_error err;
  if (vgg_model_reshape(model, VGG_HEAD_DENSE, (vgg_shape){1, h, w}, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return model;
}

/* Python's round at halves, as torchvision's CenterCrop. */
static int middle(int size) { return (int)nearbyint((size - INPUT) / 2.); }

typedef struct wanted {
  bool dense, middle, flip;
  int grid, num_scales, scales[3];
} wanted;

static void add_size(const wanted *v, bool norms, const vgg_model *model, const vgg_image *image,
                     int scale, by_hand *dense, by_hand *parts) {
  const int h = image->height, w = image->width;
  const int H = h <= w ? scale : scale * h / w, W = h <= w ? scale * w / h : scale;
  uint8_t whole[MOST * MOST], mirrored[MOST * MOST];
  assert_true(H * W <= MOST * MOST);
  assert_int_equal(vgg_resize_bilinear(image->pixels, h, w, 1, whole, H, W, NULL), VGG_OK);
  for (int i = 0; i < H * W; i++) mirrored[i] = whole[i / W * W + W - 1 - i % W];
  for (int m = 0; m <= v->flip; m++) {
    const uint8_t *pixels = m ? mirrored : whole;
    if (v->dense) {
      vgg_model *net = dense_for(norms, H, W);
      add_view(dense, net, pixels);
      vgg_model_close(net);
    }
    if (v->middle) add_window(parts, model, pixels, W, middle(H), middle(W));
    for (int i = 0; i < v->grid * v->grid; i++)
      add_window(parts, model, pixels, W, (int)round((H - INPUT) * (i / v->grid) / (v->grid - 1.)),
                 (int)round((W - INPUT) * (i % v->grid) / (v->grid - 1.)));
  }
}

/* The mean over the views of each kind, then that of the kinds. */
static void expect(const char *list, bool norms, const wanted *v) {
  vgg_model *model = make_model("1x8,2x12", norms);
  vgg_dataset *data = open_data();
  vgg_evaluation *e;
  vgg_error err;
  if (vgg_evaluate_views(model, &fp32, data, list, NULL, NULL, &e, &err) != VGG_OK)
    fail_msg("%s: %s", list, err.message);
  double loss = 0;
  size_t correct = 0, mistake = 0;
  for (size_t i = 0; i < COUNT; i++) {
    vgg_image image;
    by_hand kinds[2] = {{{0}, 0}, {{0}, 0}};
    double p[CLASSES] = {0};
    int guess = 0;
    assert_int_equal(vgg_dataset_read(data, i, &image, NULL), VGG_OK);
    for (int k = 0; k < v->num_scales; k++)
      add_size(v, norms, model, &image, v->scales[k], &kinds[0], &kinds[1]);
    vgg_image_free(&image);
    for (int n = 0; n < 2; n++)
      for (int k = 0; k < CLASSES && kinds[n].views; k++)
        p[k] += kinds[n].p[k] / kinds[n].views / (v->dense + (v->middle || v->grid));
    for (int k = 1; k < CLASSES; k++)
      if (p[k] > p[guess]) guess = k;
    const int label = vgg_dataset_label(data, i);
    loss -= log(p[label]) / COUNT;
    correct += guess == label;
    if (guess == label) continue;
    assert_true(mistake < e->num_mistakes);
    assert_int_equal(e->mistakes[mistake].index, i);
    assert_int_equal(e->mistakes[mistake].guess, guess);
    assert_float_equal(e->mistakes[mistake].probability, p[guess], 1e-4);
    mistake++;
  }
  assert_int_equal(e->total, COUNT);
  assert_int_equal(e->correct, correct);
  if (fabs(e->loss - loss) > 1e-4) fail_msg("%s: loss %.7f, by hand %.7f", list, e->loss, loss);
  vgg_evaluation_free(e);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

static void test_against_views_by_hand(void **state) {
  (void)state;
  expect("flip", false, &(wanted){.middle = true, .flip = true, .num_scales = 1, .scales = {16}});
  expect("scales=18/21", true, &(wanted){.middle = true, .num_scales = 2, .scales = {18, 21}});
  expect("crops=3,scales=21", false, &(wanted){.grid = 3, .num_scales = 1, .scales = {21}});
  expect("dense,scales=20", false, &(wanted){.dense = true, .num_scales = 1, .scales = {20}});
  expect("dense,flip", true,
         &(wanted){.dense = true, .flip = true, .num_scales = 1, .scales = {16}});
  expect(
      "flip,crops=2,scales=16/19/24,dense", true,
      &(wanted){.dense = true, .grid = 2, .flip = true, .num_scales = 3, .scales = {16, 19, 24}});
  /* the paper's: for 224 they would be 256, 384, 512 */
  expect("dense,scales", false, &(wanted){.dense = true, .num_scales = 3, .scales = {18, 27, 37}});
}

/* ---- which views ----------------------------------------------------------------------------- */

static void test_one_view_is_the_plain_evaluation(void **state) {
  (void)state;
  vgg_model *model = make_model("1x8,2x12", false);
  vgg_dataset *data = open_data();
  vgg_predictor *predictor;
  vgg_evaluation *plain, *e;
  assert_int_equal(vgg_predictor_create(model, &fp32, &predictor, NULL), VGG_OK);
  assert_int_equal(vgg_evaluate(predictor, data, NULL, NULL, &plain, NULL), VGG_OK);
  const char *const words[] = {"none", "", NULL};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(vgg_evaluate_views(model, &fp32, data, words[i], NULL, NULL, &e, NULL),
                     VGG_OK);
    assert_true(e->loss == plain->loss && e->correct == plain->correct);
    assert_string_equal(e->views, "none");
    vgg_evaluation_free(e);
  }
  free(model->recipe);
  model->recipe = strdup("{\"views\": \"flip,dense,scales\"}"); /* as training leaves it */
  assert_int_equal(vgg_evaluate_views(model, &fp32, data, NULL, NULL, NULL, &e, NULL), VGG_OK);
  assert_string_equal(e->views, "dense,flip,scales=18/27/37");
  assert_true(e->loss != plain->loss);
  vgg_evaluation_free(e);
  assert_int_equal(vgg_evaluate_views(model, &fp32, data, "none", NULL, NULL, &e, NULL), VGG_OK);
  assert_true(e->loss == plain->loss);
  vgg_evaluation_free(e);
  vgg_evaluation_free(plain);
  vgg_predictor_close(predictor);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

static void test_words(void **state) {
  (void)state;
  views v;
  char text[VIEWS_MAX_TEXT];
  vgg_error err;
  assert_int_equal(views_parse("crops,flip,scales", &v, NULL), VGG_OK);
  assert_string_equal(views_text(&v, text), "crops=5,flip,scales");
  assert_int_equal(views_settle(&v, (vgg_shape){3, 224, 224}, NULL), VGG_OK);
  assert_string_equal(views_text(&v, text), "crops=5,flip,scales=256/384/512");
  assert_int_equal(views_parse(text, &v, NULL), VGG_OK);
  assert_true(v.grid == 5 && v.flip && v.num_scales == 3 && !v.dense && !v.middle);
  static const struct {
    const char *list, *said;
  } wrong[] = {{"flop", "'flop': unknown"},
               {"flip,flip", "there twice"},
               {"flip=2", "'flip=2': wanted flip,"},
               {"crops=1", "wanted crops=N, crops from 2 to 16"},
               {"crops=3x", "'crops=3x'"},
               {"scales=", "wanted scales=S/S/.."},
               {"scales=20/", "'scales=20/'"},
               {"scales=20/x", "'scales=20/x'"},
               {"scales=1/2/3/4/5/6/7/8/9", "wanted scales"},
               {"flip,", "'': unknown"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(views_parse(wrong[i].list, &v, &err), VGG_BAD_VALUE);
    if (!strstr(err.message, wrong[i].said)) fail_msg("%s: %s", wrong[i].list, err.message);
  }
  assert_int_equal(views_parse("scales=223", &v, NULL), VGG_OK);
  assert_int_equal(views_settle(&v, (vgg_shape){3, 224, 200}, &err), VGG_BAD_VALUE);
  assert_string_equal(err.message, "views 'scales=223': the net's input needs at least 224");
  const char *about;
  assert_string_equal(vgg_view_name_at(0, &about), "flip");
  assert_non_null(about);
  assert_null(vgg_view_name_at(4, NULL));
}

/* ---- pictures that cannot be used ------------------------------------------------------------ */

static bool at_once(void *user) {
  ++*(int *)user;
  return true;
}

static void test_bad_pictures_and_stopping(void **state) {
  (void)state;
  char name[96];
  snprintf(name, sizeof name, "%s/1/999.pgm", folder);
  FILE *f = fopen(name, "wb");
  assert_non_null(f);
  fputs("P5 20 20 255\nshort", f);
  assert_int_equal(fclose(f), 0);
  vgg_model *model = make_model("1x8,2x12", false);
  vgg_dataset *data = open_data();
  vgg_evaluation *e = NULL;
  vgg_error err;
  assert_int_equal(vgg_evaluate_views(model, &fp32, data, "flip", NULL, NULL, &e, &err),
                   VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "1 of 15 pictures cannot be used, at most 0 may be bad"));
  assert_non_null(strstr(err.message, "999.pgm"));
  int calls = 0;
  assert_int_equal(vgg_evaluate_views(model, &fp32, data, "flip", at_once, &calls, &e, &err),
                   VGG_STOPPED);
  assert_int_equal(calls, 1);
  vgg_dataset_close(data);

  for (int i = COUNT; i < 100; i++) write_picture(i % CLASSES, i);
  data = open_data();
  assert_int_equal(vgg_evaluate_views(model, &fp32, data, "flip,dense", NULL, NULL, &e, &err),
                   VGG_OK);
  assert_true(e->total == 100 && e->num_bad == 1 && strstr(e->bad[0], "999.pgm"));
  vgg_evaluation_free(e);
  vgg_dataset_close(data);
  vgg_model_close(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_views_by_hand),
      cmocka_unit_test(test_one_view_is_the_plain_evaluation),
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_bad_pictures_and_stopping),
  };
  return cmocka_run_group_tests(tests, make_data, remove_data);
}
