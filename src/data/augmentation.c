/* SPDX-License-Identifier: Apache-2.0 */
#include "data/augmentation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "image/augment.h"

static const struct {
  const char *name, *about;
  uint32_t number;
  double first, second, least, most;
} rows[NUM_AUGMENTS] = {
#define AUGMENT(name, number, first, second, least, most, about) \
  {#name, about, number, first, second, least, most},
#include "data/augments.def"
#undef AUGMENT
};

/* ---- names ----------------------------------------------------------------------------------- */

const char *vgg_augment_name_at(size_t i, const char **about) {
  if (i >= NUM_AUGMENTS) return NULL;
  if (about) *about = rows[i].about;
  return rows[i].name;
}

static int find(const char *word, size_t length) {
  for (int i = 0; i < NUM_AUGMENTS; i++)
    if (strlen(rows[i].name) == length && memcmp(rows[i].name, word, length) == 0) return i;
  return -1;
}

static vgg_status unknown(const char *word, size_t length, vgg_error *err) {
  text names = {0};
  for (int i = 0; i < NUM_AUGMENTS; i++) text_add(&names, "%s%s", i ? ", " : "", rows[i].name);
  const vgg_status status = err_set(err, VGG_BAD_VALUE, "augment '%.*s': unknown, wanted %s",
                                    (int)length, word, names.failed ? "a name" : names.s);
  free(names.s);
  return status;
}

/* A number that is all there is up to `end`. */
static bool number(const char *s, const char *end, double *out) {
  char *stop;
  if (s == end || (*s != '.' && (*s < '0' || *s > '9'))) return false;
  *out = strtod(s, &stop);
  return stop == end && isfinite(*out);
}

static bool values(int i, const char *s, const char *end, augmentation *a) {
  const char *dash = i == AUGMENT_jitter ? memchr(s, '-', (size_t)(end - s)) : NULL;
  if (dash) return number(s, dash, &a->first[i]) && number(dash + 1, end, &a->second[i]);
  a->second[i] = 0;
  if (!number(s, end, &a->first[i])) return false;
  if (i == AUGMENT_jitter) a->second[i] = a->first[i];
  return true;
}

/* Sides and rims are whole pixels. */
static bool is_whole(int i) {
  return i == AUGMENT_jitter || i == AUGMENT_pad || i == AUGMENT_cutout;
}

static bool in_range(int i, double x) {
  return x >= rows[i].least && x <= rows[i].most && (!is_whole(i) || x == floor(x));
}

/* The word [s, end), "name" or "name=X". */
static vgg_status take(const char *s, const char *end, augmentation *a, vgg_error *err) {
  const char *equals = memchr(s, '=', (size_t)(end - s));
  const size_t length = (size_t)((equals ? equals : end) - s);
  const int i = find(s, length);
  if (i < 0) return unknown(s, length, err);
  if (a->on[i]) return err_set(err, VGG_BAD_VALUE, "augment '%s': is there twice", rows[i].name);
  a->on[i] = a->any = true;
  a->first[i] = rows[i].first;
  a->second[i] = rows[i].second;
  if (!equals) return VGG_OK;
  if (values(i, equals + 1, end, a) && in_range(i, a->first[i]) &&
      (i != AUGMENT_jitter || (in_range(i, a->second[i]) && a->second[i] >= a->first[i])))
    return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "augment '%.*s': wanted %s=%s, from %g to %g%s",
                 (int)(end - s), s, rows[i].name, i == AUGMENT_jitter ? "LOW-HIGH" : "X",
                 rows[i].least, rows[i].most, is_whole(i) ? ", whole" : "");
}

/* What follows from the input's size, and whether all fits together. */
static vgg_status settle(augmentation *a, vgg_shape input, vgg_error *err) {
  const int side = input.h > input.w ? input.h : input.w;
  if (a->on[AUGMENT_crop] + a->on[AUGMENT_jitter] + a->on[AUGMENT_pad] > 1)
    return err_set(err, VGG_BAD_VALUE, "augment: wanted one of crop, jitter and pad");
  if (input.c == 1 && (a->on[AUGMENT_saturation] || a->on[AUGMENT_pca]))
    return err_set(err, VGG_BAD_VALUE, "augment '%s': the net sees no colours",
                   a->on[AUGMENT_pca] ? "pca" : "saturation");
  if (a->on[AUGMENT_jitter] && a->first[AUGMENT_jitter] == 0) {
    a->first[AUGMENT_jitter] = ceil(side * 8 / 7.0);
    a->second[AUGMENT_jitter] = floor(side * 16 / 7.0);
  }
  if (a->on[AUGMENT_jitter] && a->first[AUGMENT_jitter] < side)
    return err_set(err, VGG_BAD_VALUE, "augment 'jitter=%g': the input needs at least %d",
                   a->first[AUGMENT_jitter], side);
  if (a->on[AUGMENT_cutout] && a->first[AUGMENT_cutout] == 0)
    a->first[AUGMENT_cutout] = fmax(1, floor((input.h < input.w ? input.h : input.w) / 2.0));
  return VGG_OK;
}

vgg_status augmentation_parse(const char *list, vgg_shape input, augmentation *out,
                              vgg_error *err) {
  *out = (augmentation){0};
  vgg_status status = VGG_OK;
  if (list && strcmp(list, "none") == 0) return VGG_OK;
  for (const char *s = list; s && *s && status == VGG_OK;) {
    const char *end = s + strcspn(s, ",");
    status = take(s, end, out, err);
    if (*end == ',' && !end[1] && status == VGG_OK)
      status = err_set(err, VGG_BAD_VALUE, "augment '%.80s': ends in a comma", list);
    s = *end ? end + 1 : end;
  }
  return status == VGG_OK ? settle(out, input, err) : status;
}

/* ---- draws ----------------------------------------------------------------------------------- */

enum { MAX_TRIES = 64 }; /* blocks of four draws that one change may take */

static void draw(const augment_key *key, int kind, uint32_t block, float out[4]) {
  uint32_t r[4];
  philox(key->seed, PHILOX_AUGMENT, key->epoch, key->sample, rows[kind].number * MAX_TRIES + block,
         r);
  for (int i = 0; i < 4; i++) out[i] = philox_unit(r[i]);
}

/* 0 .. count-1 */
static int below(float unit, int count) {
  const int i = (int)((double)unit * count);
  return i < count ? i : count - 1;
}

/* ---- geometry -------------------------------------------------------------------------------- */

/* torchvision's RandomResizedCrop: ten tries for a part inside, then the middle with the nearest
 * sides that are allowed. */
static void draw_crop(const augmentation *a, const augment_key *key, int height, int width,
                      preprocess_part *part) {
  const double area = (double)height * width, least = a->first[AUGMENT_crop];
  const double narrow = 3 / 4., wide = 4 / 3.;
  int h = 0, w = 0, top = -1, left = 0;
  for (uint32_t i = 0; i < 10 && top < 0; i++) {
    float u[4];
    draw(key, AUGMENT_crop, i, u);
    const double target = area * (least + (1 - least) * u[0]);
    const double ratio = exp(log(narrow) + (log(wide) - log(narrow)) * u[1]);
    w = (int)lround(sqrt(target * ratio));
    h = (int)lround(sqrt(target / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    top = below(u[2], height - h + 1);
    left = below(u[3], width - w + 1);
  }
  if (top < 0) {
    h = height;
    w = width;
    if ((double)width / height < narrow) h = (int)lround(width / narrow);
    if ((double)width / height > wide) w = (int)lround(height * wide);
    if (h > height) h = height;
    if (w > width) w = width;
    top = (height - h) / 2;
    left = (width - w) / 2;
  }
  *part =
      (preprocess_part){.of_picture = true, .rows = {height, top, h}, .columns = {width, left, w}};
}

static bool draw_jitter(const augmentation *a, const augment_key *key, vgg_shape input, int height,
                        int width, preprocess_part *part) {
  float u[4];
  draw(key, AUGMENT_jitter, 0, u);
  const int low = (int)a->first[AUGMENT_jitter], high = (int)a->second[AUGMENT_jitter];
  const int side = low + below(u[0], high - low + 1);
  int h, w;
  if (!preprocess_cover(height, width, (vgg_shape){input.c, side, side}, &h, &w)) return false;
  *part = (preprocess_part){.rows = {h, below(u[1], h - input.h + 1), input.h},
                            .columns = {w, below(u[2], w - input.w + 1), input.w}};
  return true;
}

bool augmentation_part(const augmentation *a, const augment_key *key, const vgg_preprocess *rule,
                       int height, int width, preprocess_part *part) {
  if (a->on[AUGMENT_jitter]) return draw_jitter(a, key, rule->input, height, width, part);
  if (a->on[AUGMENT_crop]) draw_crop(a, key, height, width, part);
  return a->on[AUGMENT_crop];
}

/* ---- pixels ---------------------------------------------------------------------------------- */

static void pad(const augmentation *a, const augment_key *key, vgg_image *image, uint8_t *scratch) {
  float u[4];
  const int rim = (int)a->first[AUGMENT_pad];
  const size_t bytes = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
  draw(key, AUGMENT_pad, 0, u);
  vgg_image before = *image;
  before.pixels = memcpy(scratch, image->pixels, bytes);
  augment_window(&before, below(u[0], 2 * rim + 1) - rim, below(u[1], 2 * rim + 1) - rim, image);
}

/* 1 - X to 1 + X, not below 0. */
static float factor(const augmentation *a, const augment_key *key, augment_kind kind) {
  float u[4];
  draw(key, (int)kind, 0, u);
  return fmaxf(0, 1 + (float)a->first[kind] * (2 * u[0] - 1));
}

/* Three draws of a normal distribution (Box and Muller 1958). */
static void shift_colours(const augmentation *a, const augment_key *key, vgg_image *image) {
  float u[2][4], normal[4], shift[3];
  draw(key, AUGMENT_pca, 0, u[0]);
  draw(key, AUGMENT_pca, 1, u[1]);
  for (int i = 0; i < 2; i++) {
    const double length = sqrt(-2 * log(1 - (double)u[i][0])), angle = 2 * M_PI * u[i][1];
    normal[2 * i] = (float)(a->first[AUGMENT_pca] * length * cos(angle));
    normal[2 * i + 1] = (float)(a->first[AUGMENT_pca] * length * sin(angle));
  }
  augment_pca(normal, shift);
  augment_shift(image, shift);
}

void augmentation_apply(const augmentation *a, const augment_key *key, vgg_image *image,
                        uint8_t *scratch) {
  float u[4];
  if (a->on[AUGMENT_pad]) pad(a, key, image, scratch);
  if (a->on[AUGMENT_flip]) {
    draw(key, AUGMENT_flip, 0, u);
    if (u[0] < (float)a->first[AUGMENT_flip]) augment_flip(image);
  }
  if (a->on[AUGMENT_brightness]) augment_brightness(image, factor(a, key, AUGMENT_brightness));
  if (a->on[AUGMENT_contrast]) augment_contrast(image, factor(a, key, AUGMENT_contrast));
  if (a->on[AUGMENT_saturation]) augment_saturation(image, factor(a, key, AUGMENT_saturation));
  if (a->on[AUGMENT_pca]) shift_colours(a, key, image);
  if (a->on[AUGMENT_cutout]) {
    draw(key, AUGMENT_cutout, 0, u);
    augment_cutout(image, below(u[0], image->height), below(u[1], image->width),
                   (int)a->first[AUGMENT_cutout], 0);
  }
}

/* ---- mixup ----------------------------------------------------------------------------------- */

/* Beta(x, x) for x <= 1 (Johnk 1964): of two draws to the power 1/x whose sum is at most 1, the
 * share of the first. At least every other try succeeds. */
static double draw_beta(const augment_key *key, double x) {
  for (uint32_t block = 0; block < MAX_TRIES; block++) {
    float u[4];
    draw(key, AUGMENT_mixup, block, u);
    for (int i = 0; i < 4; i += 2) {
      const double p = pow(u[i], 1 / x), q = pow(u[i + 1], 1 / x);
      if (p + q > 0 && p + q <= 1) return p / (p + q);
    }
  }
  return 1;
}

float augmentation_mix(const augmentation *a, const augment_key *key, int n, size_t picture,
                       uint8_t *pixels) {
  if (!a->on[AUGMENT_mixup]) return 1;
  const float share = (float)draw_beta(key, a->first[AUGMENT_mixup]);
  for (int i = 0; i < n / 2; i++) {
    uint8_t *p = pixels + (size_t)i * picture, *q = pixels + (size_t)(n - 1 - i) * picture;
    for (size_t k = 0; k < picture; k++) {
      const float x = p[k], y = q[k];
      p[k] = (uint8_t)(y + share * (x - y) + 0.5f);
      q[k] = (uint8_t)(x + share * (y - x) + 0.5f);
    }
  }
  return share;
}

/* ---- one picture, to look at ----------------------------------------------------------------- */

vgg_status vgg_augment_apply(const char *list, const vgg_preprocess *rule, const vgg_image *image,
                             uint64_t seed, uint32_t epoch, uint32_t sample, uint8_t *pixels,
                             vgg_error *err) {
  const vgg_shape in = rule->input;
  const augment_key key = {seed, epoch, sample};
  augmentation a;
  preprocess_part part;
  preprocessor *p = NULL;
  vgg_status status = augmentation_parse(list, in, &a, err);
  if (status != VGG_OK) return status;
  const size_t bytes = (size_t)in.c * (size_t)in.h * (size_t)in.w;
  uint8_t *scratch = malloc(bytes);
  if (!scratch) return err_no_memory(err, "augment", bytes);
  const bool other = augmentation_part(&a, &key, rule, image->height, image->width, &part);
  status = preprocessor_create_part(rule, image->channels, image->height, image->width,
                                    other ? &part : NULL, &p, err);
  if (status == VGG_OK) {
    vgg_image out = {in.c, in.h, in.w, pixels};
    preprocessor_run(p, image->pixels, pixels);
    augmentation_apply(&a, &key, &out, scratch);
  }
  preprocessor_close(p);
  free(scratch);
  return status;
}
