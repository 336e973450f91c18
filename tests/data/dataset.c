/* SPDX-License-Identifier: Apache-2.0 */
#include "vgg/data.h"

#include <sys/stat.h>

#include "data/loader.h"
#include "idx_files.h"

static vgg_status open_folder(const char *kind, const char *dir, vgg_split split, size_t limit,
                              vgg_dataset **out, vgg_error *err) {
  char spec[128];
  snprintf(spec, sizeof spec, "%s:%s", kind, dir);
  *out = NULL;
  *err = (vgg_error){0};
  const vgg_status status = vgg_dataset_open(spec, split, limit, out, err);
  if (status != VGG_OK) assert_null(*out);
  assert_int_equal(err->status, status);
  return status;
}

static vgg_dataset *must_open(const char *kind, const char *dir, vgg_split split, size_t limit) {
  vgg_dataset *data;
  vgg_error err;
  if (open_folder(kind, dir, split, limit, &data, &err) != VGG_OK) fail_msg("%s", err.message);
  return data;
}

/* Refused with `status`, and the message has both parts. */
static void assert_refused(const char *kind, const char *dir, size_t limit, vgg_status status,
                           const char *part, const char *other_part) {
  vgg_dataset *data;
  vgg_error err;
  assert_int_equal(open_folder(kind, dir, VGG_TRAIN, limit, &data, &err), status);
  if (!strstr(err.message, part) || !strstr(err.message, other_part))
    fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.message, part, other_part);
}

static void remove_file(const char *dir, const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  assert_int_equal(remove(path), 0);
}

static void idx_folders(void **state) {
  (void)state;
  for (int gz = 0; gz < 2; gz++) {
    char dir[64], spec[80];
    folder_fill(dir, 9, 12, 5, 7, gz);
    const bytes pictures = idx_pictures(9, 5, 7);
    vgg_dataset *data = must_open("idx", dir, VGG_TRAIN, 0);
    const vgg_shape shape = vgg_dataset_shape(data);
    assert_int_equal(vgg_dataset_count(data), 9);
    assert_int_equal(shape.c, 1);
    assert_int_equal(shape.h, 5);
    assert_int_equal(shape.w, 7);
    for (size_t i = 0; i < 9; i++) {
      assert_memory_equal(vgg_dataset_pixels(data, i), pictures.at + 16 + 35 * i, 35);
      assert_int_equal(vgg_dataset_label(data, i), i * 7 % 5);
    }
    assert_null(vgg_dataset_pixels(data, 9));
    assert_int_equal(vgg_dataset_label(data, 9), -1);
    /* The training set has labels below 5, the test set one of 10. */
    assert_int_equal(vgg_dataset_classes(data), 11);
    assert_string_equal(vgg_dataset_class_name(data, 0), "0");
    assert_string_equal(vgg_dataset_class_name(data, 10), "10");
    assert_null(vgg_dataset_class_name(data, 11));
    assert_null(vgg_dataset_class_name(data, -1));
    snprintf(spec, sizeof spec, "idx:%s", dir);
    assert_string_equal(vgg_dataset_spec(data), spec);
    assert_in_range(dataset_bytes(data), 9 * 36, 9 * 36 + 2048);
    vgg_dataset *test = must_open("idx", dir, VGG_TEST, 0);
    assert_int_equal(vgg_dataset_count(test), 12);
    assert_int_equal(vgg_dataset_classes(test), 11);
    vgg_dataset_close(test);
    vgg_dataset_close(data);
    free(pictures.at);
    folder_remove(dir);
  }
  vgg_dataset_close(NULL);
}

static void first_pictures(void **state) {
  (void)state;
  char dir[64];
  folder_fill(dir, 9, 12, 5, 7, false);
  vgg_dataset *all = must_open("idx", dir, VGG_TRAIN, 0);
  for (size_t limit = 1; limit <= 9; limit++) {
    vgg_dataset *few = must_open("idx", dir, VGG_TRAIN, limit);
    assert_int_equal(vgg_dataset_count(few), limit);
    assert_memory_equal(vgg_dataset_pixels(few, 0), vgg_dataset_pixels(all, 0), 35 * limit);
    assert_null(vgg_dataset_pixels(few, limit));
    assert_int_equal(vgg_dataset_label(few, limit), -1);
    if (limit < 9)
      assert_true(vgg_dataset_digest(few) != vgg_dataset_digest(all));
    else
      assert_true(vgg_dataset_digest(few) == vgg_dataset_digest(all));
    vgg_dataset_close(few);
  }
  assert_refused("idx", dir, 10, VGG_BAD_VALUE, "limit is 10", "holds 9");
  vgg_dataset_close(all);
  folder_remove(dir);
}

static uint64_t digest_of(const char *dir, vgg_split split) {
  vgg_dataset *data = must_open("idx", dir, split, 0);
  const uint64_t digest = vgg_dataset_digest(data);
  vgg_dataset_close(data);
  return digest;
}

static void digests(void **state) {
  (void)state;
  char plain[64], gz[64], wide[64];
  folder_fill(plain, 9, 9, 5, 7, false);
  folder_fill(gz, 9, 9, 5, 7, true);
  folder_fill(wide, 9, 9, 7, 5, false);
  const uint64_t first = digest_of(plain, VGG_TRAIN);
  assert_true(first == digest_of(gz, VGG_TRAIN));
  assert_true(first != digest_of(wide, VGG_TRAIN)); /* the same bytes, another shape */
  assert_true(first != digest_of(plain, VGG_TEST)); /* other labels */
  bytes pictures = idx_pictures(9, 5, 7);
  pictures.at[pictures.size - 1] ^= 1;
  file_put(plain, "train-images-idx3-ubyte", pictures);
  assert_true(first != digest_of(plain, VGG_TRAIN));
  folder_remove(plain);
  folder_remove(gz);
  folder_remove(wide);
}

static void unknown_specs(void **state) {
  (void)state;
  static const char *const specs[] = {"",     "pnist", "fashion-mnis:x", "fashion-mnist2",
                                      "idx2", ":x"};
  vgg_dataset *data;
  vgg_error err;
  for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
    assert_int_equal(vgg_dataset_open(specs[i], VGG_TRAIN, 0, &data, &err), VGG_BAD_VALUE);
    assert_non_null(strstr(
        err.message, "wanted a folder, a CSV file or idx:DIR, fashion-mnist[:DIR], mnist:DIR"));
  }
  assert_int_equal(vgg_dataset_open("no/where", VGG_TRAIN, 0, &data, &err), VGG_NO_INPUT);
  assert_int_equal(vgg_dataset_open("/dev/null", VGG_TRAIN, 0, &data, &err), VGG_BAD_VALUE);
  static const char *const no_folder[] = {"idx", "idx:", "fashion-mnist:", "folder:", "csv"};
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(vgg_dataset_open(no_folder[i], VGG_TRAIN, 0, &data, &err), VGG_BAD_VALUE);
    assert_non_null(strstr(err.message, "names no folder"));
  }
}

static void missing_files(void **state) {
  (void)state;
  char dir[64];
  static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                      "t10k-labels-idx1-ubyte"};
  for (int i = 0; i < 3; i++) {
    folder_fill(dir, 9, 12, 5, 7, false);
    remove_file(dir, names[i]);
    assert_refused("idx", dir, 0, VGG_NO_INPUT, dir, names[i]);
    folder_remove(dir);
  }
  folder_make(dir);
  assert_refused("fashion-mnist", dir, 0, VGG_NO_INPUT, "train-images-idx3-ubyte",
                 "apt-get install dataset-fashion-mnist");
  char path[128];
  snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", dir);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_refused("idx", dir, 0, VGG_NO_INPUT, path, "not a regular file");
  folder_remove(dir);
  assert_refused("idx", dir, 0, VGG_NO_INPUT, dir, "no such file");
  assert_refused("fashion-mnist", dir, 0, VGG_NO_INPUT, dir, "fashion-mnist:DIR");
}

static void broken_files(void **state) {
  (void)state;
  char dir[64];
  folder_fill(dir, 9, 12, 5, 7, false);
  file_put(dir, "train-labels-idx1-ubyte", idx_labels(8, 5));
  assert_refused("idx", dir, 0, VGG_BAD_CONTENT, "9 pictures", "8 labels");
  file_put(dir, "train-labels-idx1-ubyte", idx_pictures(9, 1, 1));
  assert_refused("idx", dir, 0, VGG_BAD_CONTENT, "train-labels-idx1-ubyte: begins with 00000803",
                 "wanted 00000801");
  file_put(dir, "train-labels-idx1-ubyte", (bytes){calloc(1, 1), 0});
  assert_refused("idx", dir, 0, VGG_BAD_CONTENT, "train-labels-idx1-ubyte", "ends after 0 bytes");
  folder_remove(dir);
  folder_fill(dir, 9, 12, 5, 7, true);
  const bytes pictures = idx_pictures(9, 5, 7);
  bytes packed = gzipped(pictures);
  free(pictures.at);
  packed.size /= 2;
  remove_file(dir, "train-images-idx3-ubyte.gz");
  file_put(dir, "train-images-idx3-ubyte", packed); /* the content tells, not the name */
  assert_refused("idx", dir, 0, VGG_BAD_CONTENT, "train-images-idx3-ubyte", "truncated");
  folder_remove(dir);
}

static void not_the_published_content(void **state) {
  (void)state;
  char dir[64];
  folder_fill(dir, 9, 12, 28, 28, true);
  assert_refused("fashion-mnist", dir, 0, VGG_BAD_CONTENT,
                 "train-images-idx3-ubyte: unpacked md5 is ", "f4a8712d7a061bf5bd6d2ca38dc4d50a");
  folder_remove(dir);
}

static const char debian[] = "/usr/share/datasets/fashion-mnist";

static void assert_balanced(const vgg_dataset *data, size_t count, uint64_t digest) {
  size_t per_class[10] = {0};
  assert_int_equal(vgg_dataset_count(data), count);
  assert_int_equal(vgg_dataset_classes(data), 10);
  for (size_t i = 0; i < count; i++) per_class[vgg_dataset_label(data, i)]++;
  for (int k = 0; k < 10; k++) assert_int_equal(per_class[k], count / 10);
  if (vgg_dataset_digest(data) != digest)
    fail_msg("digest 0x%016llx", (unsigned long long)vgg_dataset_digest(data));
}

static void fashion_mnist(void **state) {
  (void)state;
  if (access(debian, R_OK) != 0) {
    print_message("skipped: install dataset-fashion-mnist to test with the real data\n");
    skip();
  }
  vgg_error err;
  vgg_dataset *data = NULL;
  if (vgg_dataset_open("fashion-mnist", VGG_TRAIN, 0, &data, &err)) fail_msg("%s", err.message);
  assert_balanced(data, 60000, 0x9072d27c4e19f153u);
  assert_string_equal(vgg_dataset_spec(data), "fashion-mnist:/usr/share/datasets/fashion-mnist");
  assert_string_equal(vgg_dataset_class_name(data, 0), "t-shirt");
  assert_int_equal(vgg_dataset_label(data, 0), 9); /* the first picture is an ankle boot */
  assert_string_equal(vgg_dataset_class_name(data, 9), "ankle boot");
  vgg_dataset_close(data);
  data = must_open("fashion-mnist", debian, VGG_TEST, 0);
  assert_balanced(data, 10000, 0x92e2a6ec237fee7bu);
  vgg_dataset_close(data);
}

/* DIR/FashionMNIST/raw, as torchvision stores it. */
static void torchvision_folder(void **state) {
  (void)state;
  if (access(debian, R_OK) != 0) skip();
  char dir[64], sub[128], raw[192];
  folder_make(dir);
  snprintf(sub, sizeof sub, "%s/FashionMNIST", dir);
  snprintf(raw, sizeof raw, "%s/raw", sub);
  assert_int_equal(mkdir(sub, 0700), 0);
  assert_int_equal(symlink(debian, raw), 0);
  vgg_dataset *data = must_open("fashion-mnist", dir, VGG_TEST, 5);
  assert_int_equal(vgg_dataset_count(data), 5);
  vgg_dataset_close(data);
  remove(raw);
  remove(sub);
  folder_remove(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(idx_folders),       cmocka_unit_test(first_pictures),
      cmocka_unit_test(digests),           cmocka_unit_test(unknown_specs),
      cmocka_unit_test(missing_files),     cmocka_unit_test(broken_files),
      cmocka_unit_test(fashion_mnist),     cmocka_unit_test(not_the_published_content),
      cmocka_unit_test(torchvision_folder)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
