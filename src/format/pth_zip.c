/* SPDX-License-Identifier: Apache-2.0
 *
 * .pth files of PyTorch 1.6 and later: see pth.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "format/pth.h"
#include "format/zip.h"

enum { MAX_NAME = 512 }; /* of an entry that we look for */

typedef struct archive {
  zip_file zip;
  const char *prefix; /* [prefix_length], with its slash */
  size_t prefix_length;
} archive;

static const char pickle_name[] = "data.pkl";

bool weights_pth_zip_is(const uint8_t *bytes, size_t size) {
  return size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
}

/* prefix + folder + name; NULL: none. */
static const zip_entry *find(const archive *a, const char *folder, const char *name,
                             size_t length) {
  char path[MAX_NAME];
  const size_t folder_length = strlen(folder), total = a->prefix_length + folder_length + length;
  if (total > sizeof path) return NULL;
  memcpy(path, a->prefix, a->prefix_length);
  memcpy(path + a->prefix_length, folder, folder_length);
  memcpy(path + a->prefix_length + folder_length, name, length);
  return zip_find(&a->zip, path, total);
}

/* All entries stand in the folder of the one data.pkl. */
static vgg_status find_prefix(const char *file, archive *a, vgg_error *err) {
  const size_t tail = strlen(pickle_name);
  const zip_entry *found = NULL;
  for (size_t i = 0; i < a->zip.count && !found; i++) {
    const zip_entry *e = &a->zip.entries[i];
    if (e->name_length > tail && e->name[e->name_length - tail - 1] == '/' &&
        memcmp(e->name + e->name_length - tail, pickle_name, tail) == 0)
      found = e;
  }
  if (!found)
    return err_set(err, VGG_BAD_CONTENT,
                   "%s: is a zip archive without data.pkl, wanted one that torch.save wrote", file);
  a->prefix = found->name;
  a->prefix_length = found->name_length - tail;
  for (size_t i = 0; i < a->zip.count; i++) {
    const zip_entry *e = &a->zip.entries[i];
    if (e->name_length < a->prefix_length || memcmp(e->name, a->prefix, a->prefix_length) != 0)
      return err_set(err, VGG_BAD_CONTENT, "%s: zip archive: entries of more than one folder",
                     file);
  }
  return VGG_OK;
}

static vgg_status find_storage(const pth_reader *r, const char *key, size_t key_length,
                               uint64_t bytes, const uint8_t **data, vgg_error *err) {
  const archive *a = r->context;
  const zip_entry *e = find(a, "data/", key, key_length);
  const int shown = (int)(key_length < 40 ? key_length : 40);
  if (!e)
    return err_set(err, VGG_BAD_CONTENT, "%s: storage '%.*s' is missing", r->file, shown, key);
  if (e->size != bytes)
    return err_set(err, VGG_BAD_CONTENT,
                   "%s: storage '%.*s' has %" PRIu64 " bytes, its pickle says %" PRIu64, r->file,
                   shown, key, e->size, bytes);
  *data = e->data;
  return VGG_OK;
}

static vgg_status check_byteorder(const char *file, const archive *a, vgg_error *err) {
  static const char name[] = "byteorder", little[] = "little";
  const zip_entry *e = find(a, name, "", 0);
  if (!e || (e->size == strlen(little) && memcmp(e->data, little, strlen(little)) == 0))
    return VGG_OK;
  return err_set(err, VGG_BAD_CONTENT, "%s: was written on a big-endian machine, wanted little",
                 file);
}

/* Each entry's bytes against its sum: what was damaged on the way is not taken for weights. */
static vgg_status check_sums(const char *file, const archive *a, vgg_error *err) {
  vgg_status status = VGG_OK;
  for (size_t i = 0; i < a->zip.count && status == VGG_OK; i++)
    status = zip_check(file, &a->zip.entries[i], err);
  return status;
}

vgg_status weights_pth_zip_open(const char *file, const uint8_t *bytes, size_t size,
                                weights_content *out, vgg_error *err) {
  archive a = {0};
  pickle_tree tree = {0};
  vgg_status status = zip_open(file, bytes, size, &a.zip, err);
  if (status != VGG_OK) return status;
  status = find_prefix(file, &a, err);
  if (status == VGG_OK) status = check_byteorder(file, &a, err);
  if (status == VGG_OK) status = check_sums(file, &a, err);
  if (status != VGG_OK) goto done;
  const zip_entry *pickle = find(&a, pickle_name, "", 0);
  if (!pickle) {
    status = err_set(err, VGG_BAD_CONTENT, "%s: zip archive: its folder's name is too long", file);
    goto done;
  }
  status = pickle_read(file, pickle->data, (size_t)pickle->size, &tree, NULL, err);
  if (status != VGG_OK) goto done;
  const pth_reader reader = {
      .file = file, .tree = &tree, .file_size = size, .find = find_storage, .context = &a};
  status = pth_read_state(&reader, out, err);
done:
  pickle_free(&tree);
  zip_close(&a.zip);
  return status;
}
