/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onednn/repack.h"

#include <stddef.h>

static bool is_tiled(od_const_desc desc, int rows, int columns, edge_type type) {
  const dnnl_dims_t dims = {rows, columns};
  od_desc tiled = NULL;
  const bool same =
      od_desc_create(&tiled, 2, dims, type, type == EDGE_BF16 ? dnnl_BA16a64b2a : dnnl_BA16a64b) ==
          dnnl_success &&
      dnnl_memory_desc_equal(desc, tiled);
  od_desc_free(tiled);
  return same;
}

od_repack *od_repack_for(int K, int C, edge_type type, cpu_isa isa, od_const_desc forward,
                         od_const_desc data) {
  od_repack *fast = NULL;
#if defined(__x86_64__)
  if (type == EDGE_F32 && isa >= CPU_AVX512) fast = od_repack_f32_avx512;
  if (type == EDGE_BF16 && isa >= CPU_AVX512BF16) fast = od_repack_bf16_avx512bf16;
#else
  (void)isa;
#endif
  if (!fast || K % OD_TILE || C % OD_TILE) return NULL;
  if (!is_tiled(forward, C, K, type) || (data && !is_tiled(data, K, C, type))) return NULL;
  return fast;
}
