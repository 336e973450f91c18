/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of pictures: text of two columns, path and label.
 *
 *   1. optionally the UTF-8 byte order mark ef bb bf
 *   2. records, ended by \n, \r\n or the end of the file; empty lines do not count
 *   3. a record: two fields with one separator between them, ',' or in a .tsv file a tab
 *   4. a field: bytes but separator, newline and '"'; or "..." around any bytes, '"' doubled
 *   5. a first record that says path and label, in any case, is a heading
 */
#ifndef DATA_CSV_H
#define DATA_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "data/names.h"
#include "vgg/status.h"

/* Reads such a text. Blanks belong to their fields; a path is never looked into.
 *   name           of the file, for messages
 *   paths, labels  start with {0}; one of each a record; the caller frees them in every case
 * Fails with VGG_BAD_CONTENT, naming the line; VGG_NO_MEMORY. */
vgg_status csv_parse(const char *name, const uint8_t *bytes, size_t size, char separator,
                     name_list *paths, name_list *labels, vgg_error *err);

#endif
