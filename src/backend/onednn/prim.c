/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onednn/prim.h"

const char *od_impl_name(const_dnnl_primitive_desc_t pd) {
  const char *name = "unknown";
  dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name);
  return name;
}

od_const_desc od_arg_desc(const_dnnl_primitive_desc_t pd, int arg) {
  return dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
}

dnnl_status_t od_prim_create(od_prim *p, const od_lib *lib, const_dnnl_primitive_desc_t pd,
                             const int *args, int count) {
  *p = (od_prim){.count = count};
  for (int i = 0; i <= count; i++) {
    const int arg = i < count ? args[i] : DNNL_ARG_SCRATCHPAD;
    const od_const_desc desc = od_arg_desc(pd, arg);
    if (!desc) return dnnl_runtime_error;
    if (i == count) p->scratch = dnnl_memory_desc_get_size(desc);
    p->args[i].arg = arg;
    const dnnl_status_t st =
        dnnl_memory_create(&p->args[i].memory, desc, lib->engine, DNNL_MEMORY_NONE);
    if (st != dnnl_success) return st;
  }
  return dnnl_primitive_create(&p->primitive, pd);
}

dnnl_status_t od_prim_create_reorder(od_prim *p, const od_lib *lib, od_const_desc from,
                                     od_const_desc to) {
  static const int args[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
  dnnl_primitive_desc_t pd = NULL;
  dnnl_status_t st =
      dnnl_reorder_primitive_desc_create(&pd, from, lib->engine, to, lib->engine, lib->plain);
  if (st != dnnl_success) return st;
  st = od_prim_create(p, lib, pd, args, 2);
  dnnl_primitive_desc_destroy(pd);
  return st;
}

void od_prim_destroy(od_prim *p) {
  for (int i = 0; i < OD_MAX_ARGS; i++)
    if (p->args[i].memory) dnnl_memory_destroy(p->args[i].memory);
  if (p->primitive) dnnl_primitive_destroy(p->primitive);
  *p = (od_prim){0};
}

bool od_prim_run(od_prim *p, const od_lib *lib, const void *const *buffers, void *scratch) {
  for (int i = 0; i <= p->count; i++) {
    const void *buffer = i < p->count ? buffers[i] : scratch;
    /* Setting a handle makes oneDNN zero the descriptor's padding again: only when it moves. */
    if (p->bound[i] == buffer) continue;
    if (dnnl_memory_set_data_handle(p->args[i].memory, (void *)buffer) != dnnl_success)
      return false;
    p->bound[i] = buffer;
  }
  return dnnl_primitive_execute(p->primitive, lib->stream, p->count + 1, p->args) == dnnl_success &&
         dnnl_stream_wait(lib->stream) == dnnl_success;
}
