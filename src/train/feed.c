/* SPDX-License-Identifier: Apache-2.0 */
#include "train/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct feed {
  feed_options options;
  loader *loader;
  const loader_batch *batch; /* the newest; NULL: none */
  size_t picture, row;       /* bytes of a picture's pixels, of its row */
  /* With rows: */
  size_t count;     /* pictures of the data set */
  char *rows;       /* [count][row] */
  bool *known;      /* [count] whether a picture's row was computed */
  size_t num_known; /* how many were */
  bool from_rows;   /* this epoch needs no loader */
  uint32_t *order;  /* [count] of such an epoch */
  size_t next;      /* of them; a multiple of the batch size */
  loader_batch own; /* its labels and ids are ours: [batch] */
  int32_t *labels;
  uint32_t *ids;
};

size_t feed_row_bytes(const engine *frozen, const vgg_dataset *data) {
  size_t bytes;
  const size_t row = engine_output_bytes(frozen), count = vgg_dataset_count(data);
  return mem_mul(row, count, &bytes) ? bytes : SIZE_MAX;
}

static vgg_status make_rows(feed *f, vgg_error *err) {
  const feed_options *o = &f->options;
  const size_t bytes = feed_row_bytes(o->frozen, o->loader.data);
  const size_t batch = (size_t)o->loader.batch;
  f->count = vgg_dataset_count(o->loader.data);
  f->rows = bytes < SIZE_MAX ? mem_alloc(bytes) : NULL;
  f->known = calloc(f->count, sizeof *f->known);
  f->order = calloc(f->count, sizeof *f->order);
  f->labels = calloc(batch, sizeof *f->labels);
  f->ids = calloc(batch, sizeof *f->ids);
  if (f->rows && f->known && f->order && f->labels && f->ids) return VGG_OK;
  return err_no_memory(err, "values of frozen layers", bytes);
}

vgg_status feed_create(const feed_options *options, feed **out, vgg_error *err) {
  feed *f = calloc(1, sizeof *f);
  if (!f) return err_no_memory(err, "feed", sizeof *f);
  const vgg_shape in = options->loader.rule.input;
  f->options = *options;
  f->picture = (size_t)in.c * (size_t)in.h * (size_t)in.w;
  f->row = engine_input_bytes(options->engine);
  vgg_status status = loader_create(&options->loader, &f->loader, err);
  if (status == VGG_OK && options->keep && !options->loader.augment.any) status = make_rows(f, err);
  if (status != VGG_OK) {
    feed_close(f);
    return status;
  }
  *out = f;
  return VGG_OK;
}

void feed_close(feed *f) {
  if (!f) return;
  loader_close(f->loader);
  mem_free(f->rows);
  free(f->known);
  free(f->order);
  free(f->labels);
  free(f->ids);
  free(f);
}

size_t feed_batches(const feed *f) { return loader_batches(f->loader); }
size_t feed_bad(const feed *f) { return loader_bad(f->loader); }
const char *feed_bad_line(const feed *f, size_t i) { return loader_bad_line(f->loader, i); }

vgg_status feed_start(feed *f, uint32_t epoch, size_t first, vgg_error *err) {
  const loader_options *o = &f->options.loader;
  f->from_rows = f->rows && f->num_known + loader_bad(f->loader) == f->count;
  if (!f->from_rows) return loader_start(f->loader, epoch, first, err);
  if (o->shuffle)
    sampler_order(o->seed, epoch, f->order, (uint32_t)f->count);
  else
    for (uint32_t i = 0; i < f->count; i++) f->order[i] = i;
  f->next = first * (size_t)o->batch;
  return VGG_OK;
}

/* Pictures without a row are those that could not be used: missing, as from the loader. */
static const loader_batch *batch_of_rows(feed *f) {
  const loader_options *o = &f->options.loader;
  if (f->next >= f->count) return NULL;
  int n = 0;
  for (int i = 0; i < o->batch && f->next < f->count; i++) {
    const uint32_t id = f->order[f->next++];
    if (!f->known[id]) continue;
    f->ids[n] = id;
    f->labels[n++] = vgg_dataset_label(o->data, id);
  }
  f->own = (loader_batch){.n = n, .labels = f->labels, .ids = f->ids, .share = 1};
  return &f->own;
}

vgg_status feed_next(feed *f, const loader_batch **out, vgg_error *err) {
  vgg_status status = VGG_OK;
  if (f->from_rows)
    f->batch = batch_of_rows(f);
  else
    status = loader_next(f->loader, &f->batch, err);
  *out = f->batch;
  return status;
}

static vgg_status run_frozen(feed *f, int first, int n, vgg_error *err) {
  engine *frozen = f->options.frozen;
  engine_set_pixels(frozen, n, f->batch->pixels + (size_t)first * f->picture);
  const vgg_status status = engine_forward(frozen, n, false, err);
  if (status != VGG_OK) return status;
  const char *rows = engine_output(frozen);
  memcpy(engine_input(f->options.engine), rows, (size_t)n * f->row);
  for (int i = 0; i < n && f->rows; i++) {
    const uint32_t id = f->batch->ids[first + i];
    memcpy(f->rows + id * f->row, rows + (size_t)i * f->row, f->row);
    f->num_known += !f->known[id];
    f->known[id] = true;
  }
  return VGG_OK;
}

vgg_status feed_put(feed *f, int first, int n, vgg_error *err) {
  if (!f->from_rows && f->options.frozen) return run_frozen(f, first, n, err);
  if (!f->from_rows) {
    engine_set_pixels(f->options.engine, n, f->batch->pixels + (size_t)first * f->picture);
    return VGG_OK;
  }
  char *to = engine_input(f->options.engine);
  for (int i = 0; i < n; i++)
    memcpy(to + (size_t)i * f->row, f->rows + f->batch->ids[first + i] * f->row, f->row);
  return VGG_OK;
}
