/* SPDX-License-Identifier: Apache-2.0 */
#include "train/rule.h"

#include <math.h>

#include "base/finite.h"

/* Floats a thread takes at a time: 64 KB, so that even 4 million biases and filters spread well
 * while the bookkeeping stays invisible beside 43 million weights. */
enum { CHUNK = 16384 };

static size_t chunk_end(size_t begin, size_t count) {
  return count - begin < CHUNK ? count : begin + CHUNK;
}

int rule_first_not_finite(const net_params *params, float *const *gradients, int threads) {
  int first = params->count;
#pragma omp parallel num_threads(threads) reduction(min : first)
  for (int p = 0; p < params->count; p++) {
    const float *g = gradients[p];
    const size_t count = g ? params->at[p].count : 0;
#pragma omp for schedule(static) nowait
    for (size_t i = 0; i < count; i += CHUNK)
      if (!finite_all(g + i, chunk_end(i, count) - i) && p < first) first = p;
  }
  return first < params->count ? first : -1;
}

static double sum_of_squares(const float *x, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
  return sum;
}

/* In so many parts a parameter, added in order, whatever the number of threads. */
double rule_norm2(const net_params *params, float *const *gradients, int threads) {
  enum { PARTS = 64 };
  double all = 0;
  for (int p = 0; p < params->count; p++) {
    const float *g = gradients[p];
    const size_t count = g ? params->at[p].count : 0;
    double parts[PARTS];
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < PARTS; i++)
      parts[i] = sum_of_squares(g + count * i / PARTS, count * (i + 1) / PARTS - count * i / PARTS);
    for (int i = 0; i < PARTS; i++) all += parts[i];
  }
  return all;
}

double rule_clip(double norm2, double most) {
  const double factor = most > 0 ? most / (sqrt(norm2) + 1e-6) : 1;
  return factor < 1 ? factor : 1;
}

vgg_status rule_update(engine *e, int n, const op_rule *rule, const rule_numbers *numbers,
                       int64_t step, float *const states[], int *bad, vgg_error *err) {
  const net_params *params = &engine_plan(e)->params;
  const int threads = engine_plan(e)->env.threads;
  float *const *gradients = engine_gradients(e);
  *bad = rule_first_not_finite(params, gradients, threads);
  if (*bad < 0) *bad = engine_fused_not_finite(e, n);
  if (*bad >= 0) return VGG_OK;
  double norm2 = 0;
  if (numbers->clip_norm > 0)
    norm2 = rule_norm2(params, gradients, threads) + engine_fused_norm2(e, n);
  op_rule_args args[2 * NET_MAX_LAYERS];
  const double scale = rule_clip(norm2, numbers->clip_norm);
  for (int i = 0; i < params->count; i++)
    args[i] = op_rule_args_at(numbers->lr * (numbers->rates ? numbers->rates[i] : 1),
                              numbers->momentum, numbers->weight_decay, scale, step);
  engine_update_statistics(e, n);
  return engine_update(e, n, rule, args, states, err);
}
