/* SPDX-License-Identifier: Apache-2.0 */
#include "data/eval_views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "vgg/infer.h"

enum { MAX_SCALE = 65536, GRID = 5 };

typedef enum view_kind {
#define VIEW(name, value, about) VIEW_##name,
#include "data/eval_views.def"
#undef VIEW
  NUM_VIEWS
} view_kind;

static const struct {
  const char *name, *value, *about;
} rows[NUM_VIEWS] = {
#define VIEW(name, value, about) {#name, value, about},
#include "data/eval_views.def"
#undef VIEW
};

#define VIEW(name, value, about) " " #name value
static const char names[] =
#include "data/eval_views.def"
    ;
#undef VIEW

const char *vgg_view_name_at(size_t i, const char **about) {
  if (i >= NUM_VIEWS) return NULL;
  if (about) *about = rows[i].about;
  return rows[i].name;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A number from `least` to `most` at *s, which moves behind it. */
static bool whole(const char **s, int least, int most, int *out) {
  char *stop;
  if (**s < '0' || **s > '9') return false;
  const long value = strtol(*s, &stop, 10);
  if (value < least || value > most) return false;
  *s = stop;
  *out = (int)value;
  return true;
}

static bool read_scales(const char *s, const char *end, views *v) {
  for (;; s++) {
    if (v->num_scales == VIEWS_MAX_SCALES ||
        !whole(&s, 1, MAX_SCALE, &v->scales[v->num_scales++]) || (s < end && *s != '/'))
      return false;
    if (s == end) return true;
  }
}

/* The word [s, end), alone or followed by = and a value. */
static vgg_status take(const char *s, const char *end, unsigned *seen, views *v, vgg_error *err) {
  const char *equals = memchr(s, '=', (size_t)(end - s)), *value = equals ? equals + 1 : end;
  const size_t length = (size_t)((equals ? equals : end) - s);
  int kind = 0;
  while (kind < NUM_VIEWS &&
         (strlen(rows[kind].name) != length || memcmp(rows[kind].name, s, length) != 0))
    kind++;
  if (kind == NUM_VIEWS)
    return err_set(err, VGG_BAD_VALUE, "views '%.*s': unknown, wanted none or a list of:%s",
                   (int)(end - s), s, names);
  if (*seen & 1u << kind)
    return err_set(err, VGG_BAD_VALUE, "views '%s': is there twice", rows[kind].name);
  *seen |= 1u << kind;
  bool good = !equals || *rows[kind].value;
  if (kind == VIEW_flip) v->flip = true;
  if (kind == VIEW_dense) v->dense = true;
  if (kind == VIEW_crops) {
    v->grid = GRID;
    if (equals) good = whole(&value, 2, VIEWS_MAX_GRID, &v->grid) && value == end;
  }
  if (kind == VIEW_scales) {
    v->scaled = true;
    if (equals) good = read_scales(value, end, v);
  }
  if (good) return VGG_OK;
  return err_set(err, VGG_BAD_VALUE, "views '%.*s': wanted %s%s, crops from 2 to %d, scales to %d",
                 (int)(end - s), s, rows[kind].name, rows[kind].value, VIEWS_MAX_GRID, MAX_SCALE);
}

vgg_status views_parse(const char *list, views *out, vgg_error *err) {
  unsigned seen = 0;
  vgg_status status = VGG_OK;
  *out = (views){.middle = true};
  if (!list || !*list || strcmp(list, "none") == 0) return VGG_OK;
  for (const char *s = list; status == VGG_OK;) {
    const char *end = s + strcspn(s, ",");
    status = take(s, end, &seen, out, err);
    if (!*end) break;
    s = end + 1;
  }
  out->middle = !out->dense && !out->grid;
  return status;
}

vgg_status views_settle(views *v, vgg_shape input, vgg_error *err) {
  const int side = input.h > input.w ? input.h : input.w;
  if (v->scaled && v->num_scales == 0)
    for (int i = 0; i < 3; i++) v->scales[v->num_scales++] = (int)lround(side * (8 + 4 * i) / 7.0);
  for (int i = 0; i < v->num_scales; i++)
    if (v->scales[i] < side)
      return err_set(err, VGG_BAD_VALUE, "views 'scales=%d': the net's input needs at least %d",
                     v->scales[i], side);
  return VGG_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

const char *views_text(const views *v, char text[VIEWS_MAX_TEXT]) {
  int n = 0;
  text[0] = 0;
  if (v->dense) n += snprintf(text + n, VIEWS_MAX_TEXT - (size_t)n, ",dense");
  if (v->grid) n += snprintf(text + n, VIEWS_MAX_TEXT - (size_t)n, ",crops=%d", v->grid);
  if (v->flip) n += snprintf(text + n, VIEWS_MAX_TEXT - (size_t)n, ",flip");
  if (v->scaled) n += snprintf(text + n, VIEWS_MAX_TEXT - (size_t)n, ",scales");
  for (int i = 0; i < v->num_scales; i++)
    n += snprintf(text + n, VIEWS_MAX_TEXT - (size_t)n, "%c%d", i ? '/' : '=', v->scales[i]);
  return n ? memmove(text, text + 1, (size_t)n) : strcpy(text, "none");
}
