/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "idx_files.h"
#include "vgg/data.h"

enum { COUNT = 997 };

/* Labels 0 .. 10 in unequal numbers, class 10 once. */
static vgg_dataset *open_data(char dir[64]) {
  char spec[80];
  vgg_error err;
  vgg_dataset *data;
  folder_fill(dir, COUNT, 3, 2, 2, false);
  bytes labels = idx_labels(COUNT, 5);
  for (size_t i = 0; i < COUNT; i++) labels.at[8 + i] = (uint8_t)(i * i % 10);
  labels.at[8 + 500] = 10;
  file_put(dir, "train-labels-idx1-ubyte", labels);
  snprintf(spec, sizeof spec, "idx:%s", dir);
  if (vgg_dataset_open(spec, VGG_TRAIN, 0, &data, &err) != VGG_OK) fail_msg("%s", err.message);
  return data;
}

static void count_classes(const vgg_dataset *data, size_t counts[11]) {
  for (int k = 0; k < 11; k++) counts[k] = 0;
  for (size_t i = 0; i < vgg_dataset_count(data); i++) counts[vgg_dataset_label(data, i)]++;
}

/* Where in `data` the pictures of a view lie, by their pixels' address. */
static size_t place(const vgg_dataset *data, const vgg_dataset *view, size_t i) {
  return (size_t)(vgg_dataset_pixels(view, i) - vgg_dataset_pixels(data, 0)) / 4;
}

static void properties(void **state) {
  (void)state;
  char dir[64];
  vgg_dataset *data = open_data(dir);
  static const double fractions[] = {.001, .1, .2, 1. / 3, .5, .9, .999};
  size_t all[11], few[11], many[11];
  count_classes(data, all);
  for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++) {
    for (uint64_t seed = 0; seed < 3; seed++) {
      vgg_dataset *rest, *part;
      assert_int_equal(vgg_dataset_divide(data, fractions[f], seed, &rest, &part, NULL), VGG_OK);
      const size_t n = vgg_dataset_count(part);
      assert_int_equal(n + vgg_dataset_count(rest), COUNT);
      if (fractions[f] <= .5) assert_int_equal(n, (size_t)llround(fractions[f] * COUNT));
      count_classes(part, few);
      count_classes(rest, many);
      for (int k = 0; k < 11; k++) {
        assert_int_equal(few[k] + many[k], all[k]);
        assert_true(many[k] > 0 || all[k] == 0);
        assert_true(fabs((double)few[k] - fractions[f] * (double)all[k]) < 1 + 1e-9);
      }
      bool seen[COUNT] = {false};
      const vgg_dataset *sides[] = {rest, part};
      for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < vgg_dataset_count(sides[s]); i++) {
          const size_t at = place(data, sides[s], i);
          assert_false(seen[at]); /* no picture is on both sides */
          seen[at] = true;
          assert_int_equal(vgg_dataset_label(sides[s], i), vgg_dataset_label(data, at));
          if (i > 0) assert_true(at > place(data, sides[s], i - 1));
        }
      }
      vgg_dataset_close(rest);
      vgg_dataset_close(part);
    }
  }
  vgg_dataset_close(data);
  folder_remove(dir);
}

static void repeatable(void **state) {
  (void)state;
  char dir[64];
  vgg_dataset *data = open_data(dir), *rest[3], *part[3];
  for (int i = 0; i < 3; i++)
    assert_int_equal(vgg_dataset_divide(data, .2, i == 2 ? 6 : 5, &rest[i], &part[i], NULL),
                     VGG_OK);
  assert_true(vgg_dataset_digest(part[0]) == vgg_dataset_digest(part[1]));
  assert_true(vgg_dataset_digest(rest[0]) == vgg_dataset_digest(rest[1]));
  assert_true(vgg_dataset_digest(part[0]) != vgg_dataset_digest(part[2]));
  assert_string_equal(vgg_dataset_spec(part[0]), vgg_dataset_spec(data));
  /* From divide_part.py: a split must not move with a version. */
  static const size_t first[] = {10, 15, 19, 22, 35, 43, 48, 58, 59, 60, 61, 63};
  size_t squares = 0;
  for (size_t i = 0; i < 12; i++) assert_int_equal(place(data, part[0], i), first[i]);
  for (size_t i = 0; i < vgg_dataset_count(part[0]); i++)
    squares += place(data, part[0], i) * place(data, part[0], i);
  assert_int_equal(vgg_dataset_count(part[0]), 199);
  assert_int_equal(squares, 70114631);
  vgg_dataset_close(data); /* the views live on */
  assert_non_null(vgg_dataset_pixels(part[0], 198));
  for (int i = 0; i < 3; i++) {
    vgg_dataset_close(rest[i]);
    vgg_dataset_close(part[i]);
  }
  folder_remove(dir);
}

/* A part of a part is made of the same pictures. */
static void subsets(void **state) {
  (void)state;
  char dir[64];
  vgg_error err;
  vgg_dataset *data = open_data(dir), *view, *deeper, *rest, *part;
  const uint32_t ids[] = {7, 3, 3, 900}, again[] = {3, 0}, wrong[] = {1, COUNT};
  assert_int_equal(vgg_dataset_subset(data, ids, 4, &view, &err), VGG_OK);
  assert_int_equal(vgg_dataset_subset(view, again, 2, &deeper, &err), VGG_OK);
  for (size_t i = 0; i < 4; i++) assert_int_equal(place(data, view, i), ids[i]);
  assert_int_equal(place(data, deeper, 0), 900);
  assert_int_equal(place(data, deeper, 1), 7);
  assert_int_equal(vgg_dataset_subset(data, wrong, 2, &rest, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_dataset_subset(view, ids, 4, &rest, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_dataset_divide(deeper, .5, 0, &rest, &part, &err), VGG_BAD_VALUE);
  for (int i = 0; i < 4; i++) {
    const double wrong_fractions[] = {0, 1, -.5, NAN};
    assert_int_equal(vgg_dataset_divide(data, wrong_fractions[i], 0, &rest, &part, &err),
                     VGG_BAD_VALUE);
  }
  vgg_dataset_close(view);
  vgg_dataset_close(deeper);
  vgg_dataset_close(data);
  folder_remove(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(properties),
      cmocka_unit_test(repeatable),
      cmocka_unit_test(subsets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
