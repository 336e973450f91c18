/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN 2.x and 3.x behind one face.
 *
 * 2.x has memory descriptors by value and a description of each operation; 3.x has opaque
 * descriptors and builds a primitive descriptor in one call. Here a descriptor is a pointer in
 * both. Functions return oneDNN's status: dnnl_unimplemented means "no kernel for this".
 */
#ifndef BACKEND_ONEDNN_COMPAT_H
#define BACKEND_ONEDNN_COMPAT_H

#include <dnnl.h>

#include "backend/backend.h"

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t od_desc;
typedef const_dnnl_memory_desc_t od_const_desc;
#else
typedef dnnl_memory_desc_t *od_desc;
typedef const dnnl_memory_desc_t *od_const_desc;
#endif

/* What a stage holds of the library. */
typedef struct od_lib {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_attr_t plain, relu, add; /* after the product: nothing, ReLU, += */
} od_lib;

dnnl_status_t od_lib_open(od_lib *lib);
void od_lib_close(od_lib *lib); /* accepts a zeroed one */

/* Owned by the caller: od_desc_free (accepts NULL). */
dnnl_status_t od_desc_create(od_desc *out, int rank, const dnnl_dims_t dims, edge_type type,
                             dnnl_format_tag_t tag);
void od_desc_free(od_desc desc);

/* A convolution's descriptors: src and dst in the edges' layout, weights in the one wanted or
 * `any`. */
typedef struct od_conv {
  od_const_desc x, w, b, y;
  int stride, pad;
} od_conv;

typedef enum od_pass { OD_FORWARD, OD_BACKWARD_DATA, OD_BACKWARD_WEIGHTS } od_pass;

/* The descriptor of one pass. `hint`: the forward's, for the two backward passes. */
dnnl_status_t od_conv_desc(const od_lib *lib, od_pass pass, const od_conv *c,
                           dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                           dnnl_primitive_desc_t *out);

/* c = a b + bias; bias may be NULL. */
dnnl_status_t od_matmul_desc(const od_lib *lib, od_const_desc a, od_const_desc b,
                             od_const_desc bias, od_const_desc c, dnnl_primitive_attr_t attr,
                             dnnl_primitive_desc_t *out);

/* dw [K][C] = dy^T x for x [n][C], dy [n][K], by the inner product's own kernels; buffers x, dy,
 * dw. */
dnnl_status_t od_linear_weights_desc(const od_lib *lib, od_const_desc x, od_const_desc dw,
                                     od_const_desc dy, dnnl_primitive_attr_t attr,
                                     dnnl_primitive_desc_t *out);

#endif
