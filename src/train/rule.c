/* SPDX-License-Identifier: Apache-2.0 */
#include "train/rule.h"

#include <stdint.h>
#include <string.h>

/* Floats a thread takes at a time: 64 KB, so that even 4 million biases and filters spread well
 * while the bookkeeping stays invisible beside 43 million weights. */
enum { CHUNK = 16384 };

static void rule_sgd(float *w, const float *g, size_t count, float lr) {
  for (size_t i = 0; i < count; i++) w[i] -= lr * g[i];
}

static const train_rule rules[] = {
#define RULE(name) {#name, rule_##name},
#include "train/rules.def"
#undef RULE
};

const train_rule *rule_find(const char *name) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (strcmp(name, rules[i].name) == 0) return &rules[i];
  return NULL;
}

static size_t chunk_end(size_t begin, size_t count) {
  return count - begin < CHUNK ? count : begin + CHUNK;
}

/* On the bits, so that the compiler may compare eight values at a time whatever it thinks of NaN:
 * an exponent of all ones is an infinity or a NaN. */
static bool all_finite(const float *x, size_t count) {
  int bad = 0;
  for (size_t i = 0; i < count; i++) {
    int32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    bad |= (bits & 0x7fffffff) > 0x7f7fffff;
  }
  return !bad;
}

int rule_first_not_finite(const net_params *params, const float *gradients, int threads) {
  int first = params->count;
#pragma omp parallel num_threads(threads) reduction(min : first)
  for (int p = 0; p < params->count; p++) {
    const float *g = gradients + params->at[p].offset;
    const size_t count = params->at[p].count;
#pragma omp for schedule(static) nowait
    for (size_t i = 0; i < count; i += CHUNK)
      if (!all_finite(g + i, chunk_end(i, count) - i) && p < first) first = p;
  }
  return first < params->count ? first : -1;
}

void rule_step(const train_rule *rule, const net_params *params, float *masters,
               const float *gradients, float lr, int threads) {
#pragma omp parallel num_threads(threads)
  for (int p = 0; p < params->count; p++) {
    float *w = masters + params->at[p].offset;
    const float *g = gradients + params->at[p].offset;
    const size_t count = params->at[p].count;
#pragma omp for schedule(static) nowait
    for (size_t i = 0; i < count; i += CHUNK)
      rule->update(w + i, g + i, chunk_end(i, count) - i, lr);
  }
}
