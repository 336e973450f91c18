/* SPDX-License-Identifier: Apache-2.0
 *
 * A dataset looked over, picture by picture. Sums are whole numbers, so that the report does not
 * depend on the threads.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/md5.h"
#include "data/bad.h"
#include "data/dataset.h"

enum { CHUNK = 256 }; /* pictures between two calls of progress */

/* What one picture is. */
typedef struct look {
  uint8_t digest[16]; /* of size and pixels */
  vgg_status status;
  char *why; /* when it cannot be read; owned */
  int c, h, w;
  uint64_t sum[3], squares[3];
} look;

/* A readable picture, to find its equals. */
typedef struct print {
  uint8_t digest[16];
  vgg_split split;
  size_t index;
} print;

typedef struct inspection {
  vgg_data_report *report;
  print *prints; /* [num_prints] */
  size_t num_prints;
  uint64_t pixels, sum[3], squares[3]; /* of the training set */
  int threads;
  bool (*progress)(size_t done, size_t total, void *user);
  void *user;
  size_t done, total;
} inspection;

/* ---- one picture ----------------------------------------------------------------------------- */

static void digest_pixels(const vgg_image *image, uint8_t digest[16]) {
  const size_t bytes = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
  const int32_t size[] = {image->channels, image->height, image->width};
  md5 m;
  md5_begin(&m);
  md5_add(&m, size, sizeof size);
  md5_add(&m, image->pixels, bytes);
  md5_end(&m, digest);
}

static void sum_pixels(const vgg_image *image, look *l) {
  const size_t n = (size_t)image->height * (size_t)image->width;
  const int c = image->channels;
  for (int k = 0; k < c; k++) {
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
      const uint32_t x = image->pixels[i * (size_t)c + (size_t)k];
      sum += x;
      squares += x * x;
    }
    l->sum[k] = sum;
    l->squares[k] = squares;
  }
  for (int k = c; k < 3; k++) {
    l->sum[k] = l->sum[0];
    l->squares[k] = l->squares[0];
  }
}

static void look_at(const vgg_dataset *data, size_t i, look *l) {
  vgg_image image;
  bool owned;
  vgg_error err;
  *l = (look){0};
  l->status = dataset_picture(data->store, dataset_place(data, i), NULL, &image, &owned, &err);
  if (l->status != VGG_OK) {
    l->why = strdup(err.message);
    if (!l->why) l->status = VGG_NO_MEMORY;
    return;
  }
  l->c = image.channels;
  l->h = image.height;
  l->w = image.width;
  digest_pixels(&image, l->digest);
  sum_pixels(&image, l);
  if (owned) vgg_image_free(&image);
}

/* ---- a split --------------------------------------------------------------------------------- */

static void widen(int x, int *min, int *max) {
  if (*max == 0 || x < *min) *min = x;
  if (x > *max) *max = x;
}

/* The pictures' reports, in their order. Takes what `l` owns. */
static vgg_status add_look(inspection *in, vgg_split split, size_t i, look *l, bad_list *bad,
                           vgg_error *err) {
  vgg_data_split *s = &in->report->splits[split];
  if (l->status == VGG_NO_MEMORY) return err_no_memory(err, vgg_dataset_spec(s->data), CHUNK);
  if (l->status != VGG_OK)
    return bad_add(bad, (uint32_t)i, l->why) ? VGG_OK : err_no_memory(err, l->why, sizeof *l);
  if (l->c == 1)
    s->grey++;
  else
    s->colour++;
  widen(l->h, &s->min_h, &s->max_h);
  widen(l->w, &s->min_w, &s->max_w);
  print *p = &in->prints[in->num_prints++];
  memcpy(p->digest, l->digest, sizeof p->digest);
  p->split = split;
  p->index = i;
  if (split != VGG_TRAIN) return VGG_OK;
  in->pixels += (uint64_t)l->h * (uint64_t)l->w;
  for (int k = 0; k < 3; k++) {
    in->sum[k] += l->sum[k];
    in->squares[k] += l->squares[k];
  }
  return VGG_OK;
}

static vgg_status look_over(inspection *in, vgg_split split, look *looks, bad_list *bad,
                            vgg_error *err) {
  const vgg_dataset *data = in->report->splits[split].data;
  const size_t count = vgg_dataset_count(data);
  for (size_t first = 0; first < count; first += CHUNK) {
    const size_t n = count - first < CHUNK ? count - first : CHUNK;
    vgg_status status = VGG_OK;
#pragma omp parallel for num_threads(in->threads) schedule(dynamic)
    for (size_t i = 0; i < n; i++) look_at(data, first + i, &looks[i]);
    for (size_t i = 0; i < n; i++) {
      if (status == VGG_OK) status = add_look(in, split, first + i, &looks[i], bad, err);
      free(looks[i].why);
    }
    in->done += n;
    if (status != VGG_OK) return status;
    if (in->progress && in->progress(in->done, in->total, in->user))
      return err_set(err, VGG_STOPPED, "%s: the inspection was stopped", vgg_dataset_spec(data));
  }
  return VGG_OK;
}

/* The list becomes the report's. */
static vgg_status keep_bad(vgg_data_split *s, const bad_list *bad, vgg_error *err) {
  if (bad->count == 0) return VGG_OK;
  s->bad = malloc(bad->count * sizeof *s->bad);
  s->bad_lines = calloc(bad->count, sizeof *s->bad_lines);
  if (!s->bad || !s->bad_lines) return err_no_memory(err, "report", bad->count * sizeof *s->bad);
  s->num_bad = bad->count;
  for (size_t i = 0; i < bad->count; i++) {
    s->bad[i] = bad->at[i].id;
    s->bad_lines[i] = strdup(bad->at[i].line);
    if (!s->bad_lines[i]) return err_no_memory(err, "report", strlen(bad->at[i].line));
  }
  return VGG_OK;
}

static vgg_status inspect_split(inspection *in, vgg_split split, vgg_error *err) {
  vgg_data_split *s = &in->report->splits[split];
  bad_list bad = {0};
  const size_t classes = (size_t)vgg_dataset_classes(s->data);
  look *looks = malloc(CHUNK * sizeof *looks);
  s->per_class = calloc(classes, sizeof *s->per_class);
  vgg_status status = VGG_OK;
  if (!looks || !s->per_class) {
    status = err_no_memory(err, "report", CHUNK * sizeof *looks);
    goto done;
  }
  for (size_t i = 0; i < vgg_dataset_count(s->data); i++)
    s->per_class[vgg_dataset_label(s->data, i)]++;
  status = look_over(in, split, looks, &bad, err);
  if (status == VGG_OK) status = keep_bad(s, &bad, err);
done:
  free(looks);
  bad_free(&bad);
  return status;
}

/* ---- equal pictures -------------------------------------------------------------------------- */

static int by_digest(const void *a, const void *b) {
  const print *x = a, *y = b;
  const int c = memcmp(x->digest, y->digest, sizeof x->digest);
  if (c != 0) return c;
  if (x->split != y->split) return x->split < y->split ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

static int by_place(const void *a, const void *b) {
  const vgg_data_twin *x = a, *y = b;
  if (x->split[1] != y->split[1]) return x->split[1] < y->split[1] ? -1 : 1;
  return (x->index[1] > y->index[1]) - (x->index[1] < y->index[1]);
}

static bool add_twin(vgg_data_report *r, size_t *room, const print *first, const print *second) {
  if (r->num_twins == *room) {
    const size_t more = *room ? 2 * *room : 64;
    vgg_data_twin *twins = realloc(r->twins, more * sizeof *twins);
    if (!twins) return false;
    r->twins = twins;
    *room = more;
  }
  r->twins[r->num_twins++] =
      (vgg_data_twin){{first->split, second->split},
                      {first->index, second->index},
                      vgg_dataset_label(r->splits[first->split].data, first->index) ==
                          vgg_dataset_label(r->splits[second->split].data, second->index)};
  return true;
}

/* Equal pictures lie side by side once sorted: those of the first split before the others. */
static vgg_status find_twins(inspection *in, vgg_error *err) {
  vgg_data_report *r = in->report;
  size_t room = 0;
  qsort(in->prints, in->num_prints, sizeof *in->prints, by_digest);
  const print *first = in->prints;
  for (size_t i = 1; i < in->num_prints; i++) {
    const print *p = &in->prints[i];
    if (memcmp(first->digest, p->digest, sizeof p->digest) != 0) {
      first = p;
      continue;
    }
    if (p->split == p[-1].split) r->splits[p->split].repeated++;
    if (p->split != first->split && !add_twin(r, &room, first, p))
      return err_no_memory(err, "report", room * sizeof *r->twins);
  }
  if (r->num_twins > 0) qsort(r->twins, r->num_twins, sizeof *r->twins, by_place);
  return VGG_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void set_moments(inspection *in) {
  vgg_data_report *r = in->report;
  r->channels = r->splits[VGG_TRAIN].colour > 0 ? 3 : 1;
  if (in->pixels == 0) return;
  for (int k = 0; k < r->channels; k++) {
    const double n = (double)in->pixels, mean = (double)in->sum[k] / n;
    const double variance = (double)in->squares[k] / n - mean * mean;
    r->mean[k] = mean / 255;
    r->std[k] = sqrt(variance > 0 ? variance : 0) / 255;
  }
}

static vgg_status open_splits(inspection *in, const char *spec, const vgg_data_options *options,
                              vgg_error *err) {
  bool present[VGG_NUM_SPLITS];
  vgg_status status = vgg_dataset_splits(spec, present, err);
  if (status != VGG_OK) return status;
  present[VGG_TRAIN] = true; /* without one, opening it says what is missing */
  for (int s = 0; s < VGG_NUM_SPLITS && status == VGG_OK; s++) {
    vgg_data_split *split = &in->report->splits[s];
    if (!present[s]) continue;
    status = vgg_dataset_open_with(spec, (vgg_split)s, options, &split->data, err);
    if (status == VGG_OK) in->total += vgg_dataset_count(split->data);
  }
  return status;
}

vgg_status vgg_data_inspect(const char *spec, const vgg_data_options *options, int threads,
                            bool (*progress)(size_t done, size_t total, void *user), void *user,
                            vgg_data_report **out, vgg_error *err) {
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  inspection in = {.report = calloc(1, sizeof *in.report),
                   .threads = threads > 0      ? threads
                              : processors > 0 ? (int)processors
                                               : 1,
                   .progress = progress,
                   .user = user};
  if (!in.report) return err_no_memory(err, "report", sizeof *in.report);
  vgg_status status = open_splits(&in, spec, options, err);
  if (status != VGG_OK) goto done;
  in.prints = malloc(in.total * sizeof *in.prints);
  if (!in.prints) {
    status = err_no_memory(err, "report", in.total * sizeof *in.prints);
    goto done;
  }
  for (int s = 0; s < VGG_NUM_SPLITS && status == VGG_OK; s++)
    if (in.report->splits[s].data) status = inspect_split(&in, (vgg_split)s, err);
  if (status == VGG_OK) status = find_twins(&in, err);
  if (status != VGG_OK) goto done;
  set_moments(&in);
  *out = in.report;
  in.report = NULL;
done:
  free(in.prints);
  vgg_data_report_free(in.report);
  return status;
}

void vgg_data_report_free(vgg_data_report *report) {
  if (!report) return;
  for (int s = 0; s < VGG_NUM_SPLITS; s++) {
    vgg_data_split *split = &report->splits[s];
    for (size_t i = 0; i < split->num_bad; i++) free(split->bad_lines[i]);
    free(split->bad_lines);
    free(split->bad);
    free(split->per_class);
    vgg_dataset_close(split->data);
  }
  free(report->twins);
  free(report);
}
