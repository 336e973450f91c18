/* SPDX-License-Identifier: Apache-2.0 */
#include "format/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

vgg_status mapped_open(const char *path, const char *wanted, mapped_file *out, vgg_error *err) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
  if (fd < 0) return err_set(err, VGG_NO_INPUT, "%s: %s", path, strerror(errno));
  vgg_status status = VGG_OK;
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    status = err_set(err, VGG_NO_INPUT, "%s: is not a regular file", path);
    goto done;
  }
  const size_t size = (size_t)st.st_size;
  if (size == 0) {
    status = err_set(err, VGG_BAD_CONTENT, "%s: is empty, wanted %s", path, wanted);
    goto done;
  }
  void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED)
    status = errno == ENOMEM ? err_no_memory(err, path, size)
                             : err_set(err, VGG_IO, "%s: %s", path, strerror(errno));
  else
    *out = (mapped_file){map, size};
done:
  close(fd);
  return status;
}

void mapped_close(mapped_file *f) {
  if (f->bytes) munmap((void *)(uintptr_t)f->bytes, f->size);
  *f = (mapped_file){0};
}

void mapped_let_go(const mapped_file *f, const uint8_t *from, size_t bytes) {
  if (!f->bytes) return;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t offset = (size_t)(from - f->bytes);
  const size_t first = (offset + page - 1) / page * page, end = (offset + bytes) / page * page;
  if (first < end) madvise((void *)(uintptr_t)(f->bytes + first), end - first, MADV_DONTNEED);
}
