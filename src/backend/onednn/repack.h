/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear weights into the layouts of oneDNN's matrix kernels, both in one walk over the masters at
 * memory speed (oneDNN's own conversions reach a tenth of it).
 *
 * A factor B [A][B] is cut into tiles of 64 columns; a tile's rows follow one another:
 *
 *   fp32  BA16a64b    [B/64][A][64]
 *   bf16  BA16a64b2a  [B/64][A/2][64][2]    pairs of rows, as vdpbf16ps wants them
 *
 * Forward's B is w transposed, [C][K]; backward-data's is w itself, [K][C].
 */
#ifndef BACKEND_ONEDNN_REPACK_H
#define BACKEND_ONEDNN_REPACK_H

#include <stdbool.h>

#include "backend/onednn/compat.h"

/* w [K][C] -> forward, data (NULL: not wanted), 64-byte aligned; K and C multiples of OD_TILE. */
typedef void od_repack(int K, int C, const float *w, void *forward, void *data, int threads);

enum { OD_TILE = 64 };

void od_repack_f32_avx512(int K, int C, const float *w, void *forward, void *data, int threads);
void od_repack_bf16_avx512bf16(int K, int C, const float *w, void *forward, void *data,
                               int threads);

/* The function that writes exactly these layouts; NULL when there is none. data may be NULL. */
od_repack *od_repack_for(int K, int C, edge_type type, cpu_isa isa, od_const_desc forward,
                         od_const_desc data);

#endif
