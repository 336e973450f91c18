/* SPDX-License-Identifier: Apache-2.0
 *
 * Which net a file of tensors is, from their names and shapes.
 *
 *   torchvision  features.0.weight, classifier.3.bias
 *   timm         features.0.weight, pre_logits.fc1.weight (as a 7x7 convolution), head.fc.weight
 *   book         0.0.weight, 7.weight: a Sequential of blocks and of the head's layers, as the
 *                tutorial builds its net
 *
 * In front of all the names may stand "module." (DataParallel), "_orig_mod." (a compiled net),
 * "model." or "net." (a net inside another), also several of these: they are left out.
 */
#ifndef FORMAT_NAMING_H
#define FORMAT_NAMING_H

#include "format/weights.h"
#include "net/net.h"

enum { NAMING_MAX = 128 }; /* bytes of a tensor's name with what stands in front, NUL counted */

typedef struct naming {
  const char *about;
  bool preset; /* see namings.def */
  /* The tensor's name; `arch` has it. */
  void (*name)(const vgg_arch *arch, const net_param *param, char name[NAMING_MAX]);
} naming;

typedef struct naming_match {
  const naming *naming;
  char prefix[NAMING_MAX]; /* what stands in front of all names; "" for nothing */
  vgg_arch *arch;          /* owned */
} naming_match;

/* Recognises a net and its options: the names say which of vgg_arch_name_at's, the shapes say
 * channels, ratio, hidden units, classes and input (224x224 where that fits, else the smallest).
 * BatchNorm's counters num_batches_tracked are not needed and may be there.
 *   file  stands in messages
 *   out   on success owns the architecture
 * Fails with VGG_BAD_CONTENT: a tensor is missing, has no place in the nearest net, is of another
 * shape or of no floating-point type; the message names net and tensor. */
vgg_status naming_recognise(const char *file, const weights_file *f, naming_match *out,
                            vgg_error *err);

/* The file's tensor for a parameter of a recognised net; lent. */
const weights_tensor *naming_find(const weights_file *f, const naming_match *match,
                                  const net_param *param);

#endif
