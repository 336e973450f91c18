/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: read whole, replaced atomically.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgg/status.h"

/* Reads a regular file into fresh memory with a NUL after its end (free with free()).
 * Fails with VGG_NO_INPUT (missing, unreadable, a directory), VGG_BAD_CONTENT (over max_bytes),
 * VGG_IO, VGG_NO_MEMORY. */
vgg_status file_read(const char *path, size_t max_bytes, uint8_t **bytes, size_t *size,
                     vgg_error *err);

/* A file being written beside its final place. A viewer of `path` sees the old file until
 * file_commit, then the new one: temporary file in the same folder, write, fsync, rename, fsync of
 * the folder. */
typedef struct file_writer file_writer;
vgg_status file_begin(const char *path, file_writer **out, vgg_error *err); /* VGG_NO_OUTPUT */
vgg_status file_write(file_writer *w, const void *bytes, size_t size, vgg_error *err); /* VGG_IO */
uint64_t file_written(const file_writer *w); /* bytes so far */
/* Ends the writing and frees `w` in every case; on failure the old file stays. */
vgg_status file_commit(file_writer *w, vgg_error *err);
void file_abandon(file_writer *w); /* accepts NULL */

/* All of the above in one call. */
vgg_status file_replace(const char *path, const void *bytes, size_t size, vgg_error *err);

/* dir + "/" + name in fresh memory (free with free()); NULL when there is none. */
char *path_join(const char *dir, const char *name);
bool path_exists(const char *path);
bool path_is_dir(const char *path);

#endif
