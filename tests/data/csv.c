/* SPDX-License-Identifier: Apache-2.0 */
#include "data/csv.h"

#include "tree.h"

typedef struct row {
  const char *path, *label;
} row;

static void assert_rows(const char *content, size_t size, char separator, const row *rows,
                        int count) {
  name_list paths = {0}, labels = {0};
  vgg_error err = {0};
  char *copy = malloc(size + 1); /* a sanitizer sees a read behind it */
  memcpy(copy, content, size);
  if (csv_parse("f.csv", (uint8_t *)copy, size, separator, &paths, &labels, &err) != VGG_OK)
    fail_msg("%s", err.message);
  assert_int_equal(paths.count, count);
  assert_int_equal(labels.count, count);
  for (int i = 0; i < count; i++) {
    assert_string_equal(name_list_at(&paths, (size_t)i), rows[i].path);
    assert_string_equal(name_list_at(&labels, (size_t)i), rows[i].label);
  }
  name_list_free(&paths);
  name_list_free(&labels);
  free(copy);
}

#define ROWS(content, separator, ...)                                       \
  assert_rows(content, sizeof content - 1, separator, (row[]){__VA_ARGS__}, \
              sizeof((row[]){__VA_ARGS__}) / sizeof(row))

static void lines(void **state) {
  (void)state;
  ROWS("a.png,cat\nb.png,dog\n", ',', {"a.png", "cat"}, {"b.png", "dog"});
  ROWS("a.png,cat\r\nb.png,dog", ',', {"a.png", "cat"}, {"b.png", "dog"});
  ROWS("\n\r\na.png,cat\n\n\nb.png,dog\n\n", ',', {"a.png", "cat"}, {"b.png", "dog"});
  ROWS("a,b.png\tcat\n", '\t', {"a,b.png", "cat"});
  ROWS(" a .png , cat \n", ',', {" a .png ", " cat "});
  ROWS("../../etc/passwd,x\n/abs,y\n", ',', {"../../etc/passwd", "x"}, {"/abs", "y"});
  ROWS("a\rb,\xc3\xa4\n", ',', {"a\rb", "\xc3\xa4"});
}

static void headings(void **state) {
  (void)state;
  ROWS("path,label\na.png,cat\n", ',', {"a.png", "cat"});
  ROWS("\xef\xbb\xbfPath,LABEL\r\na.png,cat\r\n", ',', {"a.png", "cat"});
  ROWS("\xef\xbb\xbf\"a\",cat\n", ',', {"a", "cat"});
  ROWS("path,label\npath,label\n", ',', {"path", "label"}); /* a picture may be called so */
  ROWS("a.png,cat\npath,label\n", ',', {"a.png", "cat"}, {"path", "label"});
  ROWS("path\tlabel\na.png\tcat\n", '\t', {"a.png", "cat"});
}

static void quotes(void **state) {
  (void)state;
  ROWS("\"a,b.png\",\"c\"\"at\"\n", ',', {"a,b.png", "c\"at"});
  ROWS("\"a\r\nb\",x\n\"c\",\"\"\"\"", ',', {"a\r\nb", "x"}, {"c", "\""});
}

static void assert_bad(const char *content, size_t size, const char *part) {
  name_list paths = {0}, labels = {0};
  vgg_error err = {0};
  char *copy = malloc(size + 1);
  memcpy(copy, content, size);
  const vgg_status status = csv_parse("f.csv", (uint8_t *)copy, size, ',', &paths, &labels, &err);
  if (status != VGG_BAD_CONTENT || !strstr(err.message, part) ||
      strncmp(err.message, "f.csv: ", 7) != 0)
    fail_msg("status %d, \"%s\"; wanted \"%s\"", status, err.message, part);
  name_list_free(&paths);
  name_list_free(&labels);
  free(copy);
}
#define BAD(content, part) assert_bad(content, sizeof content - 1, part)

static void refusals(void **state) {
  (void)state;
  BAD("", "names no picture");
  BAD("\n\n", "names no picture");
  BAD("path,label\n", "names no picture");
  BAD("a.png,cat\nb.png\n", "line 2: the label is missing");
  BAD("a.png,cat\n\nb.png,\n", "line 3: the label is missing");
  BAD("a.png,cat\nb.png,\"\"", "line 2: the label is missing");
  BAD(",cat\n", "line 1: the path is missing");
  BAD("a.png;cat\n", "line 1: the label is missing, wanted path,label");
  BAD("a.png\tcat\n", "the label is missing");
  BAD("a,b.png,cat\n", "line 1: a third field");
  BAD("a.png,cat,\n", "line 1: a third field");
  BAD("\"a\nb\",c\n\"d,e\n", "line 3: a quote is not closed");
  BAD("a\"b,c\n", "line 1: a quote stands within a field");
  BAD("\"a\"b,c\n", "line 1: text follows a closing quote");
  BAD("a\0b,c\n", "line 1: a NUL byte");
  BAD("\"a\0b\",c\n", "line 1: a NUL byte");
  BAD("\"", "line 1: a quote is not closed");
}

static void one_file(void **state) {
  (void)state;
  tree t = tree_make();
  tree_dot(&t, "in/a.png", 4, 4, 1, 1);
  tree_dot(&t, "b.png", 4, 5, 1, 2);
  char content[512];
  snprintf(content, sizeof content, "../b.png,10\n%s/in/a.png,9\nin/../a.png,9\na.png,9\n", t.dir);
  tree_text(&t, "in/list.csv", content);
  vgg_dataset *data = tree_must_open(&t, "", "in/list.csv", VGG_TRAIN, NULL);
  static const char *const by_bytes[] = {"10", "9"}, *const natural[] = {"9", "10"};
  assert_classes(data, by_bytes, 2);
  assert_int_equal(vgg_dataset_count(data), 4);
  assert_picture(data, 0, 2, 0); /* the lines' order */
  assert_picture(data, 1, 1, 1);
  assert_string_equal(vgg_dataset_path(data, 0), "../b.png");
  vgg_image image;
  vgg_error err;
  assert_int_equal(vgg_dataset_read(data, 2, &image, &err), VGG_NO_INPUT); /* not there */
  assert_picture(data, 3, 1, 1);
  vgg_dataset_close(data);
  data = tree_must_open(&t, "csv", "in/list.csv", VGG_TRAIN, "natural");
  assert_classes(data, natural, 2);
  assert_picture(data, 0, 2, 1);
  vgg_dataset_close(data);
  tree_text(&t, "in/classes.txt", "10\n7\n9\n");
  static const char *const by_file[] = {"10", "7", "9"};
  data = tree_must_open(&t, "csv", "in/list.csv", VGG_TRAIN, "file");
  assert_classes(data, by_file, 3);
  assert_picture(data, 1, 1, 2);
  vgg_dataset_close(data);
  tree_refused(&t, "", "in/list.csv", VGG_TEST, NULL, VGG_NO_INPUT, "is all training set");
  tree_refused(&t, "csv", "in/no.csv", VGG_TRAIN, NULL, VGG_NO_INPUT, "no.csv");
  tree_remove(&t);
}

static void three_files(void **state) {
  (void)state;
  tree t = tree_make();
  tree_dot(&t, "a.png", 4, 4, 3, 1);
  tree_dot(&t, "b.png", 4, 4, 3, 2);
  tree_text(&t, "train.csv", "a.png,x\nb.png,y\n");
  tree_text(&t, "val.tsv", "b.png\ty\n");
  vgg_dataset *data = tree_must_open(&t, "", "", VGG_VALIDATION, NULL);
  static const char *const names[] = {"x", "y"};
  assert_classes(data, names, 2);
  assert_int_equal(vgg_dataset_count(data), 1);
  assert_picture(data, 0, 2, 1);
  assert_string_equal(vgg_dataset_note(data, 0), "class 'x' has no picture in the val set");
  vgg_dataset_close(data);
  bool present[VGG_NUM_SPLITS];
  assert_int_equal(vgg_dataset_splits(t.dir, present, NULL), VGG_OK);
  assert_true(present[VGG_TRAIN] && !present[VGG_TEST] && present[VGG_VALIDATION]);
  tree_text(&t, "val.tsv", "b.png\tz\n");
  tree_refused(&t, "", "", VGG_VALIDATION, NULL, VGG_BAD_CONTENT, "class 'z' is not in the train");
  tree_refused(&t, "", "", VGG_TEST, NULL, VGG_NO_INPUT, "holds no test set");
  tree_remove(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines),    cmocka_unit_test(headings), cmocka_unit_test(quotes),
      cmocka_unit_test(refusals), cmocka_unit_test(one_file), cmocka_unit_test(three_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
