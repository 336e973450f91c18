/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear weights into oneDNN's layouts, byte for byte as repack.h draws them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/run.h"
#include "base/bf16.h"
#include "checkkernel.h"

#if defined(VGG_HAVE_ONEDNN) && defined(__x86_64__)
#include "backend/onednn/repack.h"

static const struct {
  const char *name;
  cpu_isa isa;
  edge_type type;
  od_repack *run;
} rows[] = {{"repack_f32_avx512", CPU_AVX512, EDGE_F32, od_repack_f32_avx512},
            {"repack_bf16_avx512bf16", CPU_AVX512BF16, EDGE_BF16, od_repack_bf16_avx512bf16}};

/* Where element (a, b) of a factor [A][..] stands. */
static size_t place(edge_type type, int A, int a, int b) {
  const size_t tile = (size_t)(b / OD_TILE) * A * OD_TILE;
  if (type == EDGE_F32) return tile + (size_t)a * OD_TILE + b % OD_TILE;
  return tile + (size_t)(a / 2 * OD_TILE + b % OD_TILE) * 2 + a % 2;
}

static void expect(edge_type type, const buffer *got, size_t at, float w) {
  const float wanted = type == EDGE_F32 ? w : bf16_to_float(bf16_from_float(w));
  const float found = buffer_at(type, got, at);
  assert_memory_equal(&found, &wanted, sizeof wanted);
}

static void check_size(size_t row, int K, int C, uint32_t state) {
  const edge_type type = rows[row].type;
  const size_t count = (size_t)K * C;
  buffer w = buffer_create(count * sizeof(float));
  buffer forward = buffer_create(count * edge_size(type));
  buffer data = buffer_create(count * edge_size(type));
  float *values = (float *)(void *)w.data;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    values[i] = (float)(int32_t)state * 0x1p-31f;
  }
  rows[row].run(K, C, values, forward.data, NULL, 1);
  rows[row].run(K, C, values, forward.data, data.data, 3);
  for (int k = 0; k < K; k++)
    for (int c = 0; c < C; c++) {
      expect(type, &forward, place(type, C, c, k), values[(size_t)k * C + c]);
      expect(type, &data, place(type, K, k, c), values[(size_t)k * C + c]);
    }
  buffer_close(&w, "w"), buffer_close(&forward, "forward"), buffer_close(&data, "data");
}

void check_repack(const check_options *o) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!check_wants(o, rows[i].name, rows[i].isa)) continue;
    check_size(i, OD_TILE, OD_TILE, (uint32_t)o->seed);
    check_size(i, 3 * OD_TILE, OD_TILE, (uint32_t)o->seed);
    check_size(i, 2 * OD_TILE, 5 * OD_TILE, (uint32_t)o->seed);
    printf("%s: forward's and backward-data's tiles, byte for byte\n", rows[i].name);
  }
}
#else
void check_repack(const check_options *o) {
  (void)o;
  printf("repack: not in this build\n");
}
#endif
