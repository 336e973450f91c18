/* SPDX-License-Identifier: Apache-2.0 */
#include "data/view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/md5.h"
#include "base/memory.h"
#include "base/philox.h"

/* ---- digest ---------------------------------------------------------------------------------- */

static void add_pixels(md5 *m, const vgg_dataset *data) {
  const dataset_store *store = data->store;
  const size_t picture = dataset_picture_bytes(store);
  for (size_t i = 0; i < data->count; i++)
    md5_add(m, store->pixels + dataset_place(data, i) * picture, picture);
  for (size_t i = 0; i < data->count; i++)
    md5_add(m, &(uint8_t){(uint8_t)store->labels[dataset_place(data, i)]}, 1);
}

/* A file that is not there has no size; reading it will tell. */
static long long size_of(const dataset_store *store, size_t i) {
  struct stat st;
  char *path = dataset_file(store, i);
  const bool found = path && stat(path, &st) == 0;
  free(path);
  return found ? (long long)st.st_size : -1;
}

static void add_files(md5 *m, const vgg_dataset *data) {
  const dataset_store *store = data->store;
  for (size_t i = 0; i < data->count; i++) {
    const size_t at = dataset_place(data, i);
    const char *name = name_list_at(&store->paths, at);
    char numbers[64];
    const int length = snprintf(numbers, sizeof numbers, "%" PRId32 " %lld", store->labels[at],
                                size_of(store, at));
    md5_add(m, name, strlen(name) + 1);
    md5_add(m, numbers, (size_t)length + 1);
  }
}

static uint64_t digest_of(const vgg_dataset *data) {
  md5 m;
  uint8_t digest[16];
  char header[96];
  const vgg_shape s = data->store->shape;
  const bool files = !data->store->pixels;
  const int length = files ? snprintf(header, sizeof header, "%zu files\n", data->count)
                           : snprintf(header, sizeof header, "%zu pictures of %dx%dx%d\n",
                                      data->count, s.c, s.h, s.w);
  md5_begin(&m);
  md5_add(&m, header, (size_t)length);
  if (files)
    add_files(&m, data);
  else
    add_pixels(&m, data);
  md5_end(&m, digest);
  uint64_t first = 0;
  for (int i = 0; i < 8; i++) first = first << 8 | digest[i];
  return first;
}

/* ---- views ----------------------------------------------------------------------------------- */

vgg_status view_create(dataset_store *store, vgg_split split, uint32_t *ids, size_t count,
                       vgg_dataset **out, vgg_error *err) {
  vgg_dataset *data = calloc(1, sizeof *data);
  if (!data) return err_no_memory(err, store->spec, sizeof *data);
  *data = (vgg_dataset){.store = store, .split = split, .ids = ids, .count = count};
  data->digest = digest_of(data);
  atomic_fetch_add(&store->users, 1);
  *out = data;
  return VGG_OK;
}

vgg_status vgg_dataset_subset(const vgg_dataset *data, const uint32_t *ids, size_t count,
                              vgg_dataset **out, vgg_error *err) {
  size_t bytes;
  if (!mem_mul(count, sizeof *ids, &bytes)) return err_no_memory(err, "subset", SIZE_MAX);
  uint32_t *places = malloc(bytes ? bytes : 1);
  if (!places) return err_no_memory(err, "subset", bytes);
  vgg_status status = VGG_OK;
  for (size_t i = 0; status == VGG_OK && i < count; i++) {
    if (ids[i] < data->count)
      places[i] = (uint32_t)dataset_place(data, ids[i]);
    else
      status = err_set(err, VGG_BAD_VALUE, "%s: picture %" PRIu32 ", wanted below %zu",
                       data->store->spec, ids[i], data->count);
  }
  if (status == VGG_OK) status = view_create(data->store, data->split, places, count, out, err);
  if (status != VGG_OK) free(places);
  return status;
}

/* ---- a stratified draw ----------------------------------------------------------------------- */

/* A picture with its lot. Those of a class that have the lowest lots are drawn. */
typedef struct lot {
  uint64_t drawn;
  int32_t label;
  uint32_t id;
} lot;

static int by_label_and_lot(const void *a, const void *b) {
  const lot *x = a, *y = b;
  if (x->label != y->label) return x->label < y->label ? -1 : 1;
  if (x->drawn != y->drawn) return x->drawn < y->drawn ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

/* How many of a class are drawn, and what was cut off to make it a whole number: in millionths, so
 * that what is equal on paper is equal. */
typedef struct share {
  size_t count, wanted, label;
  long cut;
} share;

static int by_cut(const void *a, const void *b) {
  const share *x = a, *y = b;
  if (x->cut != y->cut) return x->cut > y->cut ? -1 : 1;
  return (x->label > y->label) - (x->label < y->label);
}
static int by_label(const void *a, const void *b) {
  const share *x = a, *y = b;
  return (x->label > y->label) - (x->label < y->label);
}

/* Whole shares, the largest remainders rounded up until they sum to `total`. Never all of a class:
 * what is left must know it, too. */
static void set_shares(share *shares, size_t classes, double fraction, size_t total) {
  size_t sum = 0;
  for (size_t k = 0; k < classes; k++) {
    const double exact = fraction * (double)shares[k].count;
    shares[k].wanted = (size_t)exact;
    shares[k].cut = lround(1e6 * (exact - floor(exact)));
    sum += shares[k].wanted;
  }
  qsort(shares, classes, sizeof *shares, by_cut);
  for (size_t k = 0; k < classes && sum < total; k++) {
    if (shares[k].wanted + 1 >= shares[k].count) continue;
    shares[k].wanted++;
    sum++;
  }
  qsort(shares, classes, sizeof *shares, by_label);
}

/* chosen[count]: which pictures are drawn; *num_chosen: how many. */
static vgg_status draw(const vgg_dataset *data, double fraction, uint64_t seed, bool *chosen,
                       size_t *num_chosen, vgg_error *err) {
  const size_t count = data->count, classes = (size_t)vgg_dataset_classes(data);
  lot *lots = calloc(count ? count : 1, sizeof *lots);
  share *shares = calloc(classes, sizeof *shares);
  vgg_status status = VGG_OK;
  if (!lots || !shares) {
    status = err_no_memory(err, data->store->spec, count * sizeof *lots);
    goto done;
  }
  for (size_t k = 0; k < classes; k++) shares[k].label = k;
  for (size_t i = 0; i < count; i++) {
    uint32_t r[4];
    philox(seed, PHILOX_SPLIT, 0, (uint32_t)i, 0, r);
    lots[i] = (lot){(uint64_t)r[0] << 32 | r[1], vgg_dataset_label(data, i), (uint32_t)i};
    shares[lots[i].label].count++;
  }
  set_shares(shares, classes, fraction, (size_t)llround(fraction * (double)count));
  qsort(lots, count, sizeof *lots, by_label_and_lot);
  const lot *first = lots;
  for (size_t k = 0; k < classes; k++) {
    for (size_t i = 0; i < shares[k].wanted; i++) chosen[first[i].id] = true;
    first += shares[k].count;
    *num_chosen += shares[k].wanted;
  }
done:
  free(lots);
  free(shares);
  return status;
}

static vgg_status pick(const vgg_dataset *data, const bool *chosen, bool side, size_t count,
                       vgg_dataset **out, vgg_error *err) {
  uint32_t *ids = malloc(count * sizeof *ids);
  if (!ids) return err_no_memory(err, data->store->spec, count * sizeof *ids);
  size_t n = 0;
  for (size_t i = 0; i < data->count; i++)
    if (chosen[i] == side) ids[n++] = (uint32_t)dataset_place(data, i);
  const vgg_split split = side ? VGG_VALIDATION : data->split;
  const vgg_status status = view_create(data->store, split, ids, count, out, err);
  if (status != VGG_OK) free(ids);
  return status;
}

vgg_status vgg_dataset_divide(const vgg_dataset *data, double fraction, uint64_t seed,
                              vgg_dataset **rest, vgg_dataset **part, vgg_error *err) {
  if (!(fraction > 0 && fraction < 1))
    return err_set(err, VGG_BAD_VALUE, "split of %g: wanted a share between 0 and 1", fraction);
  bool *chosen = calloc(data->count ? data->count : 1, sizeof *chosen);
  if (!chosen) return err_no_memory(err, data->store->spec, data->count);
  size_t n = 0;
  vgg_dataset *others = NULL;
  vgg_status status = draw(data, fraction, seed, chosen, &n, err);
  if (status == VGG_OK && n == 0)
    status =
        err_set(err, VGG_BAD_VALUE, "%s: %g of %zu pictures in %d classes are none to set aside",
                data->store->spec, fraction, data->count, vgg_dataset_classes(data));
  if (status == VGG_OK) status = pick(data, chosen, false, data->count - n, &others, err);
  if (status == VGG_OK) status = pick(data, chosen, true, n, part, err);
  free(chosen);
  if (status != VGG_OK) {
    vgg_dataset_close(others);
    return status;
  }
  *rest = others;
  return VGG_OK;
}
