/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch b lies in slot b % SLOTS of a ring:
 *
 *      held            taken            end
 *   ----|---------------|---------------|
 *   lent, ready or being made   not begun
 *
 * The consumer moves `held`, a worker that begins a batch moves `taken`, and taken <= held + SLOTS.
 * A batch is made by one worker from start to end, so its content cannot depend on their number.
 */
#include "data/loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "data/bad.h"
#include "data/dataset.h"
#include "image/preprocess.h"

enum { SLOTS = 3, MAX_WORKERS = 64 };

typedef struct slot {
  uint8_t *pixels; /* [rows][h][w][c] */
  int32_t *labels; /* [rows] */
  uint32_t *ids;   /* [rows] */
  loader_batch batch;
  bad_list bad;      /* found while this batch was made */
  vgg_status status; /* why it could not be made */
  vgg_error err;
  bool ready;
} slot;

typedef struct worker {
  loader *owner;
  pthread_t thread;
  preprocessor *prepare; /* has scratch, so one for each thread */
  vgg_shape prepared;    /* what pictures it is for */
  uint8_t *scratch;      /* of one prepared picture, where pictures are changed */
} worker;

struct loader {
  loader_options options;
  size_t picture; /* bytes of one prepared picture */
  size_t batches;
  uint32_t epoch;
  uint8_t *arena;
  uint32_t *order; /* [count of the dataset] */
  slot slots[SLOTS];
  worker *workers; /* [options.workers] */
  int num_running; /* threads */
  bool *is_bad;    /* [count of the dataset] not tried any more; written between epochs */
  bad_list bad;    /* of the batches that were taken, in their order */
  size_t known;    /* of them, those that is_bad has */
  size_t max_bad;

  pthread_mutex_t lock; /* guards what follows and the slots' `ready` */
  pthread_cond_t work;  /* for workers: a batch may be begun, or stop */
  pthread_cond_t made;  /* for the consumer: a batch is ready, or no worker is busy */
  size_t held, taken, end;
  bool lent;    /* batch `held` is with the caller */
  bool started; /* an epoch was begun */
  bool stop;
  int busy;            /* workers in the middle of a batch */
  atomic_bool dropped; /* the batches under way are wanted no more */
};

/* The arena: SLOTS x (pixels, labels, ids), order. */
typedef struct layout {
  size_t rows, pixels, labels, order, total;
} layout;

static bool lay_out(vgg_shape input, int batch, size_t count, layout *l) {
  const size_t rows = (size_t)batch < count ? (size_t)batch : count;
  size_t picture, pixels, labels, order, slots;
  if (!mem_mul((size_t)input.c * (size_t)input.h, (size_t)input.w, &picture) ||
      !mem_mul(rows, picture, &pixels) || !mem_add(pixels, MEM_ALIGN, &slots) ||
      !mem_mul(rows, sizeof(int32_t), &labels) || !mem_mul(count, sizeof(uint32_t), &order))
    return false;
  l->rows = rows;
  l->pixels = mem_round(pixels);
  l->labels = mem_round(labels);
  l->order = mem_round(order);
  return mem_add(l->pixels, 2 * l->labels, &slots) && mem_mul(slots, SLOTS, &slots) &&
         mem_add(slots, l->order, &l->total);
}

size_t loader_bytes(vgg_shape input, int batch, size_t count) {
  layout l;
  size_t total;
  if (!lay_out(input, batch, count, &l) || !mem_add(l.total, count * sizeof(bool), &total))
    return SIZE_MAX;
  return sizeof(loader) + total;
}

/* The worker's preprocessor, made anew when the picture's size is another one than before, or the
 * part of it that is wanted. */
static vgg_status prepare_for(worker *w, const vgg_image *image, const preprocess_part *part,
                              vgg_error *err) {
  const vgg_shape s = w->prepared;
  if (!part && w->prepare && s.c == image->channels && s.h == image->height && s.w == image->width)
    return VGG_OK;
  preprocessor_close(w->prepare);
  w->prepare = NULL;
  w->prepared =
      part ? (vgg_shape){0, 0, 0} : (vgg_shape){image->channels, image->height, image->width};
  return preprocessor_create_part(&w->owner->options.rule, image->channels, image->height,
                                  image->width, part, &w->prepare, err);
}

/* A decoded picture, changed as the epoch has it. */
static vgg_status make_input(worker *w, uint32_t id, const vgg_image *image, uint8_t *out,
                             vgg_error *err) {
  const loader_options *o = &w->owner->options;
  const augment_key key = {o->seed, w->owner->epoch, id};
  preprocess_part part;
  const bool other =
      augmentation_part(&o->augment, &key, &o->rule, image->height, image->width, &part);
  const vgg_status status = prepare_for(w, image, other ? &part : NULL, err);
  if (status != VGG_OK) return status;
  preprocessor_run(w->prepare, image->pixels, out);
  if (!o->augment.any) return VGG_OK;
  vgg_image made = {o->rule.input.c, o->rule.input.h, o->rule.input.w, out};
  augmentation_apply(&o->augment, &key, &made, w->scratch);
  return VGG_OK;
}

/* The data's limits, the rule's way. Parts of a picture want all of its pixels, and a larger size
 * wants more of them. */
static vgg_decode_options decode_for(const loader *l) {
  const loader_options *o = &l->options;
  const vgg_decode_options way = vgg_preprocess_decode(&o->rule);
  vgg_decode_options decode = o->data->store->decode;
  decode.ignore_exif = way.ignore_exif;
  decode.shrunk_h = way.shrunk_h;
  decode.shrunk_w = way.shrunk_w;
  if (o->augment.on[AUGMENT_crop]) decode.shrunk_h = decode.shrunk_w = 0;
  if (o->augment.on[AUGMENT_jitter] && way.shrunk_h > 0)
    decode.shrunk_h = decode.shrunk_w = (int)o->augment.second[AUGMENT_jitter];
  return decode;
}

static vgg_status make_picture(worker *w, uint32_t id, uint8_t *out, vgg_error *err) {
  const vgg_dataset *data = w->owner->options.data;
  const size_t place = dataset_place(data, id);
  const vgg_decode_options decode = decode_for(w->owner);
  vgg_image image;
  bool owned;
  vgg_status status = dataset_picture(data->store, place, &decode, &image, &owned, err);
  if (status != VGG_OK) return status;
  status = make_input(w, id, &image, out, err);
  if (owned) vgg_image_free(&image);
  if (status != VGG_BAD_VALUE) return status;
  char *path = owned ? dataset_file(data->store, place) : NULL;
  err_prefix(err, status, path ? path : vgg_dataset_spec(data));
  free(path);
  return status;
}

/* False when the batch is wanted no more. */
static bool make_batch(worker *w, size_t b, slot *s) {
  loader *l = w->owner;
  const vgg_dataset *data = l->options.data;
  const size_t rows = (size_t)l->options.batch, first = b * rows;
  const size_t left = vgg_dataset_count(data) - first, planned = left < rows ? left : rows;
  size_t n = 0;
  s->status = VGG_OK;
  for (size_t i = 0; i < planned && s->status == VGG_OK; i++) {
    if (atomic_load_explicit(&l->dropped, memory_order_relaxed)) return false;
    const uint32_t id = l->order[first + i];
    if (l->is_bad[id]) continue;
    vgg_error err;
    const vgg_status status = make_picture(w, id, s->pixels + n * l->picture, &err);
    if (status == VGG_OK) {
      s->labels[n] = vgg_dataset_label(data, id);
      s->ids[n++] = id;
    } else if (status == VGG_NO_MEMORY || !bad_add(&s->bad, id, err.message)) {
      s->status = status == VGG_NO_MEMORY ? err_set(&s->err, status, "%s", err.message)
                                          : err_no_memory(&s->err, "loader", sizeof err);
    }
  }
  const augment_key key = {l->options.seed, l->epoch, (uint32_t)b};
  const float share = augmentation_mix(&l->options.augment, &key, (int)n, l->picture, s->pixels);
  s->batch = (loader_batch){(int)n, s->pixels, s->labels, s->ids, share};
  return true;
}

static void *work(void *argument) {
  worker *w = argument;
  loader *l = w->owner;
  pthread_mutex_lock(&l->lock);
  for (;;) {
    while (!l->stop && (l->taken == l->end || l->taken == l->held + SLOTS))
      pthread_cond_wait(&l->work, &l->lock);
    if (l->stop) break;
    const size_t b = l->taken++;
    slot *s = &l->slots[b % SLOTS];
    l->busy++;
    pthread_mutex_unlock(&l->lock);
    bad_clear(&s->bad);
    const bool whole = make_batch(w, b, s);
    pthread_mutex_lock(&l->lock);
    l->busy--;
    s->ready = whole;
    pthread_cond_signal(&l->made);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

static vgg_status check_options(const loader_options *o, vgg_error *err) {
  if (o->batch < 1) return err_set(err, VGG_BAD_VALUE, "batch %d: wanted at least 1", o->batch);
  if (o->workers < 0 || o->workers > MAX_WORKERS)
    return err_set(err, VGG_BAD_VALUE, "%d loader threads: wanted 0 to %d", o->workers,
                   MAX_WORKERS);
  return VGG_OK;
}

/* Pictures of one size show at once whether the rule fits them; those in files show their channels.
 */
static vgg_status create_workers(loader *l, vgg_error *err) {
  const loader_options *o = &l->options;
  const vgg_shape stored = vgg_dataset_shape(o->data);
  const bool files = stored.h == 0;
  const vgg_image like = {
      .channels = stored.c, .height = files ? 1 : stored.h, .width = files ? 1 : stored.w};
  l->workers = calloc((size_t)o->workers, sizeof *l->workers);
  if (!l->workers) return err_no_memory(err, "loader", (size_t)o->workers * sizeof *l->workers);
  for (int i = 0; i < o->workers; i++) {
    worker *w = &l->workers[i];
    w->owner = l;
    const vgg_status status = prepare_for(w, &like, NULL, err);
    if (status != VGG_OK) return err_prefix(err, status, vgg_dataset_spec(o->data));
    if (o->augment.any && !(w->scratch = malloc(l->picture)))
      return err_no_memory(err, "loader", l->picture);
  }
  return VGG_OK;
}

/* Of no pictures none may be bad, and of a hundred one. */
static size_t allowed_bad(double share, size_t count) {
  if (share < 0) return 0;
  return (size_t)((share == 0 ? .01 : share) * (double)count);
}

static vgg_status prepare_bad(loader *l, vgg_error *err) {
  const size_t count = vgg_dataset_count(l->options.data);
  l->max_bad = allowed_bad(l->options.max_bad, count);
  l->is_bad = calloc(count ? count : 1, sizeof *l->is_bad);
  return l->is_bad ? VGG_OK : err_no_memory(err, "loader", count);
}

static vgg_status allocate(loader *l, vgg_error *err) {
  const loader_options *o = &l->options;
  const vgg_shape input = o->rule.input;
  const size_t count = vgg_dataset_count(o->data);
  layout lay;
  if (!lay_out(input, o->batch, count, &lay) || !(l->arena = mem_alloc(lay.total)))
    return err_no_memory(err, "loader", loader_bytes(input, o->batch, count));
  l->batches = (count + (size_t)o->batch - 1) / (size_t)o->batch;
  uint8_t *p = l->arena;
  for (int i = 0; i < SLOTS; i++) {
    l->slots[i].pixels = p;
    l->slots[i].labels = (int32_t *)(p + lay.pixels);
    l->slots[i].ids = (uint32_t *)(p + lay.pixels + lay.labels);
    p += lay.pixels + 2 * lay.labels;
  }
  l->order = (uint32_t *)p;
  return VGG_OK;
}

/* Signals are the program's affair: its own thread shall see them. */
static int create_quiet_thread(pthread_t *thread, void *(*run)(void *), void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const int result = pthread_create(thread, NULL, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return result;
}

static vgg_status start_workers(loader *l, vgg_error *err) {
  for (int i = 0; i < l->options.workers; i++) {
    if (create_quiet_thread(&l->workers[i].thread, work, &l->workers[i]) != 0)
      return err_set(err, VGG_NO_MEMORY, "loader: cannot start thread %d of %d", i + 1,
                     l->options.workers);
    l->num_running++;
  }
  return VGG_OK;
}

/* Decoding takes far longer than resizing what lies in memory. */
static int default_workers(const vgg_dataset *data) {
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  if (vgg_dataset_shape(data).h > 0 || processors < 2) return 1;
  return processors < SLOTS ? (int)processors : SLOTS;
}

vgg_status loader_create(const loader_options *options, loader **out, vgg_error *err) {
  vgg_status status = check_options(options, err);
  if (status != VGG_OK) return status;
  loader *l = calloc(1, sizeof *l);
  if (!l) return err_no_memory(err, "loader", sizeof *l);
  const vgg_shape in = options->rule.input;
  l->options = *options;
  l->picture = (size_t)in.c * (size_t)in.h * (size_t)in.w;
  if (l->options.workers == 0) l->options.workers = default_workers(options->data);
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->work, NULL);
  pthread_cond_init(&l->made, NULL);
  status = create_workers(l, err);
  if (status == VGG_OK) status = allocate(l, err);
  if (status == VGG_OK) status = prepare_bad(l, err);
  if (status == VGG_OK) status = start_workers(l, err);
  if (status != VGG_OK) {
    loader_close(l);
    return status;
  }
  *out = l;
  return VGG_OK;
}

void loader_close(loader *l) {
  if (!l) return;
  atomic_store(&l->dropped, true);
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  for (int i = 0; i < l->num_running; i++) pthread_join(l->workers[i].thread, NULL);
  for (int i = 0; l->workers && i < l->options.workers; i++) {
    preprocessor_close(l->workers[i].prepare);
    free(l->workers[i].scratch);
  }
  pthread_cond_destroy(&l->made);
  pthread_cond_destroy(&l->work);
  pthread_mutex_destroy(&l->lock);
  for (int i = 0; i < SLOTS; i++) bad_free(&l->slots[i].bad);
  bad_free(&l->bad);
  free(l->is_bad);
  free(l->workers);
  mem_free(l->arena);
  free(l);
}

size_t loader_batches(const loader *l) { return l->batches; }

vgg_status loader_start(loader *l, uint32_t epoch, size_t first, vgg_error *err) {
  const uint32_t count = (uint32_t)vgg_dataset_count(l->options.data);
  if (first > l->batches)
    return err_set(err, VGG_BAD_VALUE, "loader: batch %zu, but an epoch has %zu", first,
                   l->batches);
  pthread_mutex_lock(&l->lock);
  atomic_store(&l->dropped, true);
  l->end = l->taken; /* nothing more is begun */
  while (l->busy > 0) pthread_cond_wait(&l->made, &l->lock);
  atomic_store(&l->dropped, false);
  for (; l->known < l->bad.count; l->known++) l->is_bad[l->bad.at[l->known].id] = true;
  if (l->options.shuffle)
    sampler_order(l->options.seed, epoch, l->order, count);
  else
    for (uint32_t i = 0; i < count; i++) l->order[i] = i;
  for (int i = 0; i < SLOTS; i++) l->slots[i].ready = false;
  l->epoch = epoch;
  l->held = l->taken = first;
  l->end = l->batches;
  l->lent = false;
  l->started = true;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  return VGG_OK;
}

/* What was bad in a batch that is taken counts from now on. */
static vgg_status count_bad(loader *l, slot *s, vgg_error *err) {
  if (s->status != VGG_OK) return err_set(err, s->status, "%s", s->err.message);
  if (!bad_move(&l->bad, &s->bad)) return err_no_memory(err, "loader", sizeof s->err);
  if (l->bad.count <= l->max_bad) return VGG_OK;
  return err_set(err, VGG_BAD_CONTENT,
                 "%s: %zu of %zu pictures cannot be used, at most %zu may be bad; the newest: %s",
                 vgg_dataset_spec(l->options.data), l->bad.count,
                 vgg_dataset_count(l->options.data), l->max_bad, l->bad.at[l->bad.count - 1].line);
}

vgg_status loader_next(loader *l, const loader_batch **out, vgg_error *err) {
  if (!l->started) return err_set(err, VGG_BUG, "loader: no epoch was begun");
  *out = NULL;
  slot *s = NULL;
  pthread_mutex_lock(&l->lock);
  if (l->lent) {
    l->slots[l->held % SLOTS].ready = false;
    l->held++;
    l->lent = false;
    pthread_cond_signal(&l->work);
  }
  if (l->held < l->end) {
    s = &l->slots[l->held % SLOTS];
    while (!s->ready) pthread_cond_wait(&l->made, &l->lock);
    l->lent = true;
  }
  pthread_mutex_unlock(&l->lock);
  if (!s) return VGG_OK;
  const vgg_status status = count_bad(l, s, err);
  if (status == VGG_OK) *out = &s->batch;
  return status;
}

size_t loader_bad(const loader *l) { return l->bad.count; }
const char *loader_bad_line(const loader *l, size_t i) { return l->bad.at[i].line; }
