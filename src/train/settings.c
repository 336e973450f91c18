/* SPDX-License-Identifier: Apache-2.0 */
#include "train/settings.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/eval_views.h"
#include "net/net.h"
#include "op/rule.h"
#include "train/class_weights.h"
#include "train/schedule.h"

typedef enum field_type { FIELD_WORD, FIELD_WHOLE, FIELD_REAL } field_type;

typedef struct field {
  const char *name;
  field_type type;
  size_t at, size; /* in settings */
  size_t option;   /* in vgg_train_options */
  double least, below;
  const char *wanted;
} field;

#define FIELD(name, type, option, least, below, wanted) \
  {#name,                                               \
   type,                                                \
   offsetof(settings, name),                            \
   sizeof(((settings *)NULL)->name),                    \
   offsetof(vgg_train_options, option),                 \
   least,                                               \
   below,                                               \
   wanted},
#define WORD(name, option) FIELD(name, FIELD_WORD, option, 0, 0, "")
#define WHOLE(name, option, least, wanted) FIELD(name, FIELD_WHOLE, option, least, INT_MAX, wanted)
#define REAL(name, option, least, below, wanted) \
  FIELD(name, FIELD_REAL, option, least, below, wanted)
static const field fields[] = {
#include "train/settings.def"
};
#undef FIELD
#undef WORD
#undef WHOLE
#undef REAL
enum { NUM_FIELDS = sizeof fields / sizeof *fields, MAX_NAME = 24 };

/* ---- one field ------------------------------------------------------------------------------- */

/* "head_lr" is said "head lr". */
static const char *said(const field *f, char name[MAX_NAME]) {
  snprintf(name, MAX_NAME, "%s", f->name);
  for (char *c = name; *c; c++)
    if (*c == '_') *c = ' ';
  return name;
}

static char *word_of(const settings *s, const field *f) { return (char *)s + f->at; }

static double number_of(const settings *s, const field *f) {
  int whole;
  double real;
  if (f->type == FIELD_WHOLE) {
    memcpy(&whole, (const char *)s + f->at, sizeof whole);
    return whole;
  }
  memcpy(&real, (const char *)s + f->at, sizeof real);
  return real;
}

static void set_number(settings *s, const field *f, double value) {
  const int whole = f->type == FIELD_WHOLE ? (int)value : 0;
  if (f->type == FIELD_WHOLE)
    memcpy((char *)s + f->at, &whole, sizeof whole);
  else
    memcpy((char *)s + f->at, &value, sizeof value);
}

static const char *given_word(const vgg_train_options *o, const field *f) {
  const char *word;
  memcpy(&word, (const char *)o + f->option, sizeof word);
  return word;
}

/* 0: not given */
static double given_number(const vgg_train_options *o, const field *f) {
  int whole;
  double real;
  if (f->type == FIELD_WHOLE) {
    memcpy(&whole, (const char *)o + f->option, sizeof whole);
    return whole;
  }
  memcpy(&real, (const char *)o + f->option, sizeof real);
  return real;
}

/* ---- all of them ----------------------------------------------------------------------------- */

double settings_round(double value) {
  char s[40];
  snprintf(s, sizeof s, "%.15g", value);
  return strtod(s, NULL);
}

vgg_status settings_override(settings *s, const vgg_train_options *o, vgg_error *err) {
  char name[MAX_NAME];
  for (const field *f = fields; f < fields + NUM_FIELDS; f++) {
    if (f->type == FIELD_WORD) {
      const char *word = given_word(o, f);
      if (word && (size_t)snprintf(word_of(s, f), f->size, "%s", word) >= f->size)
        return err_set(err, VGG_BAD_VALUE, "%s '%.40s...': has %zu letters, wanted at most %zu",
                       said(f, name), word, strlen(word), f->size - 1);
      continue;
    }
    const double given = given_number(o, f);
    if (given != 0) set_number(s, f, given < 0 ? 0 : settings_round(given));
  }
  return VGG_OK;
}

static vgg_status check_words(const settings *s, vgg_error *err) {
  const op_rule *rule = op_rule_find(s->optimizer);
  if (!rule)
    return err_set(err, VGG_BAD_VALUE, "optimizer '%s': unknown, wanted one of:%s", s->optimizer,
                   op_rule_names());
  if (s->momentum != 0 && rule->states == 0)
    return err_set(err, VGG_BAD_VALUE, "momentum %g: %s has none", s->momentum, rule->name);
  if (!schedule_known(s->schedule))
    return err_set(err, VGG_BAD_VALUE, "schedule '%s': unknown, wanted one of:%s", s->schedule,
                   schedule_names());
  if (!net_init_find(s->init))
    return err_set(err, VGG_BAD_VALUE, "init '%s': unknown, wanted one of:%s", s->init,
                   net_init_names());
  views ignored;
  const vgg_status status = views_parse(s->views, &ignored, err);
  return status == VGG_OK ? class_weights_check(s->class_weights, err) : status;
}

vgg_status settings_check(const settings *s, vgg_error *err) {
  char name[MAX_NAME];
  for (const field *f = fields; f < fields + NUM_FIELDS; f++) {
    if (f->type == FIELD_WORD) continue;
    const double value = number_of(s, f);
    if ((float)value >= (float)f->least && value < f->below && isfinite((float)value)) continue;
    return err_set(err, VGG_BAD_VALUE, "%s %g: wanted %s", said(f, name), value, f->wanted);
  }
  if (s->micro_batch > s->batch)
    return err_set(err, VGG_BAD_VALUE, "micro batch %d: wanted at most the batch, %d",
                   s->micro_batch, s->batch);
  return check_words(s, err);
}

vgg_status settings_same(const settings *s, const vgg_train_options *o, vgg_error *err) {
  char name[MAX_NAME];
  for (const field *f = fields; f < fields + NUM_FIELDS; f++) {
    if (f->at == offsetof(settings, epochs)) continue;
    if (f->type == FIELD_WORD) {
      const char *word = given_word(o, f);
      if (word && strcmp(word, word_of(s, f)) != 0)
        return err_set(err, VGG_BAD_VALUE, "%s %s: the run has %s and cannot change it",
                       said(f, name), word, word_of(s, f));
      continue;
    }
    const double given = given_number(o, f), own = number_of(s, f);
    if (given != 0 && (given < 0 ? 0 : settings_round(given)) != own)
      return err_set(err, VGG_BAD_VALUE, "%s %.9g: the run has %.9g and cannot change it",
                     said(f, name), given < 0 ? 0 : given, own);
  }
  return VGG_OK;
}

void settings_to_options(const settings *s, vgg_train_options *o) {
  for (const field *f = fields; f < fields + NUM_FIELDS; f++) {
    char *to = (char *)o + f->option;
    if (f->type == FIELD_WORD) {
      const char *word = word_of(s, f);
      memcpy(to, &word, sizeof word);
    } else {
      memcpy(to, (const char *)s + f->at, f->size);
    }
  }
}

bool settings_to_json(const settings *s, json_t *object) {
  bool ok = true;
  for (const field *f = fields; f < fields + NUM_FIELDS; f++) {
    json_t *value = f->type == FIELD_WORD    ? json_string(word_of(s, f))
                    : f->type == FIELD_WHOLE ? json_integer((json_int_t)number_of(s, f))
                                             : json_real(number_of(s, f));
    ok = json_object_set_new(object, f->name, value) == 0 && ok;
  }
  return ok;
}

bool settings_from_json(const json_t *object, settings *out) {
  *out = (settings){.batch = 0};
  for (const field *f = fields; f < fields + NUM_FIELDS; f++) {
    const json_t *value = json_object_get(object, f->name);
    if (f->type == FIELD_WORD) {
      const char *word = json_string_value(value);
      if (!word || (size_t)snprintf(word_of(out, f), f->size, "%s", word) >= f->size) return false;
      continue;
    }
    if (f->type == FIELD_WHOLE ? !json_is_integer(value) : !json_is_number(value)) return false;
    const double number = json_number_value(value);
    if (!(fabs(number) <= (f->type == FIELD_WHOLE ? INT_MAX : DBL_MAX))) return false;
    set_number(out, f, number);
  }
  return true;
}
