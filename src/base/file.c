/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

vgg_status file_read(const char *path, size_t max_bytes, uint8_t **bytes, size_t *size,
                     vgg_error *err) {
  vgg_status status = VGG_OK;
  uint8_t *buffer = NULL;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
  if (fd < 0) return err_set(err, VGG_NO_INPUT, "%s: %s", path, strerror(errno));
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    status = err_set(err, VGG_NO_INPUT, "%s: is not a regular file", path);
    goto done;
  }
  if (st.st_size < 0 || (uint64_t)st.st_size > max_bytes) {
    status = err_set(err, VGG_BAD_CONTENT, "%s: is %lld bytes, at most %zu are read", path,
                     (long long)st.st_size, max_bytes);
    goto done;
  }
  const size_t want = (size_t)st.st_size;
  buffer = malloc(want + 1);
  if (!buffer) {
    status = err_no_memory(err, path, want + 1);
    goto done;
  }
  for (size_t got = 0; got < want;) {
    const ssize_t n = read(fd, buffer + got, want - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      status = err_set(err, VGG_IO, "%s: %s after %zu of %zu bytes", path,
                       n < 0 ? strerror(errno) : "file ended", got, want);
      goto done;
    }
    got += (size_t)n;
  }
  buffer[want] = 0;
  *bytes = buffer;
  *size = want;
  buffer = NULL;
done:
  free(buffer);
  close(fd);
  return status;
}

struct file_writer {
  int fd;
  uint64_t written;
  char *path, *temporary;
};

static void writer_free(file_writer *w) {
  if (w->fd >= 0) close(w->fd);
  free(w->path);
  free(w->temporary);
  free(w);
}

vgg_status file_begin(const char *path, file_writer **out, vgg_error *err) {
  file_writer *w = calloc(1, sizeof *w);
  const size_t length = strlen(path) + 32;
  if (w) {
    w->fd = -1;
    w->path = strdup(path);
    w->temporary = malloc(length);
  }
  if (!w || !w->path || !w->temporary) {
    if (w) writer_free(w);
    return err_no_memory(err, path, length);
  }
  if (path_is_dir(path)) {
    writer_free(w);
    return err_set(err, VGG_NO_OUTPUT, "%s: is a directory, wanted a file name", path);
  }
  snprintf(w->temporary, length, "%s.tmp-%ld", path, (long)getpid());
  w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (w->fd < 0) {
    const int cause = errno;
    writer_free(w);
    return err_set(err, VGG_NO_OUTPUT, "%s: cannot be created: %s", path, strerror(cause));
  }
  *out = w;
  return VGG_OK;
}

vgg_status file_write(file_writer *w, const void *bytes, size_t size, vgg_error *err) {
  const char *p = bytes;
  while (size > 0) {
    const ssize_t n = write(w->fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return err_set(err, VGG_IO, "%s: %s", w->path, strerror(errno));
    p += n;
    size -= (size_t)n;
    w->written += (uint64_t)n;
  }
  return VGG_OK;
}

uint64_t file_written(const file_writer *w) { return w->written; }

/* The rename itself must reach the disk, or a power loss brings the old name back. */
static void sync_folder_of(const char *path) {
  char *folder = strdup(path);
  if (!folder) return;
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder ? 1 : 0] = 0;
  const int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  free(folder);
}

vgg_status file_commit(file_writer *w, vgg_error *err) {
  vgg_status status = VGG_OK;
  const bool synced = fsync(w->fd) == 0 || errno == EINVAL; /* EINVAL: not a disk file */
  const int sync_cause = errno;
  const bool closed = close(w->fd) == 0;
  w->fd = -1;
  if (!synced || !closed)
    status = err_set(err, VGG_IO, "%s: %s", w->path, strerror(synced ? errno : sync_cause));
  else if (rename(w->temporary, w->path) != 0)
    status = err_set(err, VGG_IO, "%s: %s", w->path, strerror(errno));
  if (status == VGG_OK)
    sync_folder_of(w->path);
  else
    unlink(w->temporary);
  writer_free(w);
  return status;
}

void file_abandon(file_writer *w) {
  if (!w) return;
  unlink(w->temporary);
  writer_free(w);
}

vgg_status file_replace(const char *path, const void *bytes, size_t size, vgg_error *err) {
  file_writer *w;
  vgg_status status = file_begin(path, &w, err);
  if (status != VGG_OK) return status;
  status = file_write(w, bytes, size, err);
  if (status != VGG_OK) {
    file_abandon(w);
    return status;
  }
  return file_commit(w, err);
}

char *path_join(const char *dir, const char *name) {
  const size_t length = strlen(dir) + strlen(name) + 2;
  char *path = malloc(length);
  if (path) snprintf(path, length, "%s/%s", dir, name);
  return path;
}

bool path_exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

bool path_is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}
