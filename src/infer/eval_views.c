/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation by several views of every picture.
 *
 *   for every size: pictures that become equally large on it, one such group after the other
 *     loader -> whole pictures [n][H][W][c], and their mirror images
 *       dense: a net for H x W, the linear layers as convolutions
 *       parts of the input's size, from a grid or the middle: the model's own net
 *     softmax, times the view's share, onto the picture's sums
 */
#include "data/eval_views.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "image/augment.h"
#include "image/preprocess.h"
#include "infer/evaluation.h"
#include "infer/predictor.h"

/* A picture on a size: sorted, equal ones are neighbours. */
typedef struct place {
  int h, w;
  uint32_t id;
} place;

typedef struct survey {
  const vgg_model *model;
  vgg_run_options options;
  const vgg_dataset *data;
  views how;
  bool (*stop)(void *user);
  void *user;
  size_t count, classes, picture; /* picture: bytes of the net's input */
  place *stored;                  /* [count] each picture's own size; h 0: it cannot be used */
  place *places;                  /* [count] */
  bool *seen;                     /* [count] */
  float *sums;                    /* [count][classes] */
  vgg_predictor *parts;           /* NULL: none are wanted */
  uint8_t *pixels;                /* [parts->batch][picture]: those that wait ... */
  uint32_t *owners;               /* [parts->batch] and whose they are */
  int waiting;
  vgg_evaluation *found;
} survey;

/* ---- probabilities --------------------------------------------------------------------------- */

/* What one view counts: kinds, sizes and mirror images count alike. */
static float share_of(const survey *s, int views_of_kind) {
  const int kinds = s->how.dense + (s->parts != NULL);
  const int sizes = s->how.num_scales ? s->how.num_scales : 1;
  return 1.f / (float)(kinds * sizes * (1 + s->how.flip) * views_of_kind);
}

static void add_probabilities(survey *s, uint32_t id, const float *logits, float share) {
  float *sum = s->sums + id * s->classes;
  double all = 0;
  float most = logits[0];
  for (size_t k = 1; k < s->classes; k++) most = fmaxf(most, logits[k]);
  for (size_t k = 0; k < s->classes; k++) all += exp((double)logits[k] - most);
  for (size_t k = 0; k < s->classes; k++)
    sum[k] += share * (float)(exp((double)logits[k] - most) / all);
}

/* ---- parts of the input's size --------------------------------------------------------------- */

static int parts_of(const survey *s) { return s->how.grid ? s->how.grid * s->how.grid : 1; }

static vgg_status run_parts(survey *s, vgg_error *err) {
  const float *logits;
  if (s->waiting == 0) return VGG_OK;
  const vgg_status status = predictor_run(s->parts, s->waiting, s->pixels, &logits, err);
  for (int i = 0; i < s->waiting && status == VGG_OK; i++)
    add_probabilities(s, s->owners[i], logits + (size_t)i * s->classes, share_of(s, parts_of(s)));
  s->waiting = 0;
  return status;
}

static vgg_status add_part(survey *s, const vgg_image *whole, int top, int left, uint32_t id,
                           vgg_error *err) {
  const vgg_shape in = s->model->preprocess.input;
  vgg_image part = {in.c, in.h, in.w, s->pixels + (size_t)s->waiting * s->picture};
  augment_window(whole, top, left, &part);
  s->owners[s->waiting++] = id;
  return s->waiting == s->parts->batch ? run_parts(s, err) : VGG_OK;
}

/* Part i of `count`, from one edge to the other. */
static int spread(int room, int i, int count) {
  return (int)lround((double)room * i / (count - 1));
}

static vgg_status add_parts(survey *s, const vgg_image *whole, uint32_t id, vgg_error *err) {
  const vgg_shape in = s->model->preprocess.input;
  const int grid = s->how.grid, down = whole->height - in.h, right = whole->width - in.w;
  vgg_status status = VGG_OK;
  if (!grid)
    return add_part(s, whole, preprocess_middle(whole->height, in.h),
                    preprocess_middle(whole->width, in.w), id, err);
  for (int i = 0; i < grid * grid && status == VGG_OK; i++)
    status =
        add_part(s, whole, spread(down, i / grid, grid), spread(right, i % grid, grid), id, err);
  return status;
}

/* ---- a group --------------------------------------------------------------------------------- */

/* Pictures of one size on one scale. */
typedef struct group {
  vgg_shape size;
  uint32_t *ids; /* [count] in the dataset */
  size_t count;
  int rows;             /* pictures at a time */
  vgg_model net;        /* the survey's model as a dense net for this size */
  vgg_predictor *dense; /* NULL: none is wanted */
  vgg_dataset *data;
  loader *loader;
  uint8_t *whole; /* [rows][h][w][c] */
} group;

static vgg_status run_whole(survey *s, const group *g, const loader_batch *b, vgg_error *err) {
  const size_t bytes = (size_t)g->size.c * (size_t)g->size.h * (size_t)g->size.w;
  vgg_status status = VGG_OK;
  if (g->dense) {
    const float *logits;
    status = predictor_run(g->dense, b->n, g->whole, &logits, err);
    for (int i = 0; i < b->n && status == VGG_OK; i++)
      add_probabilities(s, g->ids[b->ids[i]], logits + (size_t)i * s->classes, share_of(s, 1));
  }
  for (int i = 0; i < b->n && s->parts && status == VGG_OK; i++) {
    const vgg_image whole = {g->size.c, g->size.h, g->size.w, g->whole + (size_t)i * bytes};
    status = add_parts(s, &whole, g->ids[b->ids[i]], err);
  }
  return status;
}

static vgg_status run_batch(survey *s, const group *g, const loader_batch *b, vgg_error *err) {
  const size_t bytes = (size_t)g->size.c * (size_t)g->size.h * (size_t)g->size.w;
  memcpy(g->whole, b->pixels, (size_t)b->n * bytes);
  for (int i = 0; i < b->n; i++) s->seen[g->ids[b->ids[i]]] = true;
  const vgg_status status = run_whole(s, g, b, err);
  if (status != VGG_OK || !s->how.flip) return status;
  for (int i = 0; i < b->n; i++) {
    vgg_image whole = {g->size.c, g->size.h, g->size.w, g->whole + (size_t)i * bytes};
    augment_flip(&whole);
  }
  return run_whole(s, g, b, err);
}

static vgg_status run_batches(survey *s, const group *g, vgg_error *err) {
  vgg_status status = loader_start(g->loader, 0, 0, err);
  while (status == VGG_OK) {
    const loader_batch *b;
    if (s->stop && s->stop(s->user)) return err_set(err, VGG_STOPPED, "the evaluation was stopped");
    status = loader_next(g->loader, &b, err);
    if (status != VGG_OK || !b) break;
    if (b->n > 0) status = run_batch(s, g, b, err);
  }
  return status == VGG_OK ? run_parts(s, err) : status;
}

/* Those that the loader could not use are left alone from now on. */
static vgg_status note_bad(survey *s, const group *g, vgg_error *err) {
  vgg_status status = VGG_OK;
  for (size_t i = 0; i < loader_bad(g->loader) && status == VGG_OK; i++)
    status = evaluation_add_bad(s->found, loader_bad_line(g->loader, i), err);
  for (size_t i = 0; i < g->count; i++)
    if (!s->seen[g->ids[i]]) s->stored[g->ids[i]].h = 0;
  return status;
}

/* As many pixels at a time as the batch would have of the net's input. */
static int rows_for(const survey *s, vgg_shape size) {
  const vgg_shape in = s->model->preprocess.input;
  const int64_t batch = s->options.batch ? s->options.batch : 128;
  const int64_t rows = batch * in.h * in.w / ((int64_t)size.h * size.w);
  return rows < 1 ? 1 : (int)rows;
}

static vgg_status open_dense(survey *s, group *g, vgg_error *err) {
  vgg_run_options options = s->options;
  options.batch = g->rows;
  g->net = *s->model;
  g->net.arch = NULL;
  const vgg_status status =
      model_arch_at(s->model, VGG_HEAD_DENSE, g->size, &g->net.arch, &g->net.params, err);
  return status == VGG_OK ? vgg_predictor_create(&g->net, &options, &g->dense, err) : status;
}

static vgg_status open_group(survey *s, group *g, vgg_error *err) {
  loader_options options = {.rule = s->model->preprocess, .max_bad = 1};
  g->rows = rows_for(s, g->size);
  vgg_status status = vgg_dataset_subset(s->data, g->ids, g->count, &g->data, err);
  if (status == VGG_OK && s->how.dense) status = open_dense(s, g, err);
  if (status != VGG_OK) return status;
  options.data = g->data;
  options.batch = g->rows;
  options.rule.input = g->size; /* all of the picture */
  options.rule.shorter_side = 0;
  options.rule.reduced_jpeg = false;
  status = loader_create(&options, &g->loader, err);
  if (status != VGG_OK) return status;
  const size_t bytes = (size_t)g->rows * (size_t)g->size.c * (size_t)g->size.h * (size_t)g->size.w;
  g->whole = malloc(bytes);
  return g->whole ? VGG_OK : err_no_memory(err, "evaluation", bytes);
}

static vgg_status run_group(survey *s, const place *places, size_t count, vgg_error *err) {
  group g = {.size = {s->model->preprocess.input.c, places->h, places->w}, .count = count};
  g.ids = malloc(count * sizeof *g.ids);
  if (!g.ids) return err_no_memory(err, "evaluation", count * sizeof *g.ids);
  for (size_t i = 0; i < count; i++) g.ids[i] = places[i].id;
  vgg_status status = open_group(s, &g, err);
  if (status == VGG_OK) status = run_batches(s, &g, err);
  if (status == VGG_OK) status = note_bad(s, &g, err);
  free(g.whole);
  loader_close(g.loader);
  vgg_dataset_close(g.data);
  vgg_predictor_close(g.dense);
  vgg_arch_close(g.net.arch);
  free(g.ids);
  return status;
}

/* ---- all groups ------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b) {
  const place *x = a, *y = b;
  if (x->h != y->h) return x->h < y->h ? -1 : 1;
  if (x->w != y->w) return x->w < y->w ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

/* Every picture's own size: those in files are decoded for it. */
static vgg_status measure(survey *s, vgg_error *err) {
  const vgg_shape all = vgg_dataset_shape(s->data);
  vgg_decode_options decode = s->data->store->decode;
  decode.ignore_exif = s->model->preprocess.ignore_exif;
  vgg_status status = VGG_OK;
  for (uint32_t i = 0; i < s->count && status == VGG_OK; i++) {
    vgg_image image;
    bool owned;
    s->stored[i] = (place){all.h, all.w, i};
    if (all.h > 0) continue;
    if (s->stop && s->stop(s->user)) return err_set(err, VGG_STOPPED, "the evaluation was stopped");
    status =
        dataset_picture(s->data->store, dataset_place(s->data, i), &decode, &image, &owned, err);
    if (status == VGG_NO_MEMORY) return status;
    if (status == VGG_OK)
      s->stored[i] = (place){image.height, image.width, i};
    else
      status = evaluation_add_bad(s->found, err->message, err);
    if (s->stored[i].h && owned) vgg_image_free(&image);
  }
  return status;
}

/* scale 0: as the rule has it */
static vgg_status run_scale(survey *s, int scale, vgg_error *err) {
  const vgg_preprocess *rule = &s->model->preprocess;
  const int side = scale ? scale : rule->shorter_side;
  const vgg_shape cover = side ? (vgg_shape){rule->input.c, side, side} : rule->input;
  size_t count = 0;
  for (size_t i = 0; i < s->count; i++) {
    place p = s->stored[i];
    if (p.h == 0) continue;
    if (!preprocess_cover(s->stored[i].h, s->stored[i].w, cover, &p.h, &p.w))
      return err_set(err, VGG_BAD_VALUE, "%s: picture %zu is too narrow for these views",
                     vgg_dataset_spec(s->data), i);
    s->places[count++] = p;
  }
  qsort(s->places, count, sizeof *s->places, by_size);
  vgg_status status = VGG_OK;
  for (size_t i = 0, n; i < count && status == VGG_OK; i += n) {
    for (n = 1; i + n < count && s->places[i + n].h == s->places[i].h &&
                s->places[i + n].w == s->places[i].w;)
      n++;
    status = run_group(s, s->places + i, n, err);
  }
  return status;
}

/* ---- the evaluation -------------------------------------------------------------------------- */

static vgg_status open_survey(survey *s, vgg_error *err) {
  size_t sums;
  const vgg_shape in = s->model->preprocess.input;
  s->count = vgg_dataset_count(s->data);
  s->classes = (size_t)s->model->arch->options.classes;
  s->picture = (size_t)in.c * (size_t)in.h * (size_t)in.w;
  s->found = evaluation_create((int)s->classes);
  s->stored = calloc(s->count + 1, sizeof *s->stored);
  s->places = calloc(s->count + 1, sizeof *s->places);
  s->seen = calloc(s->count + 1, sizeof *s->seen);
  if (mem_mul(s->count + 1, s->classes, &sums)) s->sums = calloc(sums, sizeof *s->sums);
  if (!s->found || !s->stored || !s->places || !s->seen || !s->sums)
    return err_no_memory(err, "evaluation", s->count * s->classes * sizeof *s->sums);
  if (!s->how.middle && !s->how.grid) return VGG_OK;
  const vgg_status status = vgg_predictor_create(s->model, &s->options, &s->parts, err);
  if (status != VGG_OK) return status;
  s->pixels = malloc((size_t)s->parts->batch * s->picture);
  s->owners = malloc((size_t)s->parts->batch * sizeof *s->owners);
  return s->pixels && s->owners
             ? VGG_OK
             : err_no_memory(err, "evaluation", (size_t)s->parts->batch * s->picture);
}

static void close_survey(survey *s) {
  vgg_evaluation_free(s->found);
  vgg_predictor_close(s->parts);
  free(s->stored);
  free(s->places);
  free(s->seen);
  free(s->sums);
  free(s->pixels);
  free(s->owners);
}

/* Logarithms of probabilities are logits. */
static vgg_status count_pictures(survey *s, const int *map, vgg_error *err) {
  vgg_status status = VGG_OK;
  size_t room = 0;
  const size_t most = s->count / 100;
  if (s->found->num_bad > most)
    return err_set(err, VGG_BAD_CONTENT,
                   "%s: %zu of %zu pictures cannot be used, at most %zu may be bad; the newest: %s",
                   vgg_dataset_spec(s->data), s->found->num_bad, s->count, most,
                   s->found->bad[s->found->num_bad - 1]);
  for (size_t i = 0; i < s->count && status == VGG_OK; i++) {
    float *p = s->sums + i * s->classes;
    for (size_t k = 0; k < s->classes; k++) p[k] = logf(fmaxf(p[k], FLT_MIN));
    if (s->stored[i].h != 0)
      status = evaluation_add(s->found, &room, p, i, map[vgg_dataset_label(s->data, i)], err);
  }
  return status;
}

static vgg_status run(survey *s, vgg_error *err) {
  const double begin = clock_seconds();
  const size_t map_bytes = ((size_t)vgg_dataset_classes(s->data) + 1) * sizeof(int);
  int *map = malloc(map_bytes);
  if (!map) return err_no_memory(err, "evaluation", map_bytes);
  vgg_status status = evaluation_check(s->model, s->data, err);
  if (status == VGG_OK) status = vgg_class_map(s->model, s->data, map, err);
  if (status == VGG_OK) status = open_survey(s, err);
  if (status == VGG_OK) status = measure(s, err);
  for (int i = 0; i < s->how.num_scales && status == VGG_OK; i++)
    status = run_scale(s, s->how.scales[i], err);
  if (status == VGG_OK && s->how.num_scales == 0) status = run_scale(s, 0, err);
  if (status == VGG_OK) status = count_pictures(s, map, err);
  if (status == VGG_OK) status = evaluation_end(s->found, s->data, begin, err);
  free(map);
  return status;
}

static vgg_status read_views(const vgg_model *model, const char *list, views *out, vgg_error *err) {
  json_t *recipe = list ? NULL : json_loads(model->recipe ? model->recipe : "{}", 0, NULL);
  if (recipe) list = json_string_value(json_object_get(recipe, "views"));
  const vgg_status status = views_parse(list, out, err);
  json_decref(recipe);
  return status == VGG_OK ? views_settle(out, model->preprocess.input, err) : status;
}

vgg_status vgg_evaluate_views(const vgg_model *model, const vgg_run_options *options,
                              const vgg_dataset *data, const char *list, bool (*stop)(void *user),
                              void *user, vgg_evaluation **out, vgg_error *err) {
  survey s = {.model = model, .data = data, .stop = stop, .user = user};
  vgg_error own;
  if (!err) err = &own; /* bad pictures leave their lines there */
  if (options) s.options = *options;
  vgg_status status = read_views(model, list, &s.how, err);
  if (status != VGG_OK) return status;
  if (s.how.middle && !s.how.flip && !s.how.scaled) {
    vgg_predictor *predictor;
    status = vgg_predictor_create(model, options, &predictor, err);
    if (status != VGG_OK) return status;
    status = vgg_evaluate(predictor, data, stop, user, out, err);
    vgg_predictor_close(predictor);
    return status;
  }
  status = run(&s, err);
  if (status == VGG_OK) {
    views_text(&s.how, s.found->views);
    *out = s.found;
    s.found = NULL;
  }
  close_survey(&s);
  return status;
}
