/* SPDX-License-Identifier: Apache-2.0
 *
 * A oneDNN primitive with its memory objects, made once and run on any buffers.
 */
#ifndef BACKEND_ONEDNN_PRIM_H
#define BACKEND_ONEDNN_PRIM_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/onednn/compat.h"

enum { OD_MAX_ARGS = 6 };

typedef struct od_prim {
  dnnl_primitive_t primitive;
  int count; /* arguments; one more, the scratchpad, follows them */
  dnnl_exec_arg_t args[OD_MAX_ARGS];
  const void *bound[OD_MAX_ARGS]; /* the buffers they point to now */
  size_t scratch;                 /* bytes of scratchpad */
} od_prim;

/* Makes `p` from `pd`, which it does not keep. args [count] are DNNL_ARG_*: the order in which
 * od_prim_run takes buffers. */
dnnl_status_t od_prim_create(od_prim *p, const od_lib *lib, const_dnnl_primitive_desc_t pd,
                             const int *args, int count);

/* Converts between two descriptors; buffers: source, destination. */
dnnl_status_t od_prim_create_reorder(od_prim *p, const od_lib *lib, od_const_desc from,
                                     od_const_desc to);
void od_prim_destroy(od_prim *p); /* accepts a zeroed one */

/* Runs to the end on buffers [p->count] and scratch [p->scratch]; false on a fault inside. */
bool od_prim_run(od_prim *p, const od_lib *lib, const void *const *buffers, void *scratch);

/* The implementation's name, e.g. "brgconv:avx512_core_bf16"; lent by pd. */
const char *od_impl_name(const_dnnl_primitive_desc_t pd);

/* The descriptor of one argument; lent by pd. */
od_const_desc od_arg_desc(const_dnnl_primitive_desc_t pd, int arg);

#endif
