/* SPDX-License-Identifier: Apache-2.0
 *
 * The pickle reader on pickles that no honest writer makes, assembled byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/pickle.h"

/* A pickle under construction. */
typedef struct bytes {
  uint8_t *at;
  size_t size, room;
} bytes;

static void add(bytes *b, const void *more, size_t size) {
  if (b->size + size > b->room) {
    b->room = 2 * (b->size + size);
    b->at = realloc(b->at, b->room);
    assert_non_null(b->at);
  }
  memcpy(b->at + b->size, more, size);
  b->size += size;
}

static void add_many(bytes *b, const char *more, size_t size, int times) {
  for (int i = 0; i < times; i++) add(b, more, size);
}

/* Reads a copy that ends where its block does, so that a sanitizer sees a read beyond. */
static vgg_status read_copy(const void *data, size_t size, pickle_tree *tree, vgg_error *err) {
  uint8_t *copy = malloc(size ? size : 1);
  assert_non_null(copy);
  memcpy(copy, data, size);
  const vgg_status status = pickle_read("p", copy, size, tree, NULL, err);
  free(copy); /* texts point into it; no test looks at one after this */
  return status;
}

static void refused(const void *data, size_t size, const char *why) {
  pickle_tree tree;
  vgg_error err = {0};
  if (read_copy(data, size, &tree, &err) != VGG_BAD_CONTENT) fail_msg("'%s': not refused", why);
  if (!strstr(err.message, why)) fail_msg("wanted '%s', found: %s", why, err.message);
}
#define REFUSED(text, why) refused(text, sizeof(text) - 1, why)

static void test_values(void **state) {
  (void)state;
  static const char pickle[] =
      "\x80\x02(K\x05M\x01\x02J\xfe\xff\xff\xff\x8a\x01\xff\x8a\x00"
      "\x8a\x05\x00\x00\x00\x00\x01G\x3f\xf8\0\0\0\0\0\0N\x88\x89"
      "X\x02\0\0\0abt.";
  static const struct {
    pickle_kind kind;
    int64_t integer;
  } wanted[] = {{PICKLE_INT, 5},   {PICKLE_INT, 513}, {PICKLE_INT, -2},
                {PICKLE_INT, -1},  {PICKLE_INT, 0},   {PICKLE_INT, (int64_t)1 << 32},
                {PICKLE_FLOAT, 0}, {PICKLE_NONE, 0},  {PICKLE_BOOL, 1},
                {PICKLE_BOOL, 0},  {PICKLE_TEXT, 0}};
  enum { COUNT = sizeof wanted / sizeof *wanted };
  pickle_tree tree;
  size_t used;
  assert_int_equal(pickle_read("p", (const uint8_t *)pickle, sizeof pickle, &tree, &used, NULL),
                   VGG_OK);
  assert_int_equal(used, sizeof pickle - 1);
  const pickle_node *root = &tree.nodes[tree.root];
  assert_int_equal(root->kind, PICKLE_TUPLE);
  assert_int_equal(root->count, COUNT);
  for (int i = 0; i < COUNT; i++) {
    const pickle_node *n = &tree.nodes[root->items[i]];
    assert_int_equal(n->kind, wanted[i].kind);
    if (n->kind == PICKLE_INT || n->kind == PICKLE_BOOL)
      assert_int_equal(n->integer, wanted[i].integer);
    if (n->kind == PICKLE_FLOAT) assert_true(n->real == 1.5);
    if (n->kind == PICKLE_TEXT) assert_memory_equal(n->text, "ab", n->length);
  }
  pickle_free(&tree);
}

static void test_a_list_in_itself_is_read(void **state) {
  (void)state;
  static const char pickle[] = "\x80\x02]q\0h\0a.";
  pickle_tree tree;
  assert_int_equal(read_copy(pickle, sizeof pickle - 1, &tree, NULL), VGG_OK);
  assert_int_equal(tree.nodes[tree.root].items[0], tree.root);
  pickle_free(&tree);
}

static void test_a_broken_stack_is_refused(void **state) {
  (void)state;
  REFUSED("", "cut short");
  REFUSED("\x80", "cut short");
  REFUSED("\x80\x03N.", "byte 0: is not of protocol 2");
  REFUSED("\x80\x02.", "byte 2: stops with more or less than one value");
  REFUSED("\x80\x02NN.", "more or less than one value");
  REFUSED("\x80\x02(N.", "more or less than one value");
  REFUSED("\x80\x02N\x86.", "takes more from the stack than there is");
  REFUSED("\x80\x02N(\x85.", "takes more from the stack than there is");
  REFUSED("\x80\x02t.", "wants a mark");
  REFUSED("\x80\x02(e.", "wants a list or dictionary");
  REFUSED("\x80\x02]N(Na.", "takes more from the stack");
  REFUSED("\x80\x02NNa.", "appends to what is no list");
  REFUSED("\x80\x02]NNs.", "sets items of what is no dictionary");
  REFUSED("\x80\x02}(Nu.", "a key without a value");
  REFUSED("\x80\x02NNR.", "calls what is no name");
  REFUSED("\x80\x02NQ.", "a storage whose name is no tuple");
  REFUSED("\x80\x02}Nb.", "sets attributes of what is neither");
  REFUSED("\x80\x02NNb.", "sets attributes of what is neither");
  REFUSED(
      "\x80\x02"
      "ccollections\nOrderedDict\nNb.",
      "sets attributes of");
}

static void test_memo_texts_and_numbers_have_bounds(void **state) {
  (void)state;
  REFUSED("\x80\x02h\x05.", "a memo place that nothing was put in");
  REFUSED("\x80\x02j\xff\xff\xff\xff.", "a memo place that nothing was put in");
  REFUSED("\x80\x02Nr\xff\xff\xff\xff.", "a memo place over 100000");
  REFUSED("\x80\x02q\0.", "takes more from the stack");
  REFUSED(
      "\x80\x02X\xff\xff\xff\xff"
      "ab.",
      "a text over 64 KiB");
  REFUSED("\x80\x02X\xff\0\0\0ab.", "cut short");
  REFUSED(
      "\x80\x02\x8a\x09"
      "123456789.",
      "an integer over 64 bits");
  REFUSED(
      "\x80\x02"
      "cos\nsystem",
      "a name without end");
  REFUSED(
      "\x80\x02"
      "cos\nsystem\n.",
      "names os.system");
  REFUSED(
      "\x80\x02"
      "ccollections\nOrderedDict2\n.",
      "names collections.OrderedDict2");
  REFUSED("\x80\x02\xff.", "is no opcode");
  REFUSED("\x80\x02\x95\x08\0\0\0\0\0\0\0N.", "opcode FRAME");
}

static void test_ordered_dict_takes_pairs_only(void **state) {
  (void)state;
#define DICT \
  "\x80\x02" \
  "ccollections\nOrderedDict\n"
  REFUSED(DICT "N\x85R.", "of what is no list");
  REFUSED(DICT "]N\x61\x85R.", "of what are no pairs");
  REFUSED(DICT "NN\x86R.", "more than one argument");
  REFUSED(DICT "]R.", "with what is no tuple");
}

/* What a small file can ask for again and again must not take more memory than it is long. */
static void test_bombs_are_refused(void **state) {
  (void)state;
  bytes b = {0};
  add(&b, "\x80\x02", 2);
  add_many(&b, "(", 1, 65);
  refused(b.at, b.size, "marks over 64 deep");

  b.size = 2;
  add_many(&b, "N", 1, 1000001);
  refused(b.at, b.size, "more than a million opcodes");

  b.size = 2; /* one tuple of 10,000, called 1000 times */
  add(&b, "ctorch\nSize\nq\0(", 15);
  add_many(&b, "N", 1, 10000);
  add(&b, "tq\1", 3);
  add_many(&b, "h\0h\1R", 5, 1000);
  refused(b.at, b.size, "more than two million items");

  b.size = 2; /* one list of pairs, made a dictionary 1000 times */
  add(&b, "ccollections\nOrderedDict\nq\0]q\1(", 31);
  add_many(&b, "NN\x86", 3, 10000);
  add(&b, "e", 1);
  add_many(&b, "h\0h\1\x85R", 6, 1000);
  refused(b.at, b.size, "more than two million items");
  free(b.at);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_a_list_in_itself_is_read),
      cmocka_unit_test(test_a_broken_stack_is_refused),
      cmocka_unit_test(test_memo_texts_and_numbers_have_bounds),
      cmocka_unit_test(test_ordered_dict_takes_pairs_only),
      cmocka_unit_test(test_bombs_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
