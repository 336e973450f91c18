/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures that cannot be used, and pictures in files against the same in memory.
 */
#include "data/loader.h"
#include "tree.h"

enum { COUNT = 60, BATCH = 8 };

/* COUNT lines of list.csv; picture i is of value i and class i % 3, and its size changes. */
static tree make_list(const char *const *odd_names, int num_odd) {
  tree t = tree_make();
  char lines[8192] = "";
  for (int i = 0; i < COUNT; i++) {
    char name[64];
    snprintf(name, sizeof name, "%02d.png", i);
    if (i % 7 == 3 && i / 7 < num_odd)
      snprintf(name, sizeof name, "%s", odd_names[i / 7]);
    else
      tree_dot(&t, name, 4 + i % 5, 4 + i % 3, 1, (uint8_t)i);
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s,%d\n", name, i % 3);
  }
  tree_text(&t, "list.csv", lines);
  return t;
}

static const char *const odd[] = {"empty.png", "text.png", "cut.png", "missing.png", "folder.png"};
enum { NUM_ODD = 5 };

static tree make_odd(void) {
  tree t = make_list(odd, NUM_ODD);
  char path[256];
  tree_text(&t, "empty.png", "");
  tree_text(&t, "text.png", "this is no picture");
  tree_dot(&t, "cut.png", 20, 20, 1, 9);
  tree_path(&t, "cut.png", path);
  assert_int_equal(truncate(path, 100), 0);
  tree_path(&t, "folder.png/", path);
  return t;
}

static loader *create(const vgg_dataset *data, int workers, bool shuffle, double max_bad) {
  const loader_options options = {.data = data,
                                  .rule = {.input = {1, 6, 6}},
                                  .batch = BATCH,
                                  .shuffle = shuffle,
                                  .seed = 3,
                                  .workers = workers,
                                  .max_bad = max_bad};
  loader *l;
  vgg_error err;
  if (loader_create(&options, &l, &err) != VGG_OK) fail_msg("%s", err.message);
  return l;
}

/* The good pictures of every batch stay in their order; the bad ones are named once. */
static void skipped(void **state) {
  (void)state;
  tree t = make_odd();
  vgg_dataset *data = tree_must_open(&t, "", "list.csv", VGG_TRAIN, NULL);
  for (int workers = 0; workers < 4; workers++) {
    loader *l = create(data, workers, true, .2);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
      uint32_t order[COUNT];
      size_t bad = 0;
      sampler_order(3, epoch, order, COUNT);
      assert_int_equal(loader_start(l, epoch, 0, NULL), VGG_OK);
      for (int first = 0; first < COUNT; first += BATCH) {
        const loader_batch *b;
        assert_int_equal(loader_next(l, &b, NULL), VGG_OK);
        int n = 0;
        for (int i = first; i < first + BATCH && i < COUNT; i++) {
          const uint32_t id = order[i];
          if (id % 7 == 3 && id / 7 < NUM_ODD) {
            if (epoch == 0) {
              assert_true(loader_bad(l) > bad);
              const char *line = loader_bad_line(l, bad);
              if (!strstr(line, odd[id / 7])) fail_msg("%s: not about %s", line, odd[id / 7]);
            }
            bad++;
            continue;
          }
          assert_true(n < b->n);
          assert_int_equal(b->ids[n], id);
          assert_int_equal(b->labels[n], id % 3);
          n++;
        }
        assert_int_equal(b->n, n);
      }
      assert_int_equal(loader_bad(l), NUM_ODD);
    }
    loader_close(l);
  }
  vgg_dataset_close(data);
  tree_remove(&t);
}

/* Without a shuffle the second odd picture lies in the second batch. */
static void too_many(void **state) {
  (void)state;
  tree t = make_odd();
  vgg_dataset *data = tree_must_open(&t, "", "list.csv", VGG_TRAIN, NULL);
  static const struct {
    double share;
    int good_batches; /* before it stops */
  } cases[] = {{0, 0}, {-1, 0}, {1. / COUNT, 1}, {2.5 / COUNT, 2}, {5. / COUNT, 8}, {1, 8}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    for (int workers = 1; workers < 4; workers += 2) {
      loader *l = create(data, workers, false, cases[c].share);
      vgg_error err;
      const loader_batch *b;
      int good = 0;
      assert_int_equal(loader_start(l, 0, 0, NULL), VGG_OK);
      vgg_status status = VGG_OK;
      while ((status = loader_next(l, &b, &err)) == VGG_OK && b) good++;
      assert_int_equal(good, cases[c].good_batches);
      if (good < 8) {
        assert_int_equal(status, VGG_BAD_CONTENT);
        assert_non_null(strstr(err.message, "of 60 pictures cannot be used, at most"));
        assert_non_null(strstr(err.message, odd[good]));
      }
      loader_close(l);
    }
  }
  vgg_dataset_close(data);
  tree_remove(&t);
}

/* A batch of bad pictures alone is there, but empty. */
static void empty_batch(void **state) {
  (void)state;
  tree t = tree_make();
  tree_text(&t, "list.csv", "a.png,0\nb.png,1\nno.png,0\n");
  tree_dot(&t, "a.png", 6, 6, 1, 1);
  tree_dot(&t, "b.png", 6, 6, 1, 1);
  vgg_dataset *data = tree_must_open(&t, "", "list.csv", VGG_TRAIN, NULL);
  const loader_options options = {
      .data = data, .rule = {.input = {1, 6, 6}}, .batch = 2, .max_bad = .5};
  loader *l;
  const loader_batch *b;
  assert_int_equal(loader_create(&options, &l, NULL), VGG_OK);
  assert_int_equal(loader_batches(l), 2);
  assert_int_equal(loader_start(l, 0, 0, NULL), VGG_OK);
  assert_int_equal(loader_next(l, &b, NULL), VGG_OK);
  assert_int_equal(b->n, 2);
  assert_int_equal(loader_next(l, &b, NULL), VGG_OK);
  assert_non_null(b);
  assert_int_equal(b->n, 0);
  assert_int_equal(loader_next(l, &b, NULL), VGG_OK);
  assert_null(b);
  loader_close(l);
  vgg_dataset_close(data);
  tree_remove(&t);
}

/* Colour becomes grey; a grey picture among colour ones is refused by name, a set of grey ones at
 * once. */
static void channels(void **state) {
  (void)state;
  tree t = tree_make();
  tree_dot(&t, "grey/1.png", 6, 6, 1, 1);
  tree_dot(&t, "colour/1.png", 6, 6, 3, 1);
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  loader_options options = {.data = data, .rule = {.input = {3, 6, 6}}, .batch = 2, .max_bad = .5};
  loader *l;
  vgg_error err;
  const loader_batch *b;
  assert_int_equal(loader_create(&options, &l, NULL), VGG_OK);
  assert_int_equal(loader_start(l, 0, 0, NULL), VGG_OK);
  assert_int_equal(loader_next(l, &b, NULL), VGG_OK);
  assert_int_equal(b->n, 1);
  assert_int_equal(b->ids[0], 0);
  assert_non_null(strstr(loader_bad_line(l, 0), "grey/1.png: picture: is grey"));
  loader_close(l);
  options.rule.input.c = 1;
  assert_int_equal(loader_create(&options, &l, NULL), VGG_OK);
  assert_int_equal(loader_start(l, 0, 0, NULL), VGG_OK);
  assert_int_equal(loader_next(l, &b, NULL), VGG_OK);
  assert_int_equal(b->n, 2);
  loader_close(l);
  vgg_dataset_close(data);
  char path[256];
  tree_path(&t, "colour/1.png", path);
  assert_int_equal(remove(path), 0);
  data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  options.data = data;
  options.rule.input.c = 3;
  assert_int_equal(loader_create(&options, &l, &err), VGG_BAD_VALUE);
  assert_non_null(strstr(err.message, "is grey"));
  vgg_dataset_close(data);
  tree_remove(&t);
}

/* ---- Fashion-MNIST as files ------------------------------------------------------------------ */

static void assert_same_batches(const vgg_dataset *a, const vgg_dataset *b) {
  loader *l[2];
  for (int i = 0; i < 2; i++) {
    const loader_options options = {.data = i ? b : a,
                                    .rule = {.input = {1, 40, 40}},
                                    .batch = 32,
                                    .shuffle = true,
                                    .seed = 11,
                                    .workers = 3};
    assert_int_equal(loader_create(&options, &l[i], NULL), VGG_OK);
  }
  for (uint32_t epoch = 0; epoch < 2; epoch++) {
    const loader_batch *x, *y;
    for (int i = 0; i < 2; i++) assert_int_equal(loader_start(l[i], epoch, 0, NULL), VGG_OK);
    do {
      assert_int_equal(loader_next(l[0], &x, NULL), VGG_OK);
      assert_int_equal(loader_next(l[1], &y, NULL), VGG_OK);
      assert_int_equal(!x, !y);
      if (!x) break;
      assert_int_equal(x->n, y->n);
      assert_memory_equal(x->ids, y->ids, (size_t)x->n * sizeof *x->ids);
      assert_memory_equal(x->labels, y->labels, (size_t)x->n * sizeof *x->labels);
      assert_memory_equal(x->pixels, y->pixels, (size_t)x->n * 40 * 40);
    } while (true);
  }
  for (int i = 0; i < 2; i++) loader_close(l[i]);
}

static void as_png(void **state) {
  (void)state;
  enum { FEW = 300 };
  if (access("/usr/share/datasets/fashion-mnist", R_OK) != 0) skip();
  vgg_dataset *idx;
  vgg_error err;
  if (vgg_dataset_open("fashion-mnist", VGG_TRAIN, FEW, &idx, &err)) fail_msg("%s", err.message);
  tree t = tree_make();
  char *lines = calloc(FEW, 64);
  size_t used = 0;
  for (size_t i = 0; i < FEW; i++) {
    char name[64];
    snprintf(name, sizeof name, "train/%d/%zu.png", vgg_dataset_label(idx, i), i);
    tree_png(&t, name, 28, 28, 1, vgg_dataset_pixels(idx, i));
    used += (size_t)sprintf(lines + used, "%s,%d\n", name, vgg_dataset_label(idx, i));
  }
  tree_text(&t, "list.csv", lines);
  vgg_dataset *csv = tree_must_open(&t, "", "list.csv", VGG_TRAIN, NULL);
  vgg_dataset *folder = tree_must_open(&t, "folder", "", VGG_TRAIN, NULL);
  assert_same_batches(idx, csv);
  assert_int_equal(vgg_dataset_count(folder), FEW);
  for (size_t i = 0; i < FEW; i++) { /* the file's number tells which picture it is */
    const size_t at = (size_t)atoi(vgg_dataset_path(folder, i) + strlen("train/0/"));
    vgg_image image;
    assert_int_equal(vgg_dataset_label(folder, i), vgg_dataset_label(idx, at));
    assert_int_equal(vgg_dataset_read(folder, i, &image, NULL), VGG_OK);
    assert_memory_equal(image.pixels, vgg_dataset_pixels(idx, at), 28 * 28);
    vgg_image_free(&image);
  }
  vgg_dataset_close(idx);
  vgg_dataset_close(csv);
  vgg_dataset_close(folder);
  free(lines);
  tree_remove(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(skipped),  cmocka_unit_test(too_many), cmocka_unit_test(empty_batch),
      cmocka_unit_test(channels), cmocka_unit_test(as_png),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
