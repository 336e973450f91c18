/* SPDX-License-Identifier: Apache-2.0 */
#include "format/model_meta.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The steps that every model of this version shares. They stand in the file so that a later
 * version with other steps cannot run a model the wrong way without noticing. */
static const struct {
  const char *key, *value;
} fixed_steps[] = {
    {"resize", "pillow-bilinear-cover-centre-crop"},
    {"grey", "pillow-L"},
    {"alpha", "over-black"},
    {"scale", "1/255"},
};
enum { NUM_FIXED_STEPS = sizeof fixed_steps / sizeof *fixed_steps, OLD_ARCH_KEYS = 6 };

/* ---- writing --------------------------------------------------------------------------------- */

/* The JSON as text; takes the value over, which may be NULL for want of memory. */
static char *dump(json_t *value) {
  char *s = value ? json_dumps(value, JSON_COMPACT) : NULL;
  json_decref(value);
  return s;
}

static json_t *shape_json(vgg_shape s) { return json_pack("[i,i,i]", s.c, s.h, s.w); }

static char *arch_text(const vgg_arch *arch) {
  const vgg_arch_options *o = vgg_arch_get_options(arch);
  return dump(json_pack("{s:s,s:i,s:o,s:i,s:i,s:f,s:b,s:s,s:s,s:i}", "text", vgg_arch_title(arch),
                        "ratio", o->ratio, "input", shape_json(o->input), "classes", o->classes,
                        "hidden", o->hidden, "dropout", o->dropout < 0 ? 0.0 : o->dropout,
                        "batch_norm", o->batch_norm, "lrn", vgg_lrn_name(o->lrn), "head",
                        vgg_head_name(o->head), "window", o->window));
}

static char *classes_text(const vgg_model *m) {
  json_t *names = json_array();
  for (int i = 0; names && i < m->arch->options.classes; i++)
    if (json_array_append_new(names, json_string(m->classes[i])) != 0) {
      json_decref(names);
      names = NULL;
    }
  return dump(names);
}

/* A number for each channel; there are at most 3. */
static json_t *channels_json(const double *values, int channels) {
  json_t *array = json_array();
  for (int c = 0; array && c < channels; c++)
    if (json_array_append_new(array, json_real(values[c])) != 0) {
      json_decref(array);
      array = NULL;
    }
  return array;
}

static char *preprocess_text(const vgg_preprocess *rule) {
  json_t *o = json_pack("{s:o,s:b,s:s}", "input", shape_json(rule->input), "invert", rule->invert,
                        "exif", rule->ignore_exif ? "ignore" : "apply");
  for (int i = 0; o && i < NUM_FIXED_STEPS; i++)
    if (json_object_set_new(o, fixed_steps[i].key, json_string(fixed_steps[i].value)) != 0) {
      json_decref(o);
      o = NULL;
    }
  /* Only where they say something, so that a version that does not know them refuses them. */
  bool set = true;
  if (o && rule->channels == VGG_CHANNELS_REPLICATE)
    set = json_object_set_new(o, "channels", json_string("replicate")) == 0;
  if (o && rule->reduced_jpeg)
    set = set && json_object_set_new(o, "jpeg", json_string("reduced")) == 0;
  if (o && rule->shorter_side)
    set = set && json_object_set_new(o, "shorter_side", json_integer(rule->shorter_side)) == 0;
  if (o && rule->std[0] > 0)
    set = set && json_object_set_new(o, "mean", channels_json(rule->mean, rule->input.c)) == 0 &&
          json_object_set_new(o, "std", channels_json(rule->std, rule->input.c)) == 0;
  if (set) return dump(o);
  json_decref(o);
  return NULL;
}

vgg_status model_meta_make(const vgg_model *model, const char *path, model_meta *out,
                           vgg_error *err) {
  model_meta m = {.arch = arch_text(model->arch),
                  .classes = classes_text(model),
                  .preprocess = preprocess_text(&model->preprocess)};
  if (!m.arch || !m.classes || !m.preprocess) {
    model_meta_free(&m);
    return err_set(err, VGG_NO_MEMORY, "%s: no memory for its metadata", path);
  }
  m.pairs[0] = (st_pair){"vgg.version", vgg_version()};
  m.pairs[1] = (st_pair){"vgg.arch", m.arch};
  m.pairs[2] = (st_pair){"vgg.classes", m.classes};
  m.pairs[3] = (st_pair){"vgg.preprocess", m.preprocess};
  m.pairs[4] = (st_pair){"vgg.recipe", model->recipe};
  *out = m;
  return VGG_OK;
}

void model_meta_free(model_meta *meta) {
  free(meta->arch);
  free(meta->classes);
  free(meta->preprocess);
}

/* ---- reading --------------------------------------------------------------------------------- */

static vgg_status bad_meta(const char *path, const char *key, const char *what, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: metadata %s: %s", path, key, what);
}

/* The JSON under `key`; *out is the caller's to json_decref. A tree takes some 20 times its text,
 * hence the limit. */
static vgg_status parse(const char *path, const st_file *f, const char *key, json_type type,
                        json_t **out, vgg_error *err) {
  enum { MAX_TEXT = 2 << 20 };
  const char *s = st_metadata(f, key);
  if (!s)
    return err_set(err, VGG_BAD_CONTENT, "%s: holds no metadata %s: not a model that vgg saved",
                   path, key);
  if (strlen(s) > MAX_TEXT) return bad_meta(path, key, "is over 2 MB", err);
  json_error_t error;
  json_t *value = json_loads(s, JSON_REJECT_DUPLICATES, &error);
  if (!value) return bad_meta(path, key, error.text, err);
  if (json_typeof(value) != type) {
    json_decref(value);
    return bad_meta(path, key, type == JSON_ARRAY ? "wanted an array" : "wanted an object", err);
  }
  *out = value;
  return VGG_OK;
}

static bool get_int(const json_t *value, int *out) {
  if (!json_is_integer(value)) return false;
  const json_int_t v = json_integer_value(value);
  if (v < 1 || v > INT_MAX) return false;
  *out = (int)v;
  return true;
}

static bool get_shape(const json_t *value, vgg_shape *out) {
  return json_is_array(value) && json_array_size(value) == 3 &&
         get_int(json_array_get(value, 0), &out->c) && get_int(json_array_get(value, 1), &out->h) &&
         get_int(json_array_get(value, 2), &out->w);
}

/* Files from before there was a choice hold none of these. */
static bool get_norms_and_head(const json_t *o, vgg_arch_options *out) {
  const json_t *window = json_object_get(o, "window"), *bn = json_object_get(o, "batch_norm");
  const char *lrn = json_string_value(json_object_get(o, "lrn"));
  const char *head = json_string_value(json_object_get(o, "head"));
  if (json_object_size(o) == OLD_ARCH_KEYS) return true;
  if (json_object_size(o) != OLD_ARCH_KEYS + 4 || !lrn || !head || !json_is_boolean(bn))
    return false;
  out->batch_norm = json_is_true(bn);
  while (vgg_lrn_name(out->lrn) && strcmp(vgg_lrn_name(out->lrn), lrn) != 0) out->lrn++;
  out->head = VGG_HEAD_FLATTEN;
  while (vgg_head_name(out->head) && strcmp(vgg_head_name(out->head), head) != 0) out->head++;
  if (out->head == VGG_HEAD_FLATTEN)
    return vgg_lrn_name(out->lrn) && json_is_integer(window) && json_integer_value(window) == 0;
  return vgg_lrn_name(out->lrn) && vgg_head_name(out->head) && get_int(window, &out->window);
}

static vgg_status read_arch(const char *path, const st_file *f, vgg_arch **out, vgg_error *err) {
  static const char key[] = "vgg.arch";
  json_t *o;
  vgg_status status = parse(path, f, key, JSON_OBJECT, &o, err);
  if (status != VGG_OK) return status;
  vgg_arch_options options = {0};
  const char *text = json_string_value(json_object_get(o, "text"));
  const json_t *dropout = json_object_get(o, "dropout");
  if (!text || !json_is_number(dropout) || !get_norms_and_head(o, &options) ||
      !get_int(json_object_get(o, "ratio"), &options.ratio) ||
      !get_shape(json_object_get(o, "input"), &options.input) ||
      !get_int(json_object_get(o, "classes"), &options.classes) ||
      !get_int(json_object_get(o, "hidden"), &options.hidden)) {
    status = bad_meta(path, key,
                      "wanted text, ratio, input, classes, hidden, dropout, batch_norm, lrn, head "
                      "and window, no more, counts from 1 on",
                      err);
    goto done;
  }
  options.dropout = json_number_value(dropout);
  if (options.dropout <= 0) options.dropout = -1; /* 0 would mean the default */
  status = vgg_arch_from_text(text, &options, out, err);
  if (status == VGG_BAD_VALUE) {
    char where[300];
    snprintf(where, sizeof where, "%.250s: metadata %s", path, key);
    status = err_prefix(err, VGG_BAD_CONTENT, where);
  }
done:
  json_decref(o);
  return status;
}

static vgg_status read_classes(const char *path, const st_file *f, int count, char ***out,
                               vgg_error *err) {
  static const char key[] = "vgg.classes";
  json_t *names;
  vgg_status status = parse(path, f, key, JSON_ARRAY, &names, err);
  if (status != VGG_OK) return status;
  if (json_array_size(names) != (size_t)count) {
    status = err_set(err, VGG_BAD_CONTENT, "%s: metadata %s: %zu names for %d classes", path, key,
                     json_array_size(names), count);
    goto done;
  }
  /* The model owns the array at once, so that closing it frees a half-filled one. */
  *out = calloc((size_t)count, sizeof **out);
  if (!*out) {
    status = err_no_memory(err, path, (size_t)count * sizeof **out);
    goto done;
  }
  for (int i = 0; i < count && status == VGG_OK; i++) {
    const char *name = json_string_value(json_array_get(names, (size_t)i));
    if (!name)
      status = bad_meta(path, key, "holds something besides names", err);
    else if (!((*out)[i] = strdup(name)))
      status = err_no_memory(err, path, strlen(name) + 1);
  }
done:
  json_decref(names);
  return status;
}

/* [mean or std] of 3 channels, or of 1; false if it is something else. */
static bool get_channels(const json_t *array, int channels, double *out) {
  if (!json_is_array(array) || json_array_size(array) != (size_t)channels || channels > 3)
    return false;
  for (int c = 0; c < channels; c++) {
    const json_t *value = json_array_get(array, (size_t)c);
    out[c] = json_number_value(value);
    if (!json_is_number(value) || !(fabs(out[c]) <= 1e6)) return false;
  }
  return true;
}

/* The parts that a rule may lack; `keys` grows by those that are there. */
static bool get_normalisation(const json_t *o, vgg_preprocess *out, size_t *keys) {
  const json_t *side = json_object_get(o, "shorter_side"), *mean = json_object_get(o, "mean"),
               *std = json_object_get(o, "std");
  *keys += (side != NULL) + (mean != NULL) + (std != NULL);
  if (side && (!get_int(side, &out->shorter_side) || out->shorter_side < out->input.h ||
               out->shorter_side < out->input.w))
    return false;
  if (!mean && !std) return true;
  if (!get_channels(mean, out->input.c, out->mean) || !get_channels(std, out->input.c, out->std))
    return false;
  for (int c = 0; c < out->input.c; c++)
    if (!(out->std[c] >= 1e-6)) return false;
  return true;
}

/* A rule that may be lacking, and of which there is one word; `keys` counts it. */
static bool get_optional(const json_t *o, const char *key, const char *word, bool *out,
                         size_t *keys) {
  const json_t *value = json_object_get(o, key);
  *out = value != NULL;
  *keys += *out;
  return !value || (json_is_string(value) && strcmp(json_string_value(value), word) == 0);
}

static bool get_exif(const json_t *o, bool *ignore) {
  const char *word = json_string_value(json_object_get(o, "exif"));
  *ignore = word && strcmp(word, "ignore") == 0;
  return word && (*ignore || strcmp(word, "apply") == 0);
}

static vgg_status read_preprocess(const char *path, const st_file *f, vgg_shape input,
                                  vgg_preprocess *out, vgg_error *err) {
  static const char key[] = "vgg.preprocess";
  json_t *o;
  vgg_status status = parse(path, f, key, JSON_OBJECT, &o, err);
  if (status != VGG_OK) return status;
  const json_t *invert = json_object_get(o, "invert");
  size_t keys = 3 + NUM_FIXED_STEPS;
  bool replicate = false;
  if (!get_shape(json_object_get(o, "input"), &out->input) || !json_is_boolean(invert) ||
      !get_optional(o, "channels", "replicate", &replicate, &keys) ||
      !get_optional(o, "jpeg", "reduced", &out->reduced_jpeg, &keys) ||
      !get_normalisation(o, out, &keys) || json_object_size(o) != keys)
    status = bad_meta(path, key,
                      "wanted input, invert, exif, resize, grey, alpha, scale, perhaps channels "
                      "replicate, jpeg reduced, shorter_side, mean and std, no more",
                      err);
  else if (!get_exif(o, &out->ignore_exif))
    status = bad_meta(path, key, "exif is neither 'apply' nor 'ignore'", err);
  else if (out->input.c != input.c || out->input.h != input.h || out->input.w != input.w)
    status =
        err_set(err, VGG_BAD_CONTENT, "%s: metadata %s: input %dx%dx%d, the net takes %dx%dx%d",
                path, key, out->input.c, out->input.h, out->input.w, input.c, input.h, input.w);
  out->invert = json_is_true(invert);
  out->channels = replicate ? VGG_CHANNELS_REPLICATE : VGG_CHANNELS_LUMA;
  for (int i = 0; i < NUM_FIXED_STEPS && status == VGG_OK; i++) {
    const char *value = json_string_value(json_object_get(o, fixed_steps[i].key));
    if (!value || strcmp(value, fixed_steps[i].value) != 0)
      status = err_set(err, VGG_BAD_CONTENT,
                       "%s: metadata %s: %s is '%.60s', this vgg does '%s' only", path, key,
                       fixed_steps[i].key, value ? value : "not a word", fixed_steps[i].value);
  }
  json_decref(o);
  return status;
}

static vgg_status read_recipe(const char *path, const st_file *f, char **out, vgg_error *err) {
  json_t *o;
  const vgg_status status = parse(path, f, "vgg.recipe", JSON_OBJECT, &o, err);
  if (status != VGG_OK) return status;
  json_decref(o);
  *out = strdup(st_metadata(f, "vgg.recipe")); /* the text itself: numbers keep their digits */
  if (!*out) return err_no_memory(err, path, strlen(st_metadata(f, "vgg.recipe")) + 1);
  for (char *c = *out; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' '; /* line ends between tokens: it is one line */
  return VGG_OK;
}

vgg_status model_meta_read(const char *path, const st_file *file, vgg_model *model,
                           vgg_error *err) {
  vgg_status status = read_arch(path, file, &model->arch, err);
  if (status != VGG_OK) return status;
  const vgg_arch_options *o = vgg_arch_get_options(model->arch);
  status = read_classes(path, file, o->classes, &model->classes, err);
  if (status == VGG_OK) status = read_preprocess(path, file, o->input, &model->preprocess, err);
  if (status == VGG_OK) status = read_recipe(path, file, &model->recipe, err);
  return status;
}
