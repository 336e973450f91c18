/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/wait.h>

#include "data/loader.h"
#include "tree.h"

static void one_folder(void **state) {
  (void)state;
  tree t = tree_make();
  tree_dot(&t, "dog/b.png", 4, 5, 1, 2);
  tree_dot(&t, "dog/a.png", 3, 3, 3, 1);
  tree_dot(&t, "Cat/z.jpg", 8, 6, 1, 3); /* the content tells, not the name */
  tree_dot(&t, "dog/a/deep/er.png", 3, 3, 1, 4);
  tree_text(&t, "dog/.DS_Store", "hidden");
  tree_text(&t, "README", "no class");
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  static const char *const names[] = {"Cat", "dog"};
  assert_classes(data, names, 2);
  assert_int_equal(vgg_dataset_count(data), 4);
  assert_picture(data, 0, 3, 0);
  assert_picture(data, 1, 1, 1);
  assert_picture(data, 2, 2, 1);
  assert_picture(data, 3, 4, 1);
  assert_string_equal(vgg_dataset_path(data, 3), "dog/a/deep/er.png");
  assert_null(vgg_dataset_path(data, 4));
  assert_null(vgg_dataset_pixels(data, 0));
  assert_null(vgg_dataset_note(data, 0));
  const vgg_shape shape = vgg_dataset_shape(data);
  assert_int_equal(shape.c, 3);
  assert_int_equal(shape.h, 0);
  assert_int_equal(shape.w, 0);
  char spec[96];
  snprintf(spec, sizeof spec, "folder:%s", t.dir);
  assert_string_equal(vgg_dataset_spec(data), spec);
  tree_refused(&t, "folder", "", VGG_VALIDATION, NULL, VGG_NO_INPUT, "there is no val set");
  bool present[VGG_NUM_SPLITS];
  assert_int_equal(vgg_dataset_splits(t.dir, present, NULL), VGG_OK);
  assert_true(present[VGG_TRAIN] && !present[VGG_TEST] && !present[VGG_VALIDATION]);
  vgg_dataset_close(data);
  tree_remove(&t);
}

static void three_splits(void **state) {
  (void)state;
  tree t = tree_make();
  tree_dot(&t, "train/cat/1.png", 4, 4, 1, 1);
  tree_dot(&t, "train/cow/1.png", 4, 4, 1, 2);
  tree_dot(&t, "train/dog/1.png", 4, 4, 1, 3);
  tree_dot(&t, "train/dog/2.png", 4, 4, 1, 4);
  tree_dot(&t, "val/dog/1.png", 4, 4, 1, 5); /* the first class of val is the third of train */
  tree_dot(&t, "valid/dog/1.png", 4, 4, 1, 6);
  static const char *const names[] = {"cat", "cow", "dog"};
  vgg_dataset *train = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  vgg_dataset *val = tree_must_open(&t, "folder", "", VGG_VALIDATION, NULL);
  assert_classes(train, names, 3);
  assert_classes(val, names, 3);
  assert_int_equal(vgg_dataset_count(train), 4);
  assert_int_equal(vgg_dataset_count(val), 1);
  for (int i = 0; i < 3; i++) assert_picture(train, (size_t)i, (uint8_t)(i + 1), i);
  assert_picture(train, 3, 4, 2);
  assert_picture(val, 0, 5, 2);
  assert_non_null(strstr(vgg_dataset_note(train, 0), "valid: is left out"));
  assert_null(vgg_dataset_note(train, 1));
  assert_string_equal(vgg_dataset_note(val, 1), "class 'cat' has no picture in the val set");
  assert_string_equal(vgg_dataset_note(val, 2), "class 'cow' has no picture in the val set");
  assert_null(vgg_dataset_note(val, 3));
  bool present[VGG_NUM_SPLITS];
  assert_int_equal(vgg_dataset_splits(t.dir, present, NULL), VGG_OK);
  assert_true(present[VGG_TRAIN] && !present[VGG_TEST] && present[VGG_VALIDATION]);
  tree_refused(&t, "", "", VGG_TEST, NULL, VGG_NO_INPUT, "test: there is no test set");
  tree_dot(&t, "val/bird/1.png", 4, 4, 1, 1);
  tree_refused(&t, "", "", VGG_VALIDATION, NULL, VGG_BAD_CONTENT,
               "class 'bird' is not in the training set");
  vgg_dataset_close(train);
  vgg_dataset_close(val);
  tree_remove(&t);
}

/* A class may be called like a split. */
static void class_called_train(void **state) {
  (void)state;
  tree t = tree_make();
  tree_dot(&t, "train/1.png", 4, 4, 1, 1);
  tree_dot(&t, "plane/1.png", 4, 4, 1, 2);
  static const char *const names[] = {"plane", "train"};
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  assert_classes(data, names, 2);
  vgg_dataset_close(data);
  tree_remove(&t);
}

static void class_orders(void **state) {
  (void)state;
  tree t = tree_make();
  static const char *const by_bytes[] = {"n1", "n10", "n2", "x"};
  static const char *const natural[] = {"n1", "n2", "n10", "x"};
  static const char *const by_file[] = {"x", "n10", "spare", "n2", "n1"};
  for (int i = 0; i < 4; i++) {
    char name[32];
    snprintf(name, sizeof name, "%s/1.png", by_bytes[i]);
    tree_dot(&t, name, 4, 4, 1, (uint8_t)i);
  }
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, "bytes");
  assert_classes(data, by_bytes, 4);
  vgg_dataset_close(data);
  data = tree_must_open(&t, "", "", VGG_TRAIN, "natural");
  assert_classes(data, natural, 4);
  assert_picture(data, 1, 2, 1);
  vgg_dataset_close(data);
  tree_refused(&t, "", "", VGG_TRAIN, "file", VGG_NO_INPUT, "classes.txt");
  tree_text(&t, "classes.txt", "x\r\nn10\n\nspare\nn2\nn1");
  data = tree_must_open(&t, "", "", VGG_TRAIN, "file");
  assert_classes(data, by_file, 5);
  assert_picture(data, 0, 3, 0);
  assert_string_equal(vgg_dataset_note(data, 0), "class 'spare' has no picture in the train set");
  vgg_dataset_close(data);
  tree_text(&t, "classes.txt", "x\nn10\nn2\n");
  tree_refused(&t, "", "", VGG_TRAIN, "file", VGG_BAD_CONTENT, "lacks class 'n1'");
  tree_text(&t, "classes.txt", "x\nn10\nx\n");
  tree_refused(&t, "", "", VGG_TRAIN, "file", VGG_BAD_CONTENT, "names class 'x' twice");
  tree_refused(&t, "", "", VGG_TRAIN, "size", VGG_BAD_VALUE, "wanted bytes, natural or file");
  tree_remove(&t);
}

static void empty_folders(void **state) {
  (void)state;
  tree t = tree_make();
  char path[256];
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_VALUE, "is no dataset");
  tree_refused(&t, "folder", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT, "holds no folder");
  tree_path(&t, "cat/", path);
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT, "hold no file");
  tree_dot(&t, "dog/1.png", 4, 4, 1, 1);
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  assert_string_equal(vgg_dataset_note(data, 0), "class 'cat' has no picture in the train set");
  vgg_dataset_close(data);
  tree_refused(&t, "folder", "nowhere", VGG_TRAIN, NULL, VGG_NO_INPUT, "nowhere");
  tree_remove(&t);
}

static void links(void **state) {
  (void)state;
  tree t = tree_make();
  char path[256];
  tree_dot(&t, "cat/1.png", 4, 4, 1, 1);
  tree_dot(&t, "elsewhere.d/more/2.png", 4, 4, 1, 2);
  tree_path(&t, "cat/more", path);
  assert_int_equal(symlink("../elsewhere.d/more", path), 0); /* a folder by a link is a folder */
  tree_path(&t, "cat/broken.png", path);
  assert_int_equal(symlink("nowhere", path), 0); /* a picture that cannot be read */
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  assert_int_equal(vgg_dataset_count(data), 4);
  assert_string_equal(vgg_dataset_path(data, 0), "cat/1.png");
  vgg_dataset_close(data);
  tree_path(&t, "cat/back", path);
  assert_int_equal(symlink("..", path), 0);
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT, "is a link to a folder that it lies");
  assert_int_equal(remove(path), 0);
  assert_int_equal(symlink("back", path), 0); /* of itself: a link that leads nowhere */
  data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  assert_int_equal(vgg_dataset_count(data), 5);
  vgg_image image;
  vgg_error err;
  assert_int_equal(vgg_dataset_read(data, 2, &image, &err), VGG_NO_INPUT);
  assert_non_null(strstr(err.message, "cat/back"));
  vgg_dataset_close(data);
  tree_remove(&t);
}

/* Root may read everything, so the test becomes somebody else. */
static void unreadable_folder(void **state) {
  (void)state;
  tree t = tree_make();
  char path[256];
  tree_dot(&t, "cat/1.png", 4, 4, 1, 1);
  tree_dot(&t, "cat/locked/1.png", 4, 4, 1, 1);
  tree_path(&t, "cat/locked", path);
  assert_int_equal(chmod(t.dir, 0755), 0);
  char cat[256];
  tree_path(&t, "cat", cat);
  assert_int_equal(chmod(cat, 0755), 0);
  assert_int_equal(chmod(path, 0), 0);
  const pid_t child = fork();
  if (child == 0) {
    vgg_dataset *data;
    vgg_error err;
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    const vgg_status status = tree_open(&t, "", "", VGG_TRAIN, NULL, &data, &err);
    _exit(status == VGG_NO_INPUT && strstr(err.message, "cat/locked: Permission denied") ? 0 : 1);
  }
  int result;
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_int_equal(chmod(path, 0700), 0);
  assert_true(WIFEXITED(result));
  assert_int_equal(WEXITSTATUS(result), 0);
  tree_remove(&t);
}

/* Names, labels and sizes make the digest, not where the folder lies. */
static void digests(void **state) {
  (void)state;
  tree a = tree_make(), b = tree_make();
  uint64_t digest[4];
  for (int i = 0; i < 4; i++) {
    tree *t = i == 1 ? &b : &a;
    if (i < 2) {
      tree_dot(t, "cat/1.png", 4, 4, 1, 1);
      tree_dot(t, "dog/2.png", 4, 4, 1, 2);
    }
    if (i == 2) tree_dot(t, "dog/2.png", 20, 20, 1, 2);
    if (i == 3) tree_dot(t, "dog/3.png", 4, 4, 1, 2);
    vgg_dataset *data = tree_must_open(t, "", "", VGG_TRAIN, NULL);
    digest[i] = vgg_dataset_digest(data);
    vgg_dataset_close(data);
  }
  assert_true(digest[0] == digest[1]);
  assert_true(digest[0] != digest[2]);
  assert_true(digest[2] != digest[3]);
  tree_remove(&a);
  tree_remove(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_folder),         cmocka_unit_test(three_splits),
      cmocka_unit_test(class_called_train), cmocka_unit_test(class_orders),
      cmocka_unit_test(empty_folders),      cmocka_unit_test(links),
      cmocka_unit_test(unreadable_folder),  cmocka_unit_test(digests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
