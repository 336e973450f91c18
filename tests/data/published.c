/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets that are known by name: CIFAR's binary version, MNIST and its kin.
 */
#include "data/cifar.h"
#include "idx_files.h"
#include "tree.h"

/* `count` records whose label is 3 i + first, and whose pixel (c, y, x) is i + 100 c + y + 2 x. */
static void put_cifar(const tree *t, const char *name, int count, int first, int classes) {
  const size_t record = cifar_record(classes);
  uint8_t *file = calloc((size_t)count, record);
  for (int i = 0; i < count; i++) {
    uint8_t *p = file + (size_t)i * record;
    if (classes == 100) *p++ = 19;
    *p++ = (uint8_t)((3 * i + first) % classes);
    for (int c = 0; c < 3; c++)
      for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) *p++ = (uint8_t)(i + 100 * c + y + 2 * x);
  }
  tree_file(t, name, file, (size_t)count * record);
  free(file);
}

static void assert_cifar(const vgg_dataset *data, size_t i, int k, int label) {
  const uint8_t *p = vgg_dataset_pixels(data, i);
  assert_int_equal(vgg_dataset_label(data, i), label);
  for (int y = 0; y < 32; y++)
    for (int x = 0; x < 32; x++)
      for (int c = 0; c < 3; c++) assert_int_equal(*p++, (uint8_t)(k + 100 * c + y + 2 * x));
}

static void cifar10(void **state) {
  (void)state;
  tree t = tree_make();
  for (int b = 1; b <= 5; b++) {
    char name[64];
    snprintf(name, sizeof name, "cifar-10-batches-bin/data_batch_%d.bin", b);
    put_cifar(&t, name, 2 + b, b, 10);
  }
  put_cifar(&t, "cifar-10-batches-bin/test_batch.bin", 4, 7, 10);
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  char spec[96];
  snprintf(spec, sizeof spec, "cifar10:%s", t.dir);
  assert_string_equal(vgg_dataset_spec(data), spec);
  assert_int_equal(vgg_dataset_count(data), 3 + 4 + 5 + 6 + 7);
  assert_int_equal(vgg_dataset_classes(data), 10);
  assert_string_equal(vgg_dataset_class_name(data, 9), "9");
  assert_non_null(strstr(vgg_dataset_note(data, 0), "batches.meta.txt"));
  assert_cifar(data, 0, 0, 1);
  assert_cifar(data, 3, 0, 2);  /* the second file's first */
  assert_cifar(data, 24, 6, 3); /* the last: 3 * 6 + 5 */
  vgg_dataset_close(data);
  tree_text(&t, "cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  data = tree_must_open(&t, "cifar10", "cifar-10-batches-bin", VGG_TEST, NULL);
  assert_int_equal(vgg_dataset_count(data), 4);
  assert_string_equal(vgg_dataset_class_name(data, 9), "j");
  assert_null(vgg_dataset_note(data, 0));
  assert_cifar(data, 1, 1, 0);
  vgg_dataset_close(data);
  tree_text(&t, "cifar-10-batches-bin/batches.meta.txt", "a\nb\n");
  tree_refused(&t, "", "", VGG_TEST, NULL, VGG_BAD_CONTENT, "names 2 classes, wanted 10");
  tree_text(&t, "cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  tree_refused(&t, "", "", VGG_VALIDATION, NULL, VGG_NO_INPUT, "cifar10 has no val set");
  char path[256];
  tree_path(&t, "cifar-10-batches-bin/data_batch_4.bin", path);
  assert_int_equal(truncate(path, 3073 * 2 + 1), 0);
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT,
               "data_batch_4.bin: is 6147 bytes, wanted records of 3073 bytes");
  assert_int_equal(remove(path), 0);
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_NO_INPUT, "data_batch_4.bin");
  tree_remove(&t);
}

static void cifar100(void **state) {
  (void)state;
  tree t = tree_make();
  put_cifar(&t, "train.bin", 5, 90, 100);
  put_cifar(&t, "test.bin", 2, 99, 100);
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  assert_int_equal(vgg_dataset_count(data), 5);
  assert_int_equal(vgg_dataset_classes(data), 100);
  assert_cifar(data, 4, 4, 2);
  vgg_dataset_close(data);
  uint8_t record[3074] = {20, 3};
  tree_file(&t, "train.bin", record, sizeof record);
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT, "coarse label 20, wanted below 20");
  record[0] = 0, record[1] = 100;
  tree_file(&t, "train.bin", record, sizeof record);
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT, "label 100, wanted below 100");
  tree_text(&t, "train.bin", "");
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT, "is 0 bytes");
  tree_remove(&t);
}

static void put_idx(const tree *t, const char *name, bytes b) {
  tree_file(t, name, b.at, b.size);
  free(b.at);
}

static void mnist(void **state) {
  (void)state;
  tree t = tree_make();
  put_idx(&t, "KMNIST/raw/train-images-idx3-ubyte", idx_pictures(6, 2, 3));
  put_idx(&t, "KMNIST/raw/train-labels-idx1-ubyte", idx_labels(6, 5));
  vgg_dataset *data = tree_must_open(&t, "kmnist", "", VGG_TRAIN, NULL);
  assert_int_equal(vgg_dataset_classes(data), 10);
  assert_string_equal(vgg_dataset_class_name(data, 0), "o");
  assert_string_equal(vgg_dataset_class_name(data, 9), "wo");
  assert_int_equal(vgg_dataset_label(data, 1), 7 % 5);
  vgg_dataset_close(data);
  tree_refused(&t, "kmnist", "", VGG_TEST, NULL, VGG_NO_INPUT, "t10k-images-idx3-ubyte");
  tree_refused(&t, "mnist", "", VGG_TRAIN, NULL, VGG_NO_INPUT, "train-images-idx3-ubyte");
  put_idx(&t, "train-images-idx3-ubyte", idx_pictures(6, 2, 3));
  put_idx(&t, "train-labels-idx1-ubyte", idx_labels(6, 11)); /* 0 7 3 10 6 2 */
  tree_refused(&t, "mnist", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT,
               "label 3 is 10, mnist has 0 to 9");
  tree_remove(&t);
}

/* Stored column by column, and letters count from 1. */
static void emnist(void **state) {
  (void)state;
  tree t = tree_make();
  const bytes pictures = idx_pictures(4, 2, 3);
  tree_file(&t, "emnist-letters-train-images-idx3-ubyte", pictures.at, pictures.size);
  bytes labels = idx_labels(4, 5);
  memcpy(labels.at + 8, (uint8_t[]){1, 26, 2, 25}, 4);
  tree_file(&t, "emnist-letters-train-labels-idx1-ubyte", labels.at, labels.size);
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_TRAIN, NULL);
  assert_non_null(strstr(vgg_dataset_spec(data), "emnist-letters:"));
  const vgg_shape shape = vgg_dataset_shape(data);
  assert_int_equal(shape.h, 3);
  assert_int_equal(shape.w, 2);
  for (size_t i = 0; i < 4; i++)
    for (size_t y = 0; y < 3; y++)
      for (size_t x = 0; x < 2; x++)
        assert_int_equal(vgg_dataset_pixels(data, i)[2 * y + x],
                         pictures.at[16 + 6 * i + 3 * x + y]);
  assert_string_equal(vgg_dataset_class_name(data, vgg_dataset_label(data, 0)), "A");
  assert_string_equal(vgg_dataset_class_name(data, vgg_dataset_label(data, 1)), "Z");
  vgg_dataset_close(data);
  labels.at[8 + 2] = 0;
  tree_file(&t, "emnist-letters-train-labels-idx1-ubyte", labels.at, labels.size);
  tree_refused(&t, "", "", VGG_TRAIN, NULL, VGG_BAD_CONTENT, "label 2 is 0");
  free(labels.at);
  free(pictures.at);
  tree_remove(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cifar10),
      cmocka_unit_test(cifar100),
      cmocka_unit_test(mnist),
      cmocka_unit_test(emnist),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
