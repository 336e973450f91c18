/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NET_SAME_ARCH_H
#define TESTS_NET_SAME_ARCH_H

#include <string.h>

#include "net/net.h"

static inline bool same_shape(vgg_shape a, vgg_shape b) {
  return a.c == b.c && a.h == b.h && a.w == b.w;
}

static inline bool same_layer(const vgg_layer *a, const vgg_layer *b) {
  return a->type == b->type && !strcmp(a->name, b->name) && !strcmp(a->module, b->module) &&
         a->block == b->block && same_shape(a->in, b->in) && same_shape(a->out, b->out) &&
         a->kernel == b->kernel && a->stride == b->stride && a->pad == b->pad &&
         a->dropout == b->dropout && a->params == b->params && a->macs == b->macs;
}

static inline bool same_options(const vgg_arch_options *a, const vgg_arch_options *b) {
  return a->ratio == b->ratio && same_shape(a->input, b->input) && a->classes == b->classes &&
         a->hidden == b->hidden && a->dropout == b->dropout && a->batch_norm == b->batch_norm &&
         a->lrn == b->lrn && a->head == b->head && a->window == b->window;
}

/* Field by field: bytes between fields may differ. */
static inline bool same_arch(const vgg_arch *a, const vgg_arch *b) {
  bool same = !strcmp(a->title, b->title) && same_options(&a->options, &b->options) &&
              a->num_layers == b->num_layers && a->num_modules == b->num_modules &&
              a->params == b->params && a->macs == b->macs;
  for (int i = 0; same && i < a->num_layers; i++) same = same_layer(&a->layers[i], &b->layers[i]);
  for (int i = 0; same && i < a->num_modules; i++) {
    const vgg_module *m = &a->modules[i], *n = &b->modules[i];
    same = !strcmp(m->class_name, n->class_name) && m->first_layer == n->first_layer &&
           m->num_layers == n->num_layers && m->rank == n->rank &&
           !memcmp(m->dims, n->dims, sizeof m->dims);
  }
  return same;
}

#endif
