/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of architectures: from text to runs of convolutions, from runs to layers.
 */
#ifndef NET_ARCH_BUILD_H
#define NET_ARCH_BUILD_H

#include "net/net.h"

/* Every side, channel and unit count is at most ARCH_MAX_SIDE and every activation holds at most
 * INT_MAX values, so that no product of shapes below overflows 64 bits. A pool at least halves a
 * side, so 16 blocks are the most that a legal picture survives. */
enum { ARCH_MAX_SIDE = 65536, ARCH_MAX_BLOCKS = 16 };

/* See archs.def. */
typedef enum arch_kind { ARCH_BLOCKS, ARCH_BN, ARCH_LRN, ARCH_FLAT } arch_kind;

/* Equal convolutions, each followed by a ReLU, and perhaps a pool of stride 2 after them. */
typedef struct arch_run {
  int num_convs, channels, kernel, stride, pad;
  int pool; /* kernel of the pool; 0: none */
} arch_run;

/* Reads a conv_arch: "1x64,1x128" or "((1, 64), (1, 128))", see vgg_arch_from_text.
 * Fails with VGG_BAD_VALUE, naming the place. The numbers are not judged here. */
vgg_status arch_parse(const char *text, vgg_block_spec blocks[ARCH_MAX_BLOCKS], int *num_blocks,
                      vgg_error *err);

/* Lays out layers, shapes, names and modules.
 *   arch  options filled in and valid but for the window, title set, the rest zero; written
 *   flat  see archs.def
 * Fails with VGG_BAD_VALUE. */
vgg_status arch_build(vgg_arch *arch, const arch_run *runs, int num_runs, bool flat,
                      vgg_error *err);

#endif
