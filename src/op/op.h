/* SPDX-License-Identifier: Apache-2.0
 *
 * What each layer means: plain loops, the reference that every backend is measured against.
 *
 * Each operation exists for float (the `reference` backend) and double (the oracle of all tests),
 * from one source: op_*_f32 and op_*_f64.
 *
 * Alphabet of cuDNN: N images, C channels in, K channels out, H W in, P Q out, R S filter; the
 * gradient of `x` is `dx`. Activations [N][H][W][C]; filters [K][R][S][C]; linear weights [K][C].
 * Every sum has one fixed order: no result depends on threads or on the processor.
 */
#ifndef OP_OP_H
#define OP_OP_H

#include <stddef.h>
#include <stdint.h>

typedef struct op_conv_dims {
  int N, C, H, W; /* input */
  int K, R, S;    /* filter */
  int stride, pad;
  int P, Q; /* output: P = (H + 2 pad - R) / stride + 1 */
} op_conv_dims;

/* A max-pool of windows that lie wholly inside the picture (floor mode, no padding). */
typedef struct op_pool_dims {
  int N, C, H, W;
  int size, stride;
  int P, Q; /* P = (H - size) / stride + 1 */
} op_pool_dims;

enum { OP_MAX_POOL = 16 }; /* a place in the window fits a byte */

typedef struct op_linear_dims {
  int N, C, K; /* rows, units in, units out */
} op_linear_dims;

/* An average over windows that cover the picture: row p of P is the mean of rows
 * floor(p H / P) .. ceil((p + 1) H / P) - 1, as PyTorch's AdaptiveAvgPool2d. */
typedef struct op_average_dims {
  int N, C, H, W, P, Q;
} op_average_dims;

/* x [rows][C], normalised over rows. */
typedef struct op_norm_dims {
  size_t rows;
  int C;
} op_norm_dims;

/* x [rows][C]; the sum of c goes over channels c - size / 2 .. c + (size - 1) / 2 that exist. */
typedef struct op_lrn_dims {
  size_t rows;
  int C, size;
  double alpha, beta, k; /* alpha: of the sum, not of the mean */
} op_lrn_dims;

/* P or Q for one direction: floor((in + 2 pad - window) / stride) + 1; 0 when the window does not
 * fit. */
int op_out_size(int in, int window, int stride, int pad);

/* Window i of op_average_dims along a side of `size` that becomes `count`: *begin .. *end - 1. */
void op_average_window(int i, int size, int count, int *begin, int *end);

/* The operations, once for each `real` type, with these meanings:
 *
 * conv_forward           y = x * w + b, zero padding
 * conv_backward_data     dx = dy * w transposed (written, not added)
 * conv_backward_weights  dw, db = sums over images and pixels (written, not added)
 * relu_forward           y = x > 0 ? x : 0, NaN stays NaN; in place allowed
 * relu_backward          dx = y > 0 ? dy : 0, from the output y; in place allowed
 * maxpool_forward        y and index: the place of the maximum in its window, r * size + s; the
 *                        first one in row-major order; NaN wins and the first NaN stays;
 *                        index may be NULL; size <= OP_MAX_POOL
 * maxpool_backward       dx = 0, then dx[winner] += dy
 * average_forward        y = means of windows
 * average_backward       dx = 0, then each pixel of a window += dy / its pixels
 * norm_statistics        mean and variance (of the population) of each channel, summed in double
 * norm_forward           y = (x - mean) / sqrt(variance + eps) * scale + shift
 * norm_backward          dx, dscale, dshift where mean and variance are x's own; dx, or dscale and
 *                        dshift, may be NULL
 * lrn_forward            y = x s^-beta, s = k + alpha * sum of squares
 * lrn_backward           dx
 * linear_forward         y = x w^T + b;  linear_backward_data  dx = dy w;
 * linear_backward_weights  dw = dy^T x, db = column sums of dy (written, not added)
 * dropout                y = mask ? x * scale : 0, mask [N][C] of 0 and 1; backward is the same
 * softmax_loss           sum over rows of -log softmax(logits)[label] (max subtracted first);
 *                        dlogits, if not NULL, = (softmax - onehot) * grad_scale
 */
#define OP_DECLARE(real, suffix)                                                                   \
  void op_conv_forward_##suffix(const op_conv_dims *d, const real *x, const real *w,               \
                                const real *b, real *y);                                           \
  void op_conv_backward_data_##suffix(const op_conv_dims *d, const real *dy, const real *w,        \
                                      real *dx);                                                   \
  void op_conv_backward_weights_##suffix(const op_conv_dims *d, const real *x, const real *dy,     \
                                         real *dw, real *db);                                      \
  void op_relu_forward_##suffix(size_t count, const real *x, real *y);                             \
  void op_relu_backward_##suffix(size_t count, const real *y, const real *dy, real *dx);           \
  void op_maxpool_forward_##suffix(const op_pool_dims *d, const real *x, real *y, uint8_t *index); \
  void op_maxpool_backward_##suffix(const op_pool_dims *d, const uint8_t *index, const real *dy,   \
                                    real *dx);                                                     \
  void op_average_forward_##suffix(const op_average_dims *d, const real *x, real *y);              \
  void op_average_backward_##suffix(const op_average_dims *d, const real *dy, real *dx);           \
  void op_norm_statistics_##suffix(const op_norm_dims *d, const real *x, real *mean,               \
                                   real *variance);                                                \
  void op_norm_forward_##suffix(const op_norm_dims *d, const real *x, const real *mean,            \
                                const real *variance, real eps, const real *scale,                 \
                                const real *shift, real *y);                                       \
  void op_norm_backward_##suffix(const op_norm_dims *d, const real *x, const real *dy,             \
                                 const real *mean, const real *variance, real eps,                 \
                                 const real *scale, real *dx, real *dscale, real *dshift);         \
  void op_lrn_forward_##suffix(const op_lrn_dims *d, const real *x, real *y);                      \
  void op_lrn_backward_##suffix(const op_lrn_dims *d, const real *x, const real *dy, real *dx);    \
  void op_linear_forward_##suffix(const op_linear_dims *d, const real *x, const real *w,           \
                                  const real *b, real *y);                                         \
  void op_linear_backward_data_##suffix(const op_linear_dims *d, const real *dy, const real *w,    \
                                        real *dx);                                                 \
  void op_linear_backward_weights_##suffix(const op_linear_dims *d, const real *x, const real *dy, \
                                           real *dw, real *db);                                    \
  void op_dropout_##suffix(size_t count, const uint8_t *mask, real scale, const real *x, real *y); \
  real op_softmax_loss_##suffix(int N, int K, const real *logits, const int32_t *labels,           \
                                real grad_scale, real *dlogits);

OP_DECLARE(float, f32)
OP_DECLARE(double, f64)
#undef OP_DECLARE

#endif
