/* SPDX-License-Identifier: Apache-2.0 */
#include "data/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

static const dataset_kind kinds[] = {
#define DATASET(word, folder, name) {word, folder, name##_read, name##_holds},
#include "data/datasets.def"
#undef DATASET
};
enum { NUM_KINDS = sizeof kinds / sizeof kinds[0] };

static vgg_status unknown_spec(const char *spec, vgg_error *err) {
  text wanted = {0};
  for (int i = 0; i < NUM_KINDS; i++)
    text_add(&wanted, "%s%s%s", i ? ", " : "", kinds[i].word, kinds[i].folder ? "[:DIR]" : ":DIR");
  const vgg_status status =
      err_set(err, VGG_BAD_VALUE, "dataset \"%.100s\": unknown, wanted a folder, a CSV file or %s",
              spec, wanted.failed ? "WORD:DIR" : wanted.s);
  free(wanted.s);
  return status;
}

static const dataset_kind *kind_of(const char *word, size_t length) {
  for (int i = 0; i < NUM_KINDS; i++)
    if (strlen(kinds[i].word) == length && memcmp(kinds[i].word, word, length) == 0)
      return &kinds[i];
  return NULL;
}

static vgg_status parse_bare(const char *spec, const dataset_kind **kind, const char **path,
                             vgg_error *err) {
  if (!path_exists(spec)) {
    if (!strchr(spec, '/')) return unknown_spec(spec, err);
    return err_set(err, VGG_NO_INPUT, "%s: no such file or folder", spec);
  }
  for (int i = 0; i < NUM_KINDS; i++) {
    if (!kinds[i].holds(kinds[i].word, spec)) continue;
    *kind = &kinds[i];
    *path = spec;
    return VGG_OK;
  }
  return err_set(err, VGG_BAD_VALUE,
                 "%s: is no dataset, wanted a folder with a folder of pictures for every class, a "
                 ".csv or .tsv file, or the files of MNIST or CIFAR",
                 spec);
}

vgg_status spec_parse(const char *spec, const dataset_kind **kind, const char **path,
                      vgg_error *err) {
  const size_t length = strcspn(spec, ":");
  const dataset_kind *found = kind_of(spec, length);
  if (!found) return parse_bare(spec, kind, path, err);
  *kind = found;
  *path = spec[length] ? spec + length + 1 : found->folder;
  if (*path && **path) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "dataset \"%s\": names no folder, wanted %s:DIR", spec,
                 found->word);
}

vgg_status spec_resolve(const dataset_kind *kind, const char *path, char **out, vgg_error *err) {
  char *absolute = realpath(path, NULL);
  if (!absolute) return err_set(err, VGG_NO_INPUT, "%s: %s", path, strerror(errno));
  text spec = {0};
  text_add(&spec, "%s:%s", kind->word, absolute);
  free(absolute);
  if (spec.failed) {
    free(spec.s);
    return err_no_memory(err, path, strlen(path));
  }
  *out = spec.s;
  return VGG_OK;
}
