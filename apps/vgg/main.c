/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "vgg/vgg.h"

int main(void) {
  printf("vgg %s\n", vgg_version());
  return 0;
}
