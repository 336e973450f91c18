/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onednn/compat.h"

#include <stdlib.h>

static dnnl_status_t append_relu(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0f, 0.0f);
#else
  return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
  return dnnl_post_ops_append_sum(ops, 1.0f);
#endif
}

/* An attribute with scratchpads from the caller and at most one step after the product. */
static dnnl_status_t attr_create(dnnl_primitive_attr_t *out,
                                 dnnl_status_t (*append)(dnnl_post_ops_t)) {
  dnnl_post_ops_t ops = NULL;
  dnnl_status_t st = dnnl_primitive_attr_create(out);
  if (st == dnnl_success)
    st = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
  if (st == dnnl_success && append) {
    st = dnnl_post_ops_create(&ops);
    if (st == dnnl_success) st = append(ops);
    if (st == dnnl_success) st = dnnl_primitive_attr_set_post_ops(*out, ops);
    dnnl_post_ops_destroy(ops);
  }
  return st;
}

dnnl_status_t od_lib_open(od_lib *lib) {
  *lib = (od_lib){0};
  dnnl_status_t st = dnnl_engine_create(&lib->engine, dnnl_cpu, 0);
  if (st == dnnl_success)
    st = dnnl_stream_create(&lib->stream, lib->engine, dnnl_stream_default_flags);
  if (st == dnnl_success) st = attr_create(&lib->plain, NULL);
  if (st == dnnl_success) st = attr_create(&lib->relu, append_relu);
  if (st == dnnl_success) st = attr_create(&lib->add, append_sum);
  return st;
}

void od_lib_close(od_lib *lib) {
  if (lib->plain) dnnl_primitive_attr_destroy(lib->plain);
  if (lib->relu) dnnl_primitive_attr_destroy(lib->relu);
  if (lib->add) dnnl_primitive_attr_destroy(lib->add);
  if (lib->stream) dnnl_stream_destroy(lib->stream);
  if (lib->engine) dnnl_engine_destroy(lib->engine);
  *lib = (od_lib){0};
}

dnnl_status_t od_desc_create(od_desc *out, int rank, const dnnl_dims_t dims, edge_type type,
                             dnnl_format_tag_t tag) {
  const dnnl_data_type_t t = type == EDGE_F32 ? dnnl_f32 : dnnl_bf16;
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_memory_desc_create_with_tag(out, rank, dims, t, tag);
#else
  *out = malloc(sizeof **out);
  if (!*out) return dnnl_out_of_memory;
  return dnnl_memory_desc_init_by_tag(*out, rank, dims, t, tag);
#endif
}

void od_desc_free(od_desc desc) {
#if DNNL_VERSION_MAJOR >= 3
  if (desc) dnnl_memory_desc_destroy(desc);
#else
  free(desc);
#endif
}

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t od_conv_desc(const od_lib *lib, od_pass pass, const od_conv *c,
                           dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                           dnnl_primitive_desc_t *out) {
  const dnnl_dims_t stride = {c->stride, c->stride}, pad = {c->pad, c->pad}, dilate = {0, 0};
  switch (pass) {
    case OD_FORWARD:
      return dnnl_convolution_forward_primitive_desc_create(
          out, lib->engine, dnnl_forward_training, dnnl_convolution_direct, c->x, c->w, c->b, c->y,
          stride, dilate, pad, pad, attr);
    case OD_BACKWARD_DATA:
      return dnnl_convolution_backward_data_primitive_desc_create(
          out, lib->engine, dnnl_convolution_direct, c->x, c->w, c->y, stride, dilate, pad, pad,
          hint, attr);
    default:
      return dnnl_convolution_backward_weights_primitive_desc_create(
          out, lib->engine, dnnl_convolution_direct, c->x, c->w, c->b, c->y, stride, dilate, pad,
          pad, hint, attr);
  }
}

dnnl_status_t od_matmul_desc(const od_lib *lib, od_const_desc a, od_const_desc b,
                             od_const_desc bias, od_const_desc c, dnnl_primitive_attr_t attr,
                             dnnl_primitive_desc_t *out) {
  return dnnl_matmul_primitive_desc_create(out, lib->engine, a, b, bias, c, attr);
}

dnnl_status_t od_linear_weights_desc(const od_lib *lib, od_const_desc x, od_const_desc dw,
                                     od_const_desc dy, dnnl_primitive_attr_t attr,
                                     dnnl_primitive_desc_t *out) {
  return dnnl_inner_product_backward_weights_primitive_desc_create(out, lib->engine, x, dw, NULL,
                                                                   dy, NULL, attr);
}

#else

dnnl_status_t od_conv_desc(const od_lib *lib, od_pass pass, const od_conv *c,
                           dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                           dnnl_primitive_desc_t *out) {
  const dnnl_dims_t stride = {c->stride, c->stride}, pad = {c->pad, c->pad};
  dnnl_convolution_desc_t d;
  dnnl_status_t st;
  switch (pass) {
    case OD_FORWARD:
      st = dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct,
                                              c->x, c->w, c->b, c->y, stride, pad, pad);
      break;
    case OD_BACKWARD_DATA:
      st = dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, c->x, c->w, c->y,
                                                    stride, pad, pad);
      break;
    default:
      st = dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, c->x, c->w,
                                                       c->b, c->y, stride, pad, pad);
  }
  if (st != dnnl_success) return st;
  return dnnl_primitive_desc_create(out, &d, attr, lib->engine, hint);
}

dnnl_status_t od_matmul_desc(const od_lib *lib, od_const_desc a, od_const_desc b,
                             od_const_desc bias, od_const_desc c, dnnl_primitive_attr_t attr,
                             dnnl_primitive_desc_t *out) {
  dnnl_matmul_desc_t d;
  const dnnl_status_t st = dnnl_matmul_desc_init(&d, a, b, bias, c);
  if (st != dnnl_success) return st;
  return dnnl_primitive_desc_create(out, &d, attr, lib->engine, NULL);
}

dnnl_status_t od_linear_weights_desc(const od_lib *lib, od_const_desc x, od_const_desc dw,
                                     od_const_desc dy, dnnl_primitive_attr_t attr,
                                     dnnl_primitive_desc_t *out) {
  dnnl_inner_product_desc_t d;
  const dnnl_status_t st = dnnl_inner_product_backward_weights_desc_init(&d, x, dw, NULL, dy);
  if (st != dnnl_success) return st;
  return dnnl_primitive_desc_create(out, &d, attr, lib->engine, NULL);
}

#endif
