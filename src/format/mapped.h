/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files mapped for reading.
 */
#ifndef FORMAT_MAPPED_H
#define FORMAT_MAPPED_H

#include <stddef.h>
#include <stdint.h>

#include "vgg/status.h"

typedef struct mapped_file {
  const uint8_t *bytes; /* [size], until mapped_close; NULL: not open */
  size_t size;
} mapped_file;

/* Maps a regular file, which nobody may shorten until mapped_close: replace it by renaming.
 * `wanted` stands in the message about an empty one, "a safetensors file".
 * Fails with VGG_NO_INPUT, VGG_BAD_CONTENT (empty), VGG_IO, VGG_NO_MEMORY. */
vgg_status mapped_open(const char *path, const char *wanted, mapped_file *out, vgg_error *err);
void mapped_close(mapped_file *f); /* also of one that is not open */

/* Lets the pages of [from, from + bytes) go, a part that has been read, so that a big file does not
 * stay in memory beside its copy. Reading them again is allowed, but slow. */
void mapped_let_go(const mapped_file *f, const uint8_t *from, size_t bytes);

#endif
