/* SPDX-License-Identifier: Apache-2.0
 *
 * Datasets: numbered pictures with labels. Nothing is ever fetched.
 */
#ifndef VGG_DATA_H
#define VGG_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgg/arch.h"
#include "vgg/image.h"
#include "vgg/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vgg_split { VGG_TRAIN, VGG_TEST, VGG_VALIDATION } vgg_split;
enum { VGG_NUM_SPLITS = 3 };

/* "train", "test" or "val"; static. */
VGG_API const char *vgg_split_name(vgg_split split);

typedef struct vgg_dataset vgg_dataset;

/* Zero or NULL means the default, in brackets. */
typedef struct vgg_data_options {
  size_t limit; /* keep the first `limit` pictures; more than there are is VGG_BAD_VALUE [all] */
  /* How classes named by folders or a CSV file are numbered: "bytes" (of the names), "natural"
   * ("n2" before "n10") or "file" (the lines of classes.txt in the folder, or beside the CSV file)
   * [bytes] */
  const char *class_order;
  vgg_decode_options decode; /* of pictures in files of their own */
} vgg_data_options;

/* Opens one split of a dataset.
 *   spec   WORD:PATH, or PATH alone, whose content then tells the word:
 *          folder:DIR    DIR/train, DIR/val and DIR/test, each with a folder of pictures for every
 *                        class, or one such folder DIR, which is all training set. Pictures may lie
 *                        deeper; hidden files are left out. The first of every class come before
 *                        the second ones, so that a limit keeps the balance.
 *          csv:FILE      lines of path,label (tabs in a .tsv file; quoted as in RFC 4180, a first
 *                        line "path,label" is a heading). Paths count from the file's folder. It is
 *                        all training set; in a folder, csv:DIR, train.csv, val.csv and test.csv
 *                        (or .tsv) are the splits. Order: that of the lines.
 *          cifar10:DIR, cifar100:DIR   the binary version
 *          fashion-mnist[:DIR]   the published content, checked by the md5 of the unpacked bytes
 *                        (DIR defaults to where Debian's package dataset-fashion-mnist puts it)
 *          mnist:DIR, kmnist:DIR, emnist-SET:DIR   IDX files; SET is one of balanced, byclass,
 *                        bymerge, digits, letters, mnist, and its pictures are turned upright
 *          idx:DIR       the four IDX files train|t10k-images-idx3-ubyte, -labels-idx1-ubyte, any
 *                        content. Each IDX file may be gzipped, with or without ".gz".
 *   out    on success owns the dataset: close with vgg_dataset_close
 * The classes are those of the training set, whichever split is opened. Pictures in files of their
 * own are not decoded yet.
 * Fails with VGG_BAD_VALUE for an unknown spec, VGG_NO_INPUT when a file or the split is missing or
 * a folder cannot be read, VGG_BAD_CONTENT when a file is truncated, has a wrong magic or absurd
 * sizes, is not the published one, or a class is not in the training set; VGG_NO_MEMORY. */
VGG_API vgg_status vgg_dataset_open_with(const char *spec, vgg_split split,
                                         const vgg_data_options *options, vgg_dataset **out,
                                         vgg_error *err);
/* The same with nothing but a limit. */
VGG_API vgg_status vgg_dataset_open(const char *spec, vgg_split split, size_t limit,
                                    vgg_dataset **out, vgg_error *err);
VGG_API void vgg_dataset_close(vgg_dataset *data);

/* Which splits there are: present[VGG_TRAIN], ... written. Fails as vgg_dataset_open for an unknown
 * spec or a path that is not there. */
VGG_API vgg_status vgg_dataset_splits(const char *spec, bool present[VGG_NUM_SPLITS],
                                      vgg_error *err);

/* A view of some pictures of `data`, which may be closed before it.
 *   ids  [count], borrowed; numbers of `data`, in the view's order
 * Fails with VGG_BAD_VALUE (a number out of range), VGG_NO_MEMORY. */
VGG_API vgg_status vgg_dataset_subset(const vgg_dataset *data, const uint32_t *ids, size_t count,
                                      vgg_dataset **out, vgg_error *err);

/* Divides a dataset by a seeded draw: of every class, `fraction` of its pictures go to `part`,
 * rounded down or up so that fraction * count of all do, and the others, at least one of a class,
 * to `rest`. Both keep the order of `data`. Equal data, fraction and seed give equal parts, on
 * every machine.
 * Fails with VGG_BAD_VALUE (fraction not between 0 and 1, or `part` would be empty),
 * VGG_NO_MEMORY. */
VGG_API vgg_status vgg_dataset_divide(const vgg_dataset *data, double fraction, uint64_t seed,
                                      vgg_dataset **rest, vgg_dataset **part, vgg_error *err);

VGG_API size_t vgg_dataset_count(const vgg_dataset *data);
/* The split that was opened; a subset's is that of its whole. Of a divided set, `rest` keeps it and
 * `part` is VGG_VALIDATION. */
VGG_API vgg_split vgg_dataset_split(const vgg_dataset *data);
/* The stored pictures' shape, e.g. [1, 28, 28]. Where they lie in files, h and w are 0 (each has
 * its own) and c is the most channels among a few of them, read when the dataset was opened. */
VGG_API vgg_shape vgg_dataset_shape(const vgg_dataset *data);
VGG_API int vgg_dataset_classes(const vgg_dataset *data);
/* The name of class 0 .. classes-1; lent. NULL when out of range. */
VGG_API const char *vgg_dataset_class_name(const vgg_dataset *data, int label);
/* Picture i, [h][w][c] bytes; lent until the dataset is closed. NULL when out of range or in a file
 * of its own. */
VGG_API const uint8_t *vgg_dataset_pixels(const vgg_dataset *data, size_t i);
/* Picture i, read and decoded where it lies in a file.
 *   out  on success owns its pixels: free with vgg_image_free
 * Fails with VGG_BAD_VALUE (out of range) and as vgg_image_read. */
VGG_API vgg_status vgg_dataset_read(const vgg_dataset *data, size_t i, vgg_image *out,
                                    vgg_error *err);
/* The file of picture i, as the CSV file names it or below the dataset's folder; lent. NULL when
 * out of range or not in a file of its own. */
VGG_API const char *vgg_dataset_path(const vgg_dataset *data, size_t i);
/* The label of picture i, 0 .. classes-1; -1 when out of range. */
VGG_API int vgg_dataset_label(const vgg_dataset *data, size_t i);
/* The spec with its word and an absolute path; lent. */
VGG_API const char *vgg_dataset_spec(const vgg_dataset *data);
/* Line i about what was found odd but not wrong, for instance a class without pictures; lent. NULL
 * behind the last. */
VGG_API const char *vgg_dataset_note(const vgg_dataset *data, size_t i);
/* A 64-bit digest of the kept pictures and labels: equal data, equal digest. Files are taken by
 * their names and sizes. */
VGG_API uint64_t vgg_dataset_digest(const vgg_dataset *data);

/* ---- random changes of training pictures ----------------------------------------------------- */

/* The i-th change that there is, with a line about it; NULL behind the last. A list of changes is
 * text, "flip,pad=4,jitter=256-512": names with or without values of their own. */
VGG_API const char *vgg_augment_name_at(size_t i, const char **about);

/* What a picture becomes as sample `sample` of an epoch of a run, mixup apart.
 *   list    changes; NULL, "" and "none" mean none
 *   rule    borrowed; channels, invert and, where no change says otherwise, size as it says
 *   image   borrowed
 *   pixels  [input.h][input.w][input.c], written
 * Fails with VGG_BAD_VALUE (the list, or as vgg_preprocess_apply), VGG_NO_MEMORY. */
VGG_API vgg_status vgg_augment_apply(const char *list, const vgg_preprocess *rule,
                                     const vgg_image *image, uint64_t seed, uint32_t epoch,
                                     uint32_t sample, uint8_t *pixels, vgg_error *err);

/* ---- looking a dataset over ------------------------------------------------------------------ */

/* What the pictures of a split are. */
typedef struct vgg_data_split {
  vgg_dataset *data; /* the split itself; NULL where there is none. Closed with the report */
  size_t *per_class; /* [classes] pictures, readable or not */
  size_t num_bad;    /* pictures that cannot be read ... */
  size_t *bad;       /* [num_bad] ... which, in the split's order ... */
  char **bad_lines;  /* [num_bad] ... and why: "PATH: ..." */
  size_t grey, colour;
  size_t repeated;                /* pictures whose very pixels an earlier one of the split has */
  int min_h, max_h, min_w, max_w; /* of the readable ones; 0 when there are none */
} vgg_data_split;

/* One picture in two splits: the same pixels. */
typedef struct vgg_data_twin {
  vgg_split split[2];
  size_t index[2];
  bool same_class;
} vgg_data_twin;

typedef struct vgg_data_report {
  vgg_data_split splits[VGG_NUM_SPLITS];
  size_t num_twins;
  vgg_data_twin *twins; /* [num_twins] */
  /* Over all pixels of the training set, 0 .. 1. Where there are colour pictures, grey ones count
   * as three equal channels. */
  int channels;
  double mean[3], std[3];
} vgg_data_report;

/* Reads every picture of every split.
 *   threads   0: the processors of the machine
 *   progress  called now and then with the pictures read and all there are; a true answer ends with
 *             VGG_STOPPED; may be NULL
 *   out       on success owned by the caller: free with vgg_data_report_free
 * Fails as vgg_dataset_open_with; pictures that cannot be read are in the report. */
VGG_API vgg_status vgg_data_inspect(const char *spec, const vgg_data_options *options, int threads,
                                    bool (*progress)(size_t done, size_t total, void *user),
                                    void *user, vgg_data_report **out, vgg_error *err);
VGG_API void vgg_data_report_free(vgg_data_report *report);

#ifdef __cplusplus
}
#endif
#endif
