/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct folder {
  char dir[64], path[80];
} folder;

static int set_up(void **state) {
  folder *f = calloc(1, sizeof *f);
  strcpy(f->dir, "/tmp/vgg-test-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->path, sizeof f->path, "%s/file", f->dir);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  folder *f = *state;
  remove(f->path);
  assert_int_equal(rmdir(f->dir), 0); /* nothing temporary is left behind */
  free(f);
  return 0;
}

static void assert_holds(const char *path, const char *want) {
  uint8_t *bytes;
  size_t size;
  vgg_error err;
  assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), VGG_OK);
  assert_int_equal(size, strlen(want));
  assert_string_equal((char *)bytes, want);
  free(bytes);
}

static void put(const char *path, const char *s) {
  vgg_error err;
  assert_int_equal(file_replace(path, s, strlen(s), &err), VGG_OK);
}

static int entries(const char *dir) {
  DIR *d = opendir(dir);
  int n = 0;
  while (readdir(d)) n++;
  closedir(d);
  return n - 2; /* . and .. */
}

static void written_and_read(void **state) {
  const folder *f = *state;
  put(f->path, "one");
  assert_holds(f->path, "one");
  put(f->path, "two, longer");
  assert_holds(f->path, "two, longer");
  put(f->path, "");
  assert_holds(f->path, "");
  assert_int_equal(entries(f->dir), 1);
}

static void read_failures(void **state) {
  const folder *f = *state;
  uint8_t *bytes;
  size_t size;
  vgg_error err;
  assert_int_equal(file_read(f->path, 10, &bytes, &size, &err), VGG_NO_INPUT);
  assert_non_null(strstr(err.message, f->path));
  assert_int_equal(file_read(f->dir, 10, &bytes, &size, &err), VGG_NO_INPUT);
  put(f->path, "0123456789");
  assert_int_equal(file_read(f->path, 9, &bytes, &size, &err), VGG_BAD_CONTENT);
  assert_int_equal(file_read(f->path, 10, &bytes, &size, &err), VGG_OK);
  free(bytes);
  remove(f->path);
  assert_int_equal(mkfifo(f->path, 0600), 0); /* nobody writes to it: it must not hang */
  assert_int_equal(file_read(f->path, 10, &bytes, &size, &err), VGG_NO_INPUT);
}

static void viewers_see_the_old_file_until_the_end(void **state) {
  const folder *f = *state;
  file_writer *w;
  vgg_error err;
  put(f->path, "old");
  assert_int_equal(file_begin(f->path, &w, &err), VGG_OK);
  assert_int_equal(file_write(w, "new", 3, &err), VGG_OK);
  assert_holds(f->path, "old");
  assert_int_equal(file_write(w, "er", 2, &err), VGG_OK);
  assert_int_equal(file_commit(w, &err), VGG_OK);
  assert_holds(f->path, "newer");
}

static void abandoned(void **state) {
  const folder *f = *state;
  file_writer *w;
  vgg_error err;
  put(f->path, "old");
  assert_int_equal(file_begin(f->path, &w, &err), VGG_OK);
  assert_int_equal(file_write(w, "new", 3, &err), VGG_OK);
  file_abandon(w);
  file_abandon(NULL);
  assert_holds(f->path, "old");
  assert_int_equal(entries(f->dir), 1);
}

static void cannot_be_created(void **state) {
  const folder *f = *state;
  char path[128];
  vgg_error err;
  assert_int_equal(file_replace(f->dir, "x", 1, &err), VGG_NO_OUTPUT);
  assert_non_null(strstr(err.message, "directory"));
  snprintf(path, sizeof path, "%s/absent/file", f->dir);
  assert_int_equal(file_replace(path, "x", 1, &err), VGG_NO_OUTPUT);
  assert_non_null(strstr(err.message, path));
  put(f->path, "a file");
  snprintf(path, sizeof path, "%s/file", f->path);
  assert_int_equal(file_replace(path, "x", 1, &err), VGG_NO_OUTPUT);
  assert_int_equal(entries(f->dir), 1);
}

/* A disk that is full half-way, played by the limit on a file's size. */
static void full_disk(void **state) {
  const folder *f = *state;
  static char big[1 << 16];
  struct rlimit before, small = {4096, RLIM_INFINITY};
  vgg_error err;
  put(f->path, "old");
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small.rlim_max = before.rlim_max;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const vgg_status status = file_replace(f->path, big, sizeof big, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(status, VGG_IO);
  assert_non_null(strstr(err.message, f->path));
  assert_holds(f->path, "old");
  assert_int_equal(entries(f->dir), 1);
}

static void paths(void **state) {
  const folder *f = *state;
  char *joined = path_join(f->dir, "file");
  assert_string_equal(joined, f->path);
  free(joined);
  assert_true(path_is_dir(f->dir));
  assert_false(path_exists(f->path));
  put(f->path, "");
  assert_true(path_exists(f->path));
  assert_false(path_is_dir(f->path));
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_A_FOLDER(written_and_read),
      IN_A_FOLDER(read_failures),
      IN_A_FOLDER(viewers_see_the_old_file_until_the_end),
      IN_A_FOLDER(abandoned),
      IN_A_FOLDER(cannot_be_created),
      IN_A_FOLDER(full_disk),
      IN_A_FOLDER(paths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
