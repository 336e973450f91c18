/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operations mean where it is easy to be wrong: shapes, order, ties, NaN, extremes. The
 * wanted numbers are worked out by hand, or are those of PyTorch. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "op/op.h"

static void shapes(void **state) {
  (void)state;
  assert_int_equal(op_out_size(224, 3, 1, 1), 224);
  assert_int_equal(op_out_size(224, 11, 4, 1), 54); /* the book's AlexNet */
  assert_int_equal(op_out_size(54, 3, 2, 0), 26);
  assert_int_equal(op_out_size(7, 2, 2, 0), 3);
  assert_int_equal(op_out_size(3, 3, 2, 0), 1);
  assert_int_equal(op_out_size(1, 3, 1, 1), 1);
  assert_int_equal(op_out_size(2, 3, 2, 0), 0);
  assert_int_equal(op_out_size(1, 2, 2, 0), 0);
  assert_int_equal(op_out_size(INT_MAX, 3, 1, 1), INT_MAX);
}

/* Nets call it convolution, but the filter is not turned round: a lone 1 in the picture brings out
 * the filter turned round. */
static void conv_is_correlation(void **state) {
  (void)state;
  const op_conv_dims d = {.N = 1,
                          .C = 1,
                          .H = 3,
                          .W = 3,
                          .K = 1,
                          .R = 3,
                          .S = 3,
                          .stride = 1,
                          .pad = 1,
                          .P = 3,
                          .Q = 3};
  const double x[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0}, w[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, b[1] = {10};
  double y[9];
  op_conv_forward_f64(&d, x, w, b, y);
  for (int i = 0; i < 9; i++) assert_true(y[i] == 10 + w[8 - i]);
}

/* A 2x3 picture of two channels, two 1x2 filters: every order of dimensions shows. */
static void conv_layouts(void **state) {
  (void)state;
  const op_conv_dims d = {.N = 1,
                          .C = 2,
                          .H = 2,
                          .W = 3,
                          .K = 2,
                          .R = 1,
                          .S = 2,
                          .stride = 1,
                          .pad = 0,
                          .P = 2,
                          .Q = 2};
  const float x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const float w[8] = {1, 10, 100, 1000, 0, 1, 0, -1}, b[2] = {0, 0.5f};
  const float want[8] = {4321, -1.5f, 6543, -1.5f, 10987, -1.5f, 13209, -1.5f};
  float y[8];
  op_conv_forward_f32(&d, x, w, b, y);
  for (int i = 0; i < 8; i++) assert_true(y[i] == want[i]);
}

static void linear_layouts(void **state) {
  (void)state;
  const op_linear_dims d = {.N = 2, .C = 3, .K = 2};
  const float x[6] = {1, 2, 3, 4, 5, 6}, w[6] = {1, 10, 100, 0, 0, -1}, b[2] = {0.5f, 0};
  const float want[4] = {321.5f, -3, 654.5f, -6};
  float y[4];
  op_linear_forward_f32(&d, x, w, b, y);
  for (int i = 0; i < 4; i++) assert_true(y[i] == want[i]);
}

static void relu_at_zero_and_nan(void **state) {
  (void)state;
  const float x[6] = {-1, -0.0f, 0, 2, NAN, -INFINITY}, one[6] = {1, 1, 1, 1, 1, 1};
  float y[6], dx[6];
  op_relu_forward_f32(6, x, y);
  assert_true(y[0] == 0 && y[1] == 0 && !signbit(y[1]) && y[2] == 0 && y[3] == 2 && isnan(y[4]) &&
              y[5] == 0);
  op_relu_backward_f32(6, y, one, dx);
  const float want[6] = {0, 0, 0, 1, 0, 0};
  assert_memory_equal(dx, want, sizeof want);
}

static void pool_ties_and_nan(void **state) {
  (void)state;
  static const struct {
    float window[4];
    int winner;
  } rows[] = {
      {{1, 1, 1, 1}, 0},
      {{1, 2, 2, 0}, 1},
      {{0, -0.0f, 0, 0}, 0},
      {{-0.0f, 0, 0, 0}, 0}, /* -0 and 0 are equal: the first wins */
      {{-3, -4, -2, -2}, 2},
      {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}, 0},
      {{1, INFINITY, NAN, INFINITY}, 2},
      {{1, NAN, 3, NAN}, 1},
      {{NAN, 9, NAN, INFINITY}, 0},
  };
  const op_pool_dims d = {.N = 1, .C = 1, .H = 2, .W = 2, .size = 2, .stride = 2, .P = 1, .Q = 1};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const float *window = rows[i].window;
    const double wide[4] = {window[0], window[1], window[2], window[3]};
    float y, dx[4];
    const float dy = 5;
    double y64;
    uint8_t index = 99, index64 = 99;
    op_maxpool_forward_f32(&d, window, &y, &index);
    op_maxpool_forward_f64(&d, wide, &y64, &index64);
    assert_int_equal(index, rows[i].winner);
    assert_int_equal(index64, rows[i].winner);
    assert_memory_equal(&y, &window[rows[i].winner], sizeof y);
    op_maxpool_backward_f32(&d, &index, &dy, dx);
    for (int j = 0; j < 4; j++) assert_true(dx[j] == (j == rows[i].winner ? 5 : 0));
  }
}

/* Windows that share their winner add up there. */
static void pool_overlap_adds(void **state) {
  (void)state;
  const op_pool_dims d = {.N = 1, .C = 1, .H = 5, .W = 5, .size = 3, .stride = 2, .P = 2, .Q = 2};
  float x[25] = {0}, y[4], dx[25];
  const float dy[4] = {1, 10, 100, 1000};
  uint8_t index[4];
  x[12] = 1; /* the middle, in all four windows */
  op_maxpool_forward_f32(&d, x, y, index);
  assert_true(index[0] == 8 && index[1] == 6 && index[2] == 2 && index[3] == 0);
  op_maxpool_backward_f32(&d, index, dy, dx);
  for (int i = 0; i < 25; i++) assert_true(dx[i] == (i == 12 ? 1111 : 0));
}

/* Five columns become three: 0..1, 1..3, 3..4, as PyTorch's AdaptiveAvgPool2d; one becomes two
 * equal ones. */
static void average_windows(void **state) {
  (void)state;
  const op_average_dims d = {.N = 1, .C = 1, .H = 1, .W = 5, .P = 2, .Q = 3};
  const float x[5] = {1, 2, 4, 6, 10}, want[6] = {1.5f, 4, 8, 1.5f, 4, 8};
  const float dy[6] = {2, 3, 4, 0, 3, 0}, back[5] = {1, 3, 2, 4, 2};
  float y[6], dx[5];
  op_average_forward_f32(&d, x, y);
  assert_memory_equal(y, want, sizeof want);
  op_average_backward_f32(&d, dy, dx);
  assert_memory_equal(dx, back, sizeof back);
}

/* The variance is the population's; a channel far from 0 keeps its digits. */
static void norm_by_hand(void **state) {
  (void)state;
  const op_norm_dims d = {.rows = 4, .C = 2};
  const float x[8] = {1, 1e6f, 3, 1e6f + 2, 5, 1e6f, 7, 1e6f + 2}, scale[2] = {2, 1};
  const float shift[2] = {10, 0};
  float mean[2], variance[2], y[8];
  op_norm_statistics_f32(&d, x, mean, variance);
  assert_true(mean[0] == 4 && variance[0] == 5 && mean[1] == 1e6f + 1 && variance[1] == 1);
  op_norm_forward_f32(&d, x, mean, variance, 4, scale, shift, y);
  const float want[4] = {8, 10 - 2 / 3.0f, 10 + 2 / 3.0f, 12}; /* sqrt(5 + 4) = 3 */
  for (int i = 0; i < 4; i++) assert_float_equal(y[2 * i], want[i], 1e-6f);
  assert_float_equal(y[1], -1 / sqrtf(5), 1e-6f);
}

/* Krizhevsky's formula at the rim and inside: s = 2 + a * the squares of up to five. */
static void lrn_by_hand(void **state) {
  (void)state;
  const op_lrn_dims d = {.rows = 1, .C = 6, .size = 5, .alpha = 0.5, .beta = 0.75, .k = 2};
  const double x[6] = {1, -2, 3, 0, 1, 2}, sums[6] = {14, 14, 15, 18, 14, 5};
  double y[6];
  op_lrn_forward_f64(&d, x, y);
  for (int c = 0; c < 6; c++)
    assert_float_equal((float)y[c], (float)(x[c] * pow(2 + 0.5 * sums[c], -0.75)), 1e-7f);
}

static void dropout_scales(void **state) {
  (void)state;
  const float x[4] = {1, 2, NAN, -4};
  const uint8_t mask[4] = {1, 0, 0, 1};
  const float want[4] = {2, 0, 0, -8};
  float y[4];
  op_dropout_f32(4, mask, 2, x, y);
  assert_memory_equal(y, want, sizeof want);
}

static void loss_of_extreme_logits(void **state) {
  (void)state;
  const int32_t first = 0, second = 1;
  const double far[2] = {1000, 0};
  double g[2];
  assert_true(op_softmax_loss_f64(1, 2, far, &first, 1, g) == 0);
  assert_true(g[0] == 0 && g[1] == 0);
  assert_true(op_softmax_loss_f64(1, 2, far, &second, 1, g) == 1000);
  assert_true(g[0] == 1 && g[1] == -1);
  const float huge[3] = {-3e38f, 3e38f, 3e38f};
  assert_float_equal(op_softmax_loss_f32(1, 3, huge, &second, 1, NULL), logf(2), 1e-6f);
  const float near[2] = {0, 20}; /* log1p(exp(-20)) is lost where 1 + exp(-20) is a float */
  assert_float_equal(op_softmax_loss_f32(1, 2, near, &second, 1, NULL), 2.0611537e-9f, 1e-13f);
  const float bad[2] = {NAN, 0};
  assert_true(isnan(op_softmax_loss_f32(1, 2, bad, &first, 1, NULL)));
}

static void loss_is_a_sum_over_rows(void **state) {
  (void)state;
  const float same[20] = {0};
  const int32_t labels[2] = {3, 9};
  float g[20];
  assert_float_equal(op_softmax_loss_f32(2, 10, same, labels, 0.5f, g), 2 * logf(10), 1e-6f);
  for (int i = 0; i < 20; i++) assert_float_equal(g[i], i == 3 || i == 19 ? -0.45f : 0.05f, 1e-8f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes),
      cmocka_unit_test(conv_is_correlation),
      cmocka_unit_test(conv_layouts),
      cmocka_unit_test(linear_layouts),
      cmocka_unit_test(relu_at_zero_and_nan),
      cmocka_unit_test(pool_ties_and_nan),
      cmocka_unit_test(pool_overlap_adds),
      cmocka_unit_test(average_windows),
      cmocka_unit_test(norm_by_hand),
      cmocka_unit_test(lrn_by_hand),
      cmocka_unit_test(dropout_scales),
      cmocka_unit_test(loss_of_extreme_logits),
      cmocka_unit_test(loss_is_a_sum_over_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
