/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the golden pictures: binary PGM and PPM, one after the other in a file.
 */
#ifndef TESTS_IMAGE_PNM_H
#define TESTS_IMAGE_PNM_H

#include <stdbool.h>

#include "vgg/image.h"

typedef struct pnm_file {
  uint8_t *bytes;
  size_t size, at;
} pnm_file;

/* Opens `name` below tests/; the test fails when it is missing. Free with pnm_close. */
pnm_file pnm_open(const char *name);
void pnm_close(pnm_file *file);

/* The next picture, lent: its pixels lie in the file. comment[64] gets its first comment line.
 * False after the last; the test fails when a picture is malformed. */
bool pnm_next(pnm_file *file, vgg_image *out, char *comment);

#endif
