/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of pictures:
 *
 *   DIR/train/cat/1.jpg            or   DIR/cat/1.jpg
 *   DIR/train/cat/more/2.png            DIR/dog/2.png
 *   DIR/val/dog/3.jpg
 *   DIR/test/...
 *
 * Every file in a class's folder is taken for a picture: what it is shows when it is read. Names
 * that begin with a dot are left out everywhere. Symbolic links are followed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "data/dataset.h"

/* ---- one folder ------------------------------------------------------------------------------ */

typedef struct listing {
  name_list folders, files; /* names in bytewise order; a broken link is a file */
} listing;

static void listing_free(listing *l) {
  name_list_free(&l->folders);
  name_list_free(&l->files);
}

static bool is_folder(const char *path, const struct dirent *entry) {
  if (entry->d_type == DT_DIR) return true;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return false;
  char *full = path_join(path, entry->d_name);
  const bool found = full && path_is_dir(full);
  free(full);
  return found;
}

/* `l` starts empty and is the caller's to free in every case. */
static vgg_status list(const char *path, listing *l, vgg_error *err) {
  DIR *dir = opendir(path);
  if (!dir) return err_set(err, VGG_NO_INPUT, "%s: %s", path, strerror(errno));
  vgg_status status = VGG_OK;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(dir);
    if (!entry) break;
    if (entry->d_name[0] == '.') continue;
    name_list *names = is_folder(path, entry) ? &l->folders : &l->files;
    if (name_list_add(names, entry->d_name, strlen(entry->d_name))) continue;
    status = err_no_memory(err, path, names->count);
    break;
  }
  if (status == VGG_OK && errno != 0)
    status = err_set(err, VGG_IO, "%s: reading the folder failed: %s", path, strerror(errno));
  closedir(dir);
  if (status == VGG_OK &&
      (!name_list_sort(&l->folders, name_by_bytes) || !name_list_sort(&l->files, name_by_bytes)))
    status = err_no_memory(err, path, l->files.count);
  return status;
}

/* ---- a class --------------------------------------------------------------------------------- */

/* The folders that a walk is in, innermost first. */
typedef struct ancestor {
  const struct ancestor *outer;
  dev_t device;
  ino_t inode;
} ancestor;

typedef struct walk {
  const char *root; /* absolute; the paths count from here */
  name_list *paths;
} walk;

static vgg_status add_files(const walk *w, const char *below, const name_list *files,
                            vgg_error *err) {
  for (size_t i = 0; i < files->count; i++) {
    char *path = path_join(below, name_list_at(files, i));
    const bool ok = path && name_list_add(w->paths, path, strlen(path));
    free(path);
    if (!ok) return err_no_memory(err, below, files->count);
  }
  if (w->paths->count > DATASET_MAX_COUNT)
    return err_set(err, VGG_BAD_CONTENT, "%s/%s: over %d pictures", w->root, below,
                   DATASET_MAX_COUNT);
  return VGG_OK;
}

/* The way down as seen from one folder: an ancestor of its own with the same inode is a link that
 * leads back and would never end. */
static vgg_status enter(const char *path, const ancestor *outer, ancestor *here, vgg_error *err) {
  struct stat st;
  if (stat(path, &st) != 0) return err_set(err, VGG_NO_INPUT, "%s: %s", path, strerror(errno));
  *here = (ancestor){outer, st.st_dev, st.st_ino};
  for (const ancestor *a = outer; a; a = a->outer)
    if (a->device == st.st_dev && a->inode == st.st_ino)
      return err_set(err, VGG_BAD_CONTENT,
                     "%s: is a link to a folder that it lies in; remove the link", path);
  return VGG_OK;
}

/* All files in root/below and deeper: those of a folder before those of the folders in it. */
static vgg_status collect(const walk *w, const char *below, const ancestor *outer, vgg_error *err) {
  listing l = {0};
  ancestor here;
  char *path = path_join(w->root, below);
  if (!path) return err_no_memory(err, below, strlen(below));
  vgg_status status = enter(path, outer, &here, err);
  if (status == VGG_OK) status = list(path, &l, err);
  free(path);
  if (status == VGG_OK) status = add_files(w, below, &l.files, err);
  for (size_t i = 0; status == VGG_OK && i < l.folders.count; i++) {
    char *deeper = path_join(below, name_list_at(&l.folders, i));
    if (deeper)
      status = collect(w, deeper, &here, err);
    else
      status = err_no_memory(err, below, strlen(below));
    free(deeper);
  }
  listing_free(&l);
  return status;
}

/* ---- a split --------------------------------------------------------------------------------- */

/* Is there a DIR/train with class folders in it? A class may be called train, too. */
static bool has_splits(const char *dir) {
  char *train = path_join(dir, "train");
  listing l = {0};
  const bool found =
      train && path_is_dir(train) && list(train, &l, NULL) == VGG_OK && l.folders.count > 0;
  listing_free(&l);
  free(train);
  return found;
}

unsigned folder_holds(const char *set, const char *path) {
  (void)set;
  if (!path_is_dir(path)) return 0;
  if (!has_splits(path)) {
    listing l = {0};
    const bool found = list(path, &l, NULL) == VGG_OK && l.folders.count > 0;
    listing_free(&l);
    return found ? 1u << VGG_TRAIN : 0;
  }
  unsigned held = 0;
  for (int split = 0; split < VGG_NUM_SPLITS; split++) {
    char *folder = path_join(path, vgg_split_name((vgg_split)split));
    if (folder && path_is_dir(folder)) held |= 1u << split;
    free(folder);
  }
  return held;
}

/* The class table of the training set's folder. */
static vgg_status name_classes(const char *training, const dataset_query *q, const char *root,
                               class_table *classes, vgg_error *err) {
  listing l = {0};
  vgg_status status = list(training, &l, err);
  for (size_t i = 0; status == VGG_OK && i < l.folders.count; i++)
    if (class_table_add(classes, name_list_at(&l.folders, i)) < 0)
      status = err_set(err, VGG_NO_MEMORY, "%s: no memory for its classes, or over %d of them",
                       training, CLASSES_MAX);
  if (status == VGG_OK && l.folders.count == 0)
    status =
        err_set(err, VGG_BAD_CONTENT, "%s: holds no folder, wanted one for every class", training);
  listing_free(&l);
  if (status == VGG_OK) status = class_table_arrange(classes, q->class_order, root, NULL, 0, err);
  return status;
}

/* Every class's pictures: in first[k] .. first[k + 1] - 1 of `paths`. A class of the table that has
 * no folder has none. */
static vgg_status collect_classes(const walk *w, const char *below, const class_table *classes,
                                  size_t *first, vgg_error *err) {
  for (size_t k = 0; k < classes->names.count; k++) {
    first[k] = first[k + 1] = w->paths->count;
    const char *name = name_list_at(&classes->names, k);
    char *folder = *below ? path_join(below, name) : strdup(name);
    char *full = folder ? path_join(w->root, folder) : NULL;
    vgg_status status = VGG_OK;
    if (!full)
      status = err_no_memory(err, name, strlen(name));
    else if (path_is_dir(full))
      status = collect(w, folder, NULL, err);
    free(full);
    free(folder);
    if (status != VGG_OK) return status;
    first[k + 1] = w->paths->count;
  }
  return VGG_OK;
}

/* The first picture of every class, the second ones, and so on. */
static bool interleave(const name_list *paths, const size_t *first, size_t classes,
                       dataset_store *out) {
  out->labels = malloc((paths->count ? paths->count : 1) * sizeof *out->labels);
  if (!out->labels) return false;
  for (size_t turn = 0; out->count < paths->count; turn++) {
    for (size_t k = 0; k < classes; k++) {
      if (first[k] + turn >= first[k + 1]) continue;
      const char *path = name_list_at(paths, first[k] + turn);
      if (!name_list_add(&out->paths, path, strlen(path))) return false;
      out->labels[out->count++] = (int32_t)k;
    }
  }
  return true;
}

static vgg_status read_pictures(const char *below, dataset_store *out, vgg_error *err) {
  name_list paths = {0};
  const walk w = {.root = out->folder, .paths = &paths};
  const size_t classes = out->classes.names.count;
  size_t *first = calloc(classes + 1, sizeof *first);
  vgg_status status = first ? VGG_OK : err_no_memory(err, out->folder, classes * sizeof *first);
  if (status == VGG_OK) status = collect_classes(&w, below, &out->classes, first, err);
  if (status == VGG_OK && paths.count == 0)
    status = err_set(err, VGG_BAD_CONTENT, "%s/%s: its classes' folders hold no file", out->folder,
                     below);
  if (status == VGG_OK && !interleave(&paths, first, classes, out))
    status = err_no_memory(err, out->folder, paths.bytes.length);
  name_list_free(&paths);
  free(first);
  return status;
}

/* A folder of a split that is no class of the training set must not be passed over. */
static vgg_status check_classes(const char *folder, const class_table *classes, vgg_error *err) {
  listing l = {0};
  vgg_status status = list(folder, &l, err);
  for (size_t i = 0; status == VGG_OK && i < l.folders.count; i++) {
    const char *name = name_list_at(&l.folders, i);
    if (class_table_find(classes, name) < 0)
      status = err_set(err, VGG_BAD_CONTENT, "%s/%s: class '%.80s' is not in the training set",
                       folder, name, name);
  }
  listing_free(&l);
  return status;
}

static vgg_status note_left_out(dataset_store *out, vgg_error *err) {
  listing l = {0};
  vgg_status status = list(out->folder, &l, err);
  for (size_t i = 0; status == VGG_OK && i < l.folders.count; i++) {
    const char *name = name_list_at(&l.folders, i);
    bool known = false;
    for (int s = 0; s < VGG_NUM_SPLITS; s++)
      known |= strcmp(name, vgg_split_name((vgg_split)s)) == 0;
    if (!known && !dataset_note(out, "%s/%s: is left out, it is none of train, val and test",
                                out->folder, name))
      status = err_no_memory(err, out->folder, strlen(name));
  }
  listing_free(&l);
  return status;
}

/* DIR/train, DIR/val, DIR/test. */
static vgg_status read_split(const dataset_query *q, dataset_store *out, vgg_error *err) {
  const char *below = vgg_split_name(q->split);
  char *training = path_join(out->folder, "train"), *folder = path_join(out->folder, below);
  vgg_status status = VGG_OK;
  if (!training || !folder)
    status = err_no_memory(err, out->folder, strlen(out->folder));
  else if (!path_is_dir(folder))
    status = err_set(err, VGG_NO_INPUT, "%s: there is no %s set, wanted a folder of this name",
                     folder, below);
  if (status == VGG_OK) status = name_classes(training, q, out->folder, &out->classes, err);
  if (status == VGG_OK) status = check_classes(folder, &out->classes, err);
  if (status == VGG_OK) status = read_pictures(below, out, err);
  if (status == VGG_OK) status = note_left_out(out, err);
  free(training);
  free(folder);
  return status;
}

vgg_status folder_read(const dataset_query *q, dataset_store *out, vgg_error *err) {
  out->folder = realpath(q->path, NULL);
  if (!out->folder) return err_set(err, VGG_NO_INPUT, "%s: %s", q->path, strerror(errno));
  vgg_status status;
  if (has_splits(out->folder))
    status = read_split(q, out, err);
  else if (q->split != VGG_TRAIN)
    status = err_set(err, VGG_NO_INPUT, "%s: there is no %s set, all of the folder is training set",
                     q->path, vgg_split_name(q->split));
  else if ((status = name_classes(out->folder, q, out->folder, &out->classes, err)) == VGG_OK)
    status = read_pictures("", out, err);
  return status == VGG_OK ? dataset_note_missing(out, q->split, err) : status;
}
