/* SPDX-License-Identifier: Apache-2.0
 *
 * Architectures against published numbers: the tutorial's shapes and counts, the paper's and
 * torchvision's parameter counts, torchvision's module numbers.
 */
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/same_arch.h"

static vgg_arch *make(const char *text, const vgg_arch_options *options) {
  vgg_arch *arch = NULL;
  vgg_error err = {0};
  if (vgg_arch_from_text(text, options, &arch, &err) != VGG_OK) fail_msg("%s", err.message);
  return arch;
}

/* Counts by other people, or by the sum in the comment. */
static void test_counts(void **state) {
  (void)state;
  const vgg_arch_options imagenet = {.input = {3, 224, 224}, .classes = 1000};
  const vgg_arch_options small = {.ratio = 4};
  static const vgg_arch_options mnist = {0};
  const struct {
    const char *name;
    const vgg_arch_options *options;
    uint64_t params, macs;
  } rows[] = {
      {"vgg11", &imagenet, 132863336, 7609090048},
      {"vgg13", &imagenet, 133047848, 11308466176},
      {"vgg16", &imagenet, 138357544, 15470264320},
      {"vgg19", &imagenet, 143667240, 19632062464},
      {"vgg11", &mnist, 128806154, 7547232256},
      {"vgg16", &mnist, 134300362, 15408406528},
      {"vgg19", &mnist, 139610058, 19570204672},
      {"vgg11", &small, 43093322, 512155648},
      {"alexnet", &mnist, 46764746, 938146176},
      {"C", &imagenet, 133638952, 11770888192},
      {"A-LRN", &imagenet, 132863336, 7609090048},
      {"E", &imagenet, 143667240, 19632062464},
      {"vgg11_bn", &imagenet, 132868840, 7609090048},
      {"vgg13_bn", &imagenet, 133053736, 11308466176},
      {"vgg16_bn", &imagenet, 138365992, 15470264320},
      {"vgg19_bn", &imagenet, 143678248, 19632062464},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    vgg_arch *arch = make(rows[i].name, rows[i].options);
    assert_int_equal(vgg_arch_params(arch), rows[i].params);
    assert_int_equal(vgg_arch_macs(arch), rows[i].macs);
    uint64_t params = 0, macs = 0;
    for (int l = 0; l < vgg_arch_num_layers(arch); l++) {
      params += vgg_arch_layer(arch, l)->params;
      macs += vgg_arch_layer(arch, l)->macs;
    }
    assert_int_equal(params, rows[i].params);
    assert_int_equal(macs, rows[i].macs);
    vgg_arch_close(arch);
  }
}

static void walk(const vgg_arch *arch, char *out, size_t size) {
  size_t at = 0;
  for (int i = 0; i < vgg_arch_num_modules(arch); i++) {
    const vgg_module m = vgg_arch_module(arch, i);
    at += (size_t)snprintf(out + at, size - at, "%s", m.class_name);
    for (int d = 0; d < m.rank; d++) at += (size_t)snprintf(out + at, size - at, " %d", m.dims[d]);
    at += (size_t)snprintf(out + at, size - at, "\n");
  }
}

static void test_tutorial_walk(void **state) {
  (void)state;
  char got[2048];
  vgg_arch *arch = make("vgg11", NULL);
  walk(arch, got, sizeof got);
  vgg_arch_close(arch);
  assert_string_equal(got,
                      "Sequential 1 64 112 112\nSequential 1 128 56 56\nSequential 1 256 28 28\n"
                      "Sequential 1 512 14 14\nSequential 1 512 7 7\nFlatten 1 25088\n"
                      "Linear 1 4096\nReLU 1 4096\nDropout 1 4096\n"
                      "Linear 1 4096\nReLU 1 4096\nDropout 1 4096\nLinear 1 10\n");
  arch = make("alexnet", NULL);
  walk(arch, got, sizeof got);
  vgg_arch_close(arch);
  assert_string_equal(got,
                      "Conv2d 1 96 54 54\nReLU 1 96 54 54\nMaxPool2d 1 96 26 26\n"
                      "Conv2d 1 256 26 26\nReLU 1 256 26 26\nMaxPool2d 1 256 12 12\n"
                      "Conv2d 1 384 12 12\nReLU 1 384 12 12\nConv2d 1 384 12 12\n"
                      "ReLU 1 384 12 12\nConv2d 1 256 12 12\nReLU 1 256 12 12\n"
                      "MaxPool2d 1 256 5 5\nFlatten 1 6400\n"
                      "Linear 1 4096\nReLU 1 4096\nDropout 1 4096\n"
                      "Linear 1 4096\nReLU 1 4096\nDropout 1 4096\nLinear 1 10\n");
}

/* "0,3,6": the numbers of all modules of a type. */
static void numbers_of(const vgg_arch *arch, vgg_layer_type type, const char *prefix, char *out,
                       size_t size) {
  size_t at = 0;
  out[0] = 0;
  for (int i = 0; i < vgg_arch_num_layers(arch); i++) {
    const vgg_layer *layer = vgg_arch_layer(arch, i);
    if (layer->type != type) continue;
    assert_memory_equal(layer->module, prefix, strlen(prefix));
    at += (size_t)snprintf(out + at, size - at, "%s%s", at ? "," : "",
                           layer->module + strlen(prefix));
  }
}

/* The convolutions' numbers in torchvision/models/vgg.py as its files have them. */
static void test_torchvision_numbers(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"vgg11", "0,3,6,8,11,13,16,18"},
      {"vgg13", "0,2,5,7,10,12,15,17,20,22"},
      {"vgg16", "0,2,5,7,10,12,14,17,19,21,24,26,28"},
      {"vgg19", "0,2,5,7,10,12,14,16,19,21,23,25,28,30,32,34"},
      {"alexnet", "0,3,6,8,10"},
      {"vgg11_bn", "0,4,8,11,15,18,22,25"},
      {"vgg13_bn", "0,3,7,10,14,17,21,24,28,31"},
      {"vgg16_bn", "0,3,7,10,14,17,20,24,27,30,34,37,40"},
      {"vgg19_bn", "0,3,7,10,14,17,20,23,27,30,33,36,40,43,46,49"},
      {"vgg16_1x1", "0,2,5,7,10,12,14,17,19,21,24,26,28"},
      {"vgg11_lrn", "0,4,7,9,12,14,17,19"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int dropout = 0; dropout < 2; dropout++) { /* which must not move a number */
      char got[128];
      const vgg_arch_options options = {.dropout = dropout ? 0.5 : -1};
      vgg_arch *arch = make(rows[i][0], &options);
      numbers_of(arch, VGG_LAYER_CONV, "features.", got, sizeof got);
      assert_string_equal(got, rows[i][1]);
      numbers_of(arch, VGG_LAYER_LINEAR, "classifier.", got, sizeof got);
      assert_string_equal(got, "0,3,6");
      numbers_of(arch, VGG_LAYER_DROPOUT, "classifier.", got, sizeof got);
      assert_string_equal(got, "2,5");
      for (int l = 0; l < vgg_arch_num_layers(arch); l++)
        if (vgg_arch_layer(arch, l)->type == VGG_LAYER_DROPOUT)
          assert_true(vgg_arch_layer(arch, l)->dropout == (dropout ? 0.5 : 0));
      vgg_arch_close(arch);
    }
}

static void names_of(const vgg_arch *arch, char *out, size_t size) {
  size_t at = 0;
  for (int i = 0; i < vgg_arch_num_layers(arch); i++)
    at +=
        (size_t)snprintf(out + at, size - at, "%s%s", i ? " " : "", vgg_arch_layer(arch, i)->name);
}

static void test_names(void **state) {
  (void)state;
  char got[1024];
  vgg_arch *arch = make("vgg11", NULL);
  names_of(arch, got, sizeof got);
  vgg_arch_close(arch);
  assert_string_equal(got,
                      "conv1_1 relu1_1 pool1 conv2_1 relu2_1 pool2 "
                      "conv3_1 relu3_1 conv3_2 relu3_2 pool3 conv4_1 relu4_1 conv4_2 relu4_2 pool4 "
                      "conv5_1 relu5_1 conv5_2 relu5_2 pool5 "
                      "flatten fc6 relu6 drop6 fc7 relu7 drop7 fc8 softmax");
  arch = make("alexnet", NULL);
  names_of(arch, got, sizeof got);
  vgg_arch_close(arch);
  assert_string_equal(got,
                      "conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 "
                      "pool5 flatten fc6 relu6 drop6 fc7 relu7 drop7 fc8 softmax");
  arch = make("1x8,2x8", NULL);
  names_of(arch, got, sizeof got);
  vgg_arch_close(arch);
  assert_string_equal(got,
                      "conv1_1 relu1_1 pool1 conv2_1 relu2_1 conv2_2 relu2_2 pool2 "
                      "flatten fc3 relu3 drop3 fc4 relu4 drop4 fc5 softmax");
}

/* All ways to write the same net. */
static void test_texts(void **state) {
  (void)state;
  static const char *const texts[] = {
      "1x4,2x6",
      " 1 x 4 , 2 x 6 ,\n",
      "1x3x4,2x4x6",
      "((1, 4), (2, 6))",
      "((1, 4), (2, 6),)",
      "[[1, 4], [2, 6]]",
      "[(1, 4), (2, 6)]",
      "(\n    (1, 4),\n\t(2, 6,),\r\n)\n",
      "(1, 4), (2, 6)",
      "((1, 3, 4), (2, 4, 6))",
      "((1, 4), (2, 4, 6))",
  };
  const vgg_arch_options options = {.input = {3, 16, 20}, .hidden = 8, .classes = 3};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    vgg_arch *arch = make(texts[i], &options);
    assert_string_equal(vgg_arch_title(arch), "1x4,2x6");
    /* 3*9*4+4, 4*9*6+6, 6*9*6+6, 6*4*5*8+8, 8*8+8, 8*3+3 */
    assert_int_equal(vgg_arch_params(arch), 112 + 222 + 330 + 968 + 72 + 27);
    vgg_arch_close(arch);
  }
}

static void test_blocks_are_texts(void **state) {
  (void)state;
  const vgg_block_spec blocks[] = {vgg_block(1, 1, 64), vgg_block(1, 64, 128), vgg_block(2, 0, 256),
                                   vgg_block(2, 256, 512), vgg_block(2, 0, 512)};
  const vgg_arch_options options = {.ratio = 3}; /* 64 // 3 = 21, 128 // 3 = 42, 85, 170 */
  vgg_arch *a, *b = make("1x64,1x128,2x256,2x512,2x512", &options);
  assert_int_equal(vgg_arch_from_blocks(blocks, 5, &options, &a, NULL), VGG_OK);
  assert_true(same_arch(a, b));
  assert_int_equal(vgg_arch_layer(a, 0)->out.c, 21);
  assert_int_equal(vgg_arch_layer(a, 3)->in.c, 21);
  assert_int_equal(vgg_arch_layer(a, 3)->out.c, 42);
  /* The title and the options make the same net again. */
  vgg_arch *again = make(vgg_arch_title(a), vgg_arch_get_options(a));
  assert_true(same_arch(a, again));
  vgg_arch *copy = arch_copy(a);
  assert_true(same_arch(a, copy));
  vgg_arch_close(copy);
  vgg_arch_close(again);
  vgg_arch_close(b);
  vgg_arch_close(a);
}

static void test_defaults_and_bounds_of_getters(void **state) {
  (void)state;
  const vgg_arch_options options = {.dropout = -0.3};
  vgg_arch *arch = make("vgg13", &options);
  const vgg_arch_options *o = vgg_arch_get_options(arch);
  assert_int_equal(o->ratio, 1);
  assert_int_equal(o->input.c, 1);
  assert_int_equal(o->input.h, 224);
  assert_int_equal(o->input.w, 224);
  assert_int_equal(o->classes, 10);
  assert_int_equal(o->hidden, 4096);
  assert_true(o->dropout == -1);
  assert_null(vgg_arch_layer(arch, -1));
  assert_null(vgg_arch_layer(arch, vgg_arch_num_layers(arch)));
  assert_null(vgg_arch_module(arch, -1).class_name);
  assert_null(vgg_arch_module(arch, vgg_arch_num_modules(arch)).class_name);
  vgg_arch_close(arch);
  vgg_arch_close(NULL);
  const char *about = NULL;
  assert_string_equal(vgg_arch_name_at(10, &about), "alexnet");
  assert_non_null(about);
  assert_null(vgg_arch_name_at(11, &about));
}

static void check_layer(const vgg_arch *arch, const char *name, const char *module,
                        vgg_layer_type type, vgg_shape out) {
  const int i = vgg_arch_find(arch, name);
  const vgg_layer *layer = vgg_arch_layer(arch, i);
  assert_non_null(layer);
  assert_string_equal(layer->module, module);
  if (*module) assert_int_equal(vgg_arch_find(arch, module), i);
  assert_int_equal(layer->type, type);
  assert_int_equal(layer->out.c, out.c);
  assert_int_equal(layer->out.h, out.h);
  assert_int_equal(layer->out.w, out.w);
}

static void test_names_of_the_whole_family(void **state) {
  (void)state;
  const vgg_shape map = {256, 56, 56};
  vgg_arch *arch = make("C", NULL);
  assert_string_equal(vgg_arch_title(arch), "vgg16_1x1");
  check_layer(arch, "conv3_3", "features.14", VGG_LAYER_CONV, map);
  assert_int_equal(vgg_arch_layer(arch, vgg_arch_find(arch, "conv3_3"))->kernel, 1);
  check_layer(arch, "fc6", "classifier.0", VGG_LAYER_LINEAR, (vgg_shape){4096, 1, 1});
  vgg_arch_close(arch);
  arch = make("vgg16_bn", NULL);
  check_layer(arch, "conv3_3", "features.20", VGG_LAYER_CONV, map);
  check_layer(arch, "bn3_3", "features.21", VGG_LAYER_BATCHNORM, map);
  check_layer(arch, "relu3_3", "features.22", VGG_LAYER_RELU, map);
  check_layer(arch, "pool3", "features.23", VGG_LAYER_MAXPOOL, (vgg_shape){256, 28, 28});
  check_layer(arch, "avgpool", "avgpool", VGG_LAYER_AVGPOOL, (vgg_shape){512, 7, 7});
  assert_int_equal(vgg_arch_find(arch, ""), -1);
  assert_int_equal(vgg_arch_find(arch, "conv3_4"), -1);
  vgg_arch_close(arch);
  arch = make("A-LRN", NULL);
  check_layer(arch, "lrn1_1", "features.2", VGG_LAYER_LRN, (vgg_shape){64, 224, 224});
  assert_int_equal(vgg_arch_find(arch, "lrn2_1"), -1);
  assert_int_equal(vgg_arch_get_options(arch)->lrn, VGG_LRN_SUM);
  vgg_arch_close(arch);
  arch = make("alexnet", &(vgg_arch_options){.lrn = VGG_LRN_MEAN, .batch_norm = true});
  check_layer(arch, "bn2", "features.6", VGG_LAYER_BATCHNORM, (vgg_shape){256, 26, 26});
  check_layer(arch, "lrn2", "features.8", VGG_LAYER_LRN, (vgg_shape){256, 26, 26});
  assert_int_equal(vgg_arch_find(arch, "lrn3"), -1);
  vgg_arch_close(arch);
}

/* A name that ends in _bn is the other one with batch norm and an adaptive head. */
static void test_named_batch_norm(void **state) {
  (void)state;
  const vgg_arch_options options = {.batch_norm = true, .head = VGG_HEAD_ADAPTIVE};
  vgg_arch *a = make("vgg13_bn", NULL), *b = make("vgg13", &options);
  assert_string_equal(vgg_arch_title(a), "vgg13_bn");
  snprintf(b->title, sizeof b->title, "vgg13_bn");
  assert_true(same_arch(a, b));
  vgg_arch_close(a), vgg_arch_close(b);
}

/* All heads have the same parameters where the features fill the window. */
static void test_heads(void **state) {
  (void)state;
  char got[512];
  const vgg_head heads[] = {VGG_HEAD_FLATTEN, VGG_HEAD_ADAPTIVE, VGG_HEAD_DENSE};
  for (int i = 0; i < 3; i++) {
    vgg_arch *arch = make("vgg11", &(vgg_arch_options){.head = heads[i]});
    assert_int_equal(vgg_arch_params(arch), 128806154);
    assert_int_equal(vgg_arch_macs(arch), 7547232256);
    assert_int_equal(vgg_arch_get_options(arch)->window, i == 0 ? 0 : 7);
    vgg_arch_close(arch);
  }
  /* The paper's 384x384: a map of 6x6 classes. */
  vgg_arch *arch = make(
      "D", &(vgg_arch_options){.input = {3, 384, 320}, .classes = 1000, .head = VGG_HEAD_DENSE});
  assert_int_equal(vgg_arch_params(arch), 138357544);
  walk(arch, got, sizeof got);
  assert_string_equal(strstr(got, "Conv2d"),
                      "Conv2d 1 4096 6 4\nReLU 1 4096 6 4\nDropout 1 4096 6 4\n"
                      "Conv2d 1 4096 6 4\nReLU 1 4096 6 4\nDropout 1 4096 6 4\n"
                      "Conv2d 1 1000 6 4\nAdaptiveAvgPool2d 1 1000 1 1\nFlatten 1 1000\n");
  vgg_arch_close(arch);
  arch = make("vgg11_bn", &(vgg_arch_options){.input = {1, 32, 64}});
  walk(arch, got, sizeof got);
  assert_non_null(strstr(got,
                         "Sequential 1 512 1 2\nAdaptiveAvgPool2d 1 512 7 7\n"
                         "Flatten 1 25088\nLinear 1 4096\n"));
  vgg_arch_close(arch);
  /* A dense net of a small picture is that net on larger ones as well. */
  arch = make("1x4,1x8", &(vgg_arch_options){.input = {1, 8, 12}, .head = VGG_HEAD_DENSE});
  const vgg_arch_options small = *vgg_arch_get_options(arch);
  assert_int_equal(small.window, 2);
  vgg_arch_options large = small;
  large.input = (vgg_shape){1, 40, 40};
  vgg_arch *wide = make("1x4,1x8", &large);
  assert_int_equal(vgg_arch_params(wide), vgg_arch_params(arch));
  check_layer(wide, "fc3", "classifier.0", VGG_LAYER_CONV, (vgg_shape){4096, 9, 9});
  vgg_arch_close(arch), vgg_arch_close(wide);
}

/* A picture of the smallest legal size passes, one row less does not. */
static void test_smallest_inputs(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int least;
  } rows[] = {{"vgg11", 32}, {"1x4", 2}, {"1x4,1x4,1x4", 8}, {"alexnet", 65}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const int least = rows[i].least;
    vgg_arch_options options = {.ratio = 4, .input = {1, least, least}};
    vgg_arch_close(make(rows[i].text, &options));
    options.input.h--;
    vgg_arch *arch = NULL;
    vgg_error err;
    char wanted[128];
    snprintf(wanted, sizeof wanted,
             "input 1x%dx%d: %s shrinks it to nothing, the smallest legal input is 1x%dx%d",
             least - 1, least, rows[i].text, least, least);
    assert_int_equal(vgg_arch_from_text(rows[i].text, &options, &arch, &err), VGG_BAD_VALUE);
    assert_string_equal(err.message, wanted);
    assert_null(arch);
  }
}

#define OTHER_NAMES                                                                         \
  "vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn, vgg11_lrn, vgg16_1x1, alexnet, a letter of the " \
  "paper (A, A-LRN, B to E) or a conv_arch such as 1x64,1x128,2x256"

static void test_refused_texts(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"", "architecture \"\" is not known: wanted vgg11, vgg13, vgg16, vgg19, " OTHER_NAMES},
      {"vgg12",
       "architecture \"vgg12\" is not known: wanted vgg11, vgg13, vgg16, vgg19, " OTHER_NAMES},
      {"1", "conv_arch: ends at character 2, wanted 'x'"},
      {"1x64,1x", "conv_arch: ends at character 8, wanted a number"},
      {"1x64;1x64", "conv_arch: found ';' at character 5, wanted ',' or the end"},
      {"1x64 2x3", "conv_arch: found '2' at character 6, wanted ',' or the end"},
      {"1y64", "conv_arch: found 'y' at character 2, wanted 'x'"},
      {"1×64", "conv_arch: found byte 0xc3 at character 2, wanted 'x'"},
      {"-1x64", "conv_arch: found '-' at character 1, wanted a number"},
      {"1x99999999999999999999",
       "conv_arch: found '9' at character 7, wanted a number of at most 65536"},
      {",", "conv_arch: found ',' at character 1, wanted a number"},
      {"1x2,,1x2", "conv_arch: found ',' at character 5, wanted a number"},
      {"(1)", "conv_arch: found ')' at character 3, wanted ','"},
      {"((1, 64)", "conv_arch: ends at character 9, wanted ',' or ')'"},
      {"((1, 64],)", "conv_arch: found ']' at character 8, wanted ',' or ')'"},
      {"[(1, 64))", "conv_arch: found ')' at character 9, wanted ',' or ']'"},
      {"((1, 64)))", "conv_arch: found ')' at character 10, wanted ',' or the end"},
      {"(((1, 64)))", "conv_arch: found '(' at character 3, wanted a number"},
      {"(1,2,3,4)", "conv_arch: found '4' at character 8, wanted two or three numbers in a block"},
      {"1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1",
       "conv_arch: found '1' at character 65, wanted at most 16 blocks"},
      {"1x0", "block 1: 0 output channels, wanted 1 to 65536"},
      {"1x64,0x64", "block 2: 0 convolutions, wanted 1 to 256"},
      {"1x0x64", "conv_arch: a block takes 0 channels, wanted at least 1"},
      {"64x4,64x4", "conv_arch: 128 convolutions in all, wanted at most 122"},
      {"((1, 1, 64), (1, 63, 128))", "block 2: takes 63 channels, but block 1 gives 64"},
      {"((1, 3, 64), (1, 64, 128))", "block 1: takes 3 channels, but the picture has 1"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    vgg_arch *arch = NULL;
    vgg_error err = {0};
    assert_int_equal(vgg_arch_from_text(rows[i][0], NULL, &arch, &err), VGG_BAD_VALUE);
    assert_string_equal(err.message, rows[i][1]);
    assert_null(arch);
  }
}

static void test_refused_options(void **state) {
  (void)state;
  static const struct {
    const char *text;
    vgg_arch_options options;
    const char *message;
  } rows[] = {
      {"vgg11", {.ratio = -1}, "ratio -1: wanted 1 to 65536"},
      {"vgg11",
       {.ratio = 65},
       "block 1: 64 channels // ratio 65 leaves 0, wanted a ratio of at most 64"},
      {"1x64,1x3",
       {.ratio = 4},
       "block 2: 3 channels // ratio 4 leaves 0, wanted a ratio of at most 3"},
      {"vgg11", {.classes = -10}, "classes -10: wanted 1 to 65536"},
      {"vgg11", {.classes = 65537}, "classes 65537: wanted 1 to 65536"},
      {"vgg11", {.hidden = -1}, "hidden -1: wanted 1 to 65536"},
      {"vgg11", {.input = {0, 224, 224}}, "input channels 0: wanted 1 to 65536"},
      {"vgg11", {.input = {1, -224, 224}}, "input height -224: wanted 1 to 65536"},
      {"vgg11", {.input = {1, 224, 70000}}, "input width 70000: wanted 1 to 65536"},
      {"vgg11",
       {.input = {1, 65536, 65536}},
       "input 1x65536x65536: is over 2147483647 values, wanted a smaller one"},
      {"1x65536",
       {.input = {1, 224, 224}},
       "conv1_1: its output 65536x224x224 is over 2147483647 values an image: wanted a smaller "
       "input or fewer channels"},
      {"vgg11",
       {.head = VGG_HEAD_DENSE, .input = {1, 96, 160}, .window = 4},
       "input 1x96x160: leaves features of 3x5, the dense head's window is 4x4: the smallest legal "
       "input is 1x128x128"},
      {"vgg11", {.window = 3}, "window 3: the flatten head has none"},
      {"vgg11", {.head = (vgg_head)4}, "lrn 0, head 4: wanted values of vgg_lrn and vgg_head"},
      {"vgg11", {.dropout = 1}, "dropout 1: wanted a probability below 1"},
      {"alexnet", {.dropout = 7}, "dropout 7: wanted a probability below 1"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    vgg_arch *arch = NULL;
    vgg_error err = {0};
    assert_int_equal(vgg_arch_from_text(rows[i].text, &rows[i].options, &arch, &err),
                     VGG_BAD_VALUE);
    assert_string_equal(err.message, rows[i].message);
    assert_null(arch);
  }
  const vgg_arch_options not_a_number = {.dropout = strtod("nan", NULL)};
  vgg_arch *arch = NULL;
  assert_int_equal(vgg_arch_from_text("vgg11", &not_a_number, &arch, NULL), VGG_BAD_VALUE);
  const vgg_block_spec block = vgg_block(1, 0, 4);
  vgg_error err;
  assert_int_equal(vgg_arch_from_blocks(&block, 0, NULL, &arch, &err), VGG_BAD_VALUE);
  assert_string_equal(err.message, "conv_arch: 0 blocks, wanted 1 to 16");
  const vgg_block_spec negative = vgg_block(1, -1, 4);
  assert_int_equal(vgg_arch_from_blocks(&negative, 1, NULL, &arch, &err), VGG_BAD_VALUE);
  assert_string_equal(err.message, "block 1: takes -1 channels, but the picture has 1");
  assert_null(arch);
}

/* The largest numbers that pass: no count wraps. */
static void test_largest(void **state) {
  (void)state;
  const vgg_arch_options options = {.input = {1, 4096, 8}, .hidden = 65536, .classes = 65536};
  vgg_arch *arch = make("1x65535", &options);
  /* fc2: 65535 * 2048 * 4 inputs */
  assert_int_equal(vgg_arch_layer(arch, 4)->params, 536862720ull * 65536 + 65536);
  vgg_arch_close(arch);
  const vgg_arch_options wide = {.input = {1, 65536, 65536 / 4}};
  arch = make("1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1", &wide);
  assert_int_equal(vgg_arch_num_modules(arch), 14 + 8);
  vgg_arch_close(arch);
  arch = make("100x1,21x1", NULL); /* the most layers */
  assert_true(vgg_arch_num_layers(arch) <= NET_MAX_LAYERS);
  assert_string_equal(vgg_arch_layer(arch, 198)->name, "conv1_100");
  vgg_arch_close(arch);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts),
      cmocka_unit_test(test_tutorial_walk),
      cmocka_unit_test(test_torchvision_numbers),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_texts),
      cmocka_unit_test(test_blocks_are_texts),
      cmocka_unit_test(test_defaults_and_bounds_of_getters),
      cmocka_unit_test(test_names_of_the_whole_family),
      cmocka_unit_test(test_named_batch_norm),
      cmocka_unit_test(test_heads),
      cmocka_unit_test(test_smallest_inputs),
      cmocka_unit_test(test_refused_texts),
      cmocka_unit_test(test_refused_options),
      cmocka_unit_test(test_largest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
