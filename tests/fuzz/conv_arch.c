/* SPDX-License-Identifier: Apache-2.0
 *
 * A conv_arch in text: refused, or a net whose title gives the same net again.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "net/net.h"
#include "net/same_arch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (!text) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  const vgg_arch_options options = {.input = {3, 512, 512}, .hidden = 8};
  vgg_arch *arch = NULL, *again = NULL;
  vgg_error err;
  if (vgg_arch_from_text(text, &options, &arch, &err) == VGG_OK) {
    net_params params;
    net_params_of(arch, &params);
    if (vgg_arch_from_text(vgg_arch_title(arch), &options, &again, &err) != VGG_OK) abort();
    if (!same_arch(arch, again)) abort();
  } else if (arch || err.status != VGG_BAD_VALUE || !memchr(err.message, 0, sizeof err.message)) {
    abort();
  }
  vgg_arch_close(arch);
  vgg_arch_close(again);
  free(text);
  return 0;
}
