/* SPDX-License-Identifier: Apache-2.0
 *
 * Zip archives whose entries are stored, as PyTorch writes them.
 *
 *   entry      "PK\3\4", 22 bytes that repeat the directory, u16 length of the name, u16 of the
 *              extra field, name, extra field, content [, data descriptor]
 *   ...
 *   directory  for each entry "PK\1\2", method, CRC-32, sizes, offset of the entry, name
 *   [zip64 end "PK\6\6" and its locator "PK\6\7": 64-bit counts and offsets]
 *   end        "PK\5\6", count, size and offset of the directory: the last 22 bytes
 *
 * Only the directory is believed: entries that were streamed have no sizes of their own. Refused
 * are compressed, encrypted or overlapping entries, a name that differs between directory and
 * entry or leads out of its folder, comments at the end (which could hide a second end), parts of
 * several disks, and more than 100,000 entries.
 */
#ifndef FORMAT_ZIP_H
#define FORMAT_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "vgg/status.h"

typedef struct zip_entry {
  const char *name; /* [name_length], in the archive, no NUL at its end */
  size_t name_length;
  const uint8_t *data; /* [size], in the archive */
  uint64_t size;
  uint64_t begin; /* offset of the entry itself */
  uint32_t crc;   /* of the data, as the directory says */
} zip_entry;

typedef struct zip_file {
  zip_entry *entries; /* [count], sorted by name */
  size_t count;
} zip_file;

/* Reads the directory of an archive in memory, borrowed until zip_close; `file` stands in messages.
 * Fails with VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status zip_open(const char *file, const uint8_t *bytes, size_t size, zip_file *out,
                    vgg_error *err);
void zip_close(zip_file *zip);
/* Lent; NULL: none. */
const zip_entry *zip_find(const zip_file *zip, const char *name, size_t name_length);

/* Compares the data with its CRC-32. A CRC of 0 says that none was taken (as PyTorch can be told
 * for speed) and is not compared. Fails with VGG_BAD_CONTENT. */
vgg_status zip_check(const char *file, const zip_entry *entry, vgg_error *err);

#endif
