/* SPDX-License-Identifier: Apache-2.0
 *
 * MD5 (RFC 1321): tells published files from others. It guards against mix-ups and damage, not
 * against malice.
 */
#ifndef BASE_MD5_H
#define BASE_MD5_H

#include <stddef.h>
#include <stdint.h>

typedef struct md5 {
  uint32_t state[4];
  uint64_t length;   /* bytes added so far */
  uint8_t block[64]; /* the last length % 64 of them, not yet mixed in */
} md5;

void md5_begin(md5 *m);
void md5_add(md5 *m, const void *bytes, size_t size);
void md5_end(md5 *m, uint8_t digest[16]);
/* The digest as 32 lower-case digits and a NUL. */
void md5_hex(const uint8_t digest[16], char hex[33]);

#endif
