/* SPDX-License-Identifier: Apache-2.0
 *
 * From the words of a user to a row of datasets.def.
 */
#ifndef DATA_SPEC_H
#define DATA_SPEC_H

#include "data/dataset.h"

typedef struct dataset_kind {
  const char *word, *folder;
  vgg_status (*read)(const dataset_query *query, dataset_store *out, vgg_error *err);
  unsigned (*holds)(const char *set, const char *path);
} dataset_kind;

/* Splits "WORD[:PATH]", or finds the word of a bare path by what is there; *path is lent by `spec`
 * or by the table. Fails with VGG_BAD_VALUE, VGG_NO_INPUT. */
vgg_status spec_parse(const char *spec, const dataset_kind **kind, const char **path,
                      vgg_error *err);

/* "WORD:/absolute/path", as a run stores it: it still holds when the run is resumed from another
 * folder. Free with free(). */
vgg_status spec_resolve(const dataset_kind *kind, const char *path, char **out, vgg_error *err);

#endif
