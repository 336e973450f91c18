/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "tree.h"

static vgg_data_report *inspect(const tree *t, int threads) {
  vgg_data_report *r;
  vgg_error err;
  if (vgg_data_inspect(t->dir, NULL, threads, NULL, NULL, &r, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return r;
}

static void everything(void **state) {
  (void)state;
  tree t = tree_make();
  const uint8_t dark[4] = {0, 0, 0, 0},
                bright[12] = {51, 102, 255, 51, 102, 255, 51, 102, 255, 51, 102, 255};
  tree_png(&t, "train/a/dark.png", 2, 2, 1, dark);
  tree_png(&t, "train/a/flat.png", 1, 4, 1, dark); /* the same bytes, another picture */
  tree_png(&t, "train/a/again.png", 2, 2, 1, dark);
  tree_png(&t, "train/b/bright.png", 2, 2, 3, bright);
  tree_text(&t, "train/b/bad.png", "no picture");
  tree_png(&t, "val/b/bright.png", 2, 2, 3, bright);
  tree_png(&t, "test/b/x.png", 2, 2, 1, dark);
  tree_png(&t, "test/a/y.png", 3, 1, 3, bright);
  for (int threads = 1; threads < 4; threads++) {
    vgg_data_report *r = inspect(&t, threads);
    const vgg_data_split *train = &r->splits[VGG_TRAIN], *test = &r->splits[VGG_TEST];
    assert_int_equal(vgg_dataset_count(train->data), 5);
    assert_int_equal(train->per_class[0], 3);
    assert_int_equal(train->per_class[1], 2);
    assert_int_equal(train->num_bad, 1);
    assert_string_equal(vgg_dataset_path(train->data, train->bad[0]), "train/b/bad.png");
    assert_non_null(strstr(train->bad_lines[0], "train/b/bad.png: is not a picture"));
    assert_int_equal(train->grey, 3);
    assert_int_equal(train->colour, 1);
    assert_int_equal(train->repeated, 1);
    assert_int_equal(train->min_h, 1);
    assert_int_equal(train->max_h, 2);
    assert_int_equal(train->min_w, 2);
    assert_int_equal(train->max_w, 4);
    assert_int_equal(test->max_h, 3);
    assert_int_equal(test->num_bad + test->repeated, 0);
    /* test/b/x.png is train/a/again.png, the first of its kind; val/b is train/b. */
    assert_int_equal(r->num_twins, 2);
    assert_int_equal(r->twins[0].split[1], VGG_TEST);
    assert_string_equal(vgg_dataset_path(train->data, r->twins[0].index[0]), "train/a/again.png");
    assert_string_equal(vgg_dataset_path(test->data, r->twins[0].index[1]), "test/b/x.png");
    assert_false(r->twins[0].same_class);
    assert_int_equal(r->twins[1].split[1], VGG_VALIDATION);
    assert_true(r->twins[1].same_class);
    /* 12 pixels of 0 and 4 of the colour. */
    static const double part[] = {.2, .4, 1};
    assert_int_equal(r->channels, 3);
    for (int c = 0; c < 3; c++) {
      assert_true(fabs(r->mean[c] - part[c] / 4) < 1e-12);
      assert_true(fabs(r->std[c] - part[c] * sqrt(3) / 4) < 1e-12);
    }
    vgg_data_report_free(r);
  }
  tree_remove(&t);
}

static bool stop_at_once(size_t done, size_t total, void *user) {
  *(size_t *)user = done;
  return total > 0;
}

static void refusals(void **state) {
  (void)state;
  tree t = tree_make();
  vgg_data_report *r;
  vgg_error err;
  size_t done = 0;
  assert_int_equal(vgg_data_inspect(t.dir, NULL, 1, NULL, NULL, &r, &err), VGG_BAD_VALUE);
  tree_dot(&t, "a/1.png", 4, 4, 1, 1);
  assert_int_equal(vgg_data_inspect(t.dir, NULL, 1, stop_at_once, &done, &r, &err), VGG_STOPPED);
  assert_int_equal(done, 1);
  vgg_data_report_free(NULL);
  tree_remove(&t);
}

/* Published: mean .2860, deviation .3530 of the training pictures. */
static void fashion_mnist(void **state) {
  (void)state;
  vgg_data_report *r;
  vgg_error err;
  if (access("/usr/share/datasets/fashion-mnist", R_OK) != 0) skip();
  if (vgg_data_inspect("fashion-mnist", NULL, 2, NULL, NULL, &r, &err)) fail_msg("%s", err.message);
  assert_true(fabs(r->mean[0] - .2860) < 5e-5 && fabs(r->std[0] - .3530) < 5e-5);
  assert_int_equal(r->channels, 1);
  assert_int_equal(r->splits[VGG_TEST].grey, 10000);
  vgg_data_report_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything),
      cmocka_unit_test(refusals),
      cmocka_unit_test(fashion_mnist),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
