/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "train/trainer.h"

enum { MAX_RUNS = 1000000 };

/* Makes `path` and the folders above it; what exists stays. */
static vgg_status make_folders(char *path, vgg_error *err) {
  for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
    if (slash) *slash = 0;
    const int cause = mkdir(path, 0777) == 0 ? 0 : errno;
    if (cause != 0 && !path_is_dir(path))
      return err_set(err, VGG_NO_OUTPUT, "%s: cannot be created: %s", path, strerror(cause));
    if (!slash) return VGG_OK;
    *slash = '/';
  }
}

vgg_status rundir_lock(vgg_trainer *t, const char *dir, vgg_error *err) {
  t->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (t->lock < 0) return err_set(err, VGG_NO_INPUT, "%s: %s", dir, strerror(errno));
  if (flock(t->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return err_set(err, VGG_NO_OUTPUT, "%s: another process is training there", dir);
  free(t->dir);
  t->dir = strdup(dir);
  return t->dir ? VGG_OK : err_no_memory(err, dir, strlen(dir));
}

/* Is it a file of ours beside its final place, as file_begin names it? */
static bool is_left_over(const char *name) {
  static const char *const files[] = {"config.json",     "metrics.jsonl", "metrics.csv",
                                      "curves.svg",      "curves.png",    "last.safetensors",
                                      "best.safetensors"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    const size_t length = strlen(files[i]);
    if (strncmp(name, files[i], length) == 0 && strncmp(name + length, ".tmp-", 5) == 0)
      return true;
  }
  return false;
}

void rundir_sweep(const vgg_trainer *t) {
  DIR *d = opendir(t->dir);
  if (!d) return;
  for (const struct dirent *entry; (entry = readdir(d));)
    if (is_left_over(entry->d_name)) unlinkat(dirfd(d), entry->d_name, 0);
  closedir(d);
}

/* A run that never came to be saved cannot be resumed. */
static vgg_status holds_run(const char *dir, const char *file, bool saved, vgg_error *err) {
  return err_set(err, VGG_NO_OUTPUT, "%s: holds a run already (%s); %s", dir, file,
                 saved ? "resume it or choose another"
                       : "it has not been saved: choose another, or remove it if it has ended");
}

/* Of all processes that try, only one creates config.json: it has the directory. */
static vgg_status claim(const char *dir, vgg_error *err) {
  enum { SAVED = 1 }; /* of these, only the first can be gone on from */
  static const char *const files[] = {"last.safetensors", "best.safetensors", "metrics.jsonl"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char *path = path_join(dir, files[i]);
    if (!path) return err_no_memory(err, dir, strlen(dir));
    const bool exists = path_exists(path);
    free(path);
    if (exists) return holds_run(dir, files[i], i < SAVED, err);
  }
  char *path = path_join(dir, "config.json");
  if (!path) return err_no_memory(err, dir, strlen(dir));
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  const int cause = errno;
  free(path);
  if (fd >= 0) {
    close(fd);
    return VGG_OK;
  }
  if (cause == EEXIST) return holds_run(dir, "config.json", false, err);
  return err_set(err, VGG_NO_OUTPUT, "%s: cannot be written: %s", dir, strerror(cause));
}

static vgg_status make_named(vgg_trainer *t, char *dir, vgg_error *err) {
  vgg_status status = make_folders(dir, err);
  if (status == VGG_OK) status = claim(dir, err);
  return status == VGG_OK ? rundir_lock(t, dir, err) : status;
}

static vgg_status make_numbered(vgg_trainer *t, vgg_error *err) {
  const char *title = vgg_arch_title(vgg_model_arch(t->model));
  char runs[] = "runs";
  const vgg_status status = make_folders(runs, err);
  if (status != VGG_OK) return status;
  for (int n = 1; n <= MAX_RUNS; n++) {
    char dir[96];
    /* A conv_arch may be longer than a file name can be. */
    snprintf(dir, sizeof dir, "runs/%.64s-%d", strlen(title) <= 64 ? title : "net", n);
    if (mkdir(dir, 0777) == 0) return make_named(t, dir, err);
    if (errno != EEXIST)
      return err_set(err, VGG_NO_OUTPUT, "%s: cannot be created: %s", dir, strerror(errno));
  }
  return err_set(err, VGG_NO_OUTPUT, "runs/%.64s-N: all %d names are taken", title, MAX_RUNS);
}

vgg_status rundir_create(vgg_trainer *t, const char *out, vgg_error *err) {
  if (!out) return make_numbered(t, err);
  if (!*out) return err_set(err, VGG_BAD_VALUE, "out: is empty, wanted a directory's name");
  char *dir = strdup(out);
  if (!dir) return err_no_memory(err, out, strlen(out));
  const vgg_status status = make_named(t, dir, err);
  free(dir);
  return status;
}
