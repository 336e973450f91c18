/* SPDX-License-Identifier: Apache-2.0 */
#include "format/naming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- names ----------------------------------------------------------------------------------- */

static void name_torchvision(const vgg_arch *arch, const net_param *param, char name[NAMING_MAX]) {
  (void)arch;
  snprintf(name, NAMING_MAX, "%s", param->name);
}

static void name_timm(const vgg_arch *arch, const net_param *param, char name[NAMING_MAX]) {
  static const char *const modules[][2] = {{"classifier.0", "pre_logits.fc1"},
                                           {"classifier.3", "pre_logits.fc2"},
                                           {"classifier.6", "head.fc"}};
  name_torchvision(arch, param, name);
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
    if (strcmp(arch->layers[param->layer].module, modules[i][0]) == 0)
      snprintf(name, NAMING_MAX, "%s%s", modules[i][1], param->name + strlen(modules[i][0]));
}

static void name_book(const vgg_arch *arch, const net_param *param, char name[NAMING_MAX]) {
  int m = 0;
  while (arch->modules[m].first_layer + arch->modules[m].num_layers <= param->layer) m++;
  const vgg_module *module = &arch->modules[m];
  const char *kind = strrchr(param->name, '.');
  if (strcmp(module->class_name, "Sequential") == 0)
    snprintf(name, NAMING_MAX, "%d.%d%s", m, param->layer - module->first_layer, kind);
  else
    snprintf(name, NAMING_MAX, "%d%s", m, kind);
}

static const naming namings[] = {
#define NAMING(id, about, preset) {about, preset, name_##id},
#include "format/namings.def"
#undef NAMING
};
enum { NUM_NAMINGS = sizeof namings / sizeof *namings };

/* The prefixes that all names share, one after the other. */
static void find_prefix(const weights_file *f, char prefix[NAMING_MAX]) {
  static const char *const known[] = {"module.", "_orig_mod.", "model.", "net."};
  enum { NUM_KNOWN = sizeof known / sizeof *known };
  size_t length = 0;
  prefix[0] = 0;
  for (size_t k = 0; k < NUM_KNOWN && weights_count(f) > 0;) {
    const size_t more = strlen(known[k]);
    bool all = length + more < NAMING_MAX;
    for (size_t i = 0; i < weights_count(f) && all; i++) {
      const char *name = weights_at(f, i)->name; /* it has the prefix so far */
      all = strncmp(name + length, known[k], more) == 0;
    }
    if (all) {
      memcpy(prefix + length, known[k], more + 1);
      length += more;
    }
    k = all ? 0 : k + 1;
  }
}

const weights_tensor *naming_find(const weights_file *f, const naming_match *match,
                                  const net_param *param) {
  char name[NAMING_MAX], full[2 * NAMING_MAX];
  match->naming->name(match->arch, param, name);
  snprintf(full, sizeof full, "%s%s", match->prefix, name);
  return weights_find(f, full);
}

/* ---- which net ------------------------------------------------------------------------------- */

/* A counter that batch norm keeps beside its running mean. */
static bool is_counter(const weights_file *f, const weights_tensor *t) {
  static const char counter[] = "num_batches_tracked", mean[] = "running_mean";
  const size_t length = strlen(t->name);
  char sibling[2 * NAMING_MAX];
  if (length < strlen(counter) || length >= sizeof sibling ||
      strcmp(t->name + length - strlen(counter), counter) != 0)
    return false;
  snprintf(sibling, sizeof sibling, "%.*s%s", (int)(length - strlen(counter)), t->name, mean);
  return weights_find(f, sibling) != NULL;
}

/* Whether a convolution's filter is as high and wide: the paper's C and D differ in nothing else.
 */
static bool has_filter(const weights_tensor *t, const net_param *p) {
  return p->rank != 4 || t->rank != 4 ||
         (t->shape[2] == (uint64_t)p->shape[2] && t->shape[3] == (uint64_t)p->shape[3]);
}

/* How many tensors a net under a naming and the file have in common. */
static int common_names(const weights_file *f, const naming_match *match,
                        const net_params *params) {
  int common = 0;
  for (int i = 0; i < params->count; i++) {
    const net_param *p = &params->at[i];
    const weights_tensor *t = naming_find(f, match, p);
    common += t && has_filter(t, p);
  }
  return common;
}

/* The net whose names fit best, at its full width: the fewest on either side without a partner.
 * out->naming is NULL when no net shares a name. */
static vgg_status nearest(const weights_file *f, naming_match *out, net_params *params,
                          vgg_error *err) {
  const vgg_arch_options options = {.input = {3, 224, 224}};
  size_t counted = 0, least = SIZE_MAX;
  for (size_t i = 0; i < weights_count(f); i++) counted += !is_counter(f, weights_at(f, i));
  naming_match match = *out;
  for (size_t i = 0; vgg_arch_name_at(i, NULL); i++) {
    const vgg_status status =
        vgg_arch_from_text(vgg_arch_name_at(i, NULL), &options, &match.arch, err);
    if (status != VGG_OK) return status;
    net_params_of(match.arch, params);
    bool kept = false;
    for (int n = 0; n < NUM_NAMINGS; n++) {
      match.naming = &namings[n];
      const size_t common = (size_t)common_names(f, &match, params);
      const size_t lonely = counted + (size_t)params->count - 2 * common;
      if (common == 0 || lonely >= least) continue;
      least = lonely;
      if (!kept) vgg_arch_close(out->arch);
      kept = true;
      *out = match;
    }
    if (!kept) vgg_arch_close(match.arch);
  }
  if (out->arch) net_params_of(out->arch, params);
  return VGG_OK;
}

static vgg_status bad_tensor(const char *file, const naming_match *match, const char *name,
                             const char *what, vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: nearest to %s in %s: tensor '%s%.100s' %s", file,
                 vgg_arch_title(match->arch), match->naming->about, match->prefix, name, what);
}

/* Every parameter has its tensor, and every tensor its parameter. */
static vgg_status check_names(const char *file, const weights_file *f, const naming_match *match,
                              const net_params *params, vgg_error *err) {
  char name[NAMING_MAX];
  for (int i = 0; i < params->count; i++) {
    match->naming->name(match->arch, &params->at[i], name);
    if (!naming_find(f, match, &params->at[i]))
      return bad_tensor(file, match, name, "is missing", err);
  }
  for (size_t i = 0; i < weights_count(f); i++) {
    const weights_tensor *t = weights_at(f, i);
    bool known = is_counter(f, t);
    for (int k = 0; k < params->count && !known; k++)
      known = naming_find(f, match, &params->at[k]) == t;
    if (!known)
      return bad_tensor(file, match, t->name + strlen(match->prefix), "has no place", err);
  }
  return VGG_OK;
}

/* ---- its shapes ------------------------------------------------------------------------------ */

enum { MOST = 65536 }; /* channels, units, sides: see vgg/arch.h */

/* The first convolution's weight, and the first and last linear layer's. */
typedef struct landmarks {
  const net_param *conv, *fc, *last;
} landmarks;

static landmarks find_landmarks(const net_params *params) {
  landmarks l = {0};
  for (int i = 0; i < params->count; i++) {
    const net_param *p = &params->at[i];
    if (p->rank == 4 && !l.conv) l.conv = p;
    if (p->rank == 2 && !l.fc) l.fc = p;
    if (p->rank == 2) l.last = p;
  }
  return l;
}

/* Columns of a linear layer's weight, which may be stored as a convolution; 0: not in range. */
static int columns_of(const weights_tensor *t) {
  uint64_t n = 1;
  for (int d = 1; d < t->rank; d++)
    if (t->shape[d] == 0 || t->shape[d] > MOST || (n *= t->shape[d]) > INT32_MAX) return 0;
  return t->rank >= 2 ? (int)n : 0;
}

/* The side of the last map of a net with square input; 0: it shrinks to nothing or is too large. */
static int map_side(const char *title, vgg_arch_options options, int side) {
  vgg_arch *arch;
  options.input.h = options.input.w = side;
  if (vgg_arch_from_text(title, &options, &arch, NULL) != VGG_OK) return 0;
  int i = 0;
  while (arch->layers[i].type != VGG_LAYER_FLATTEN) i++;
  const int map = arch->layers[i].in.h;
  vgg_arch_close(arch);
  return map;
}

/* The input whose last map has `pixels` pixels; 0: there is none. */
static int input_side(const char *title, const vgg_arch_options *options, int pixels) {
  enum { USUAL = 224, LARGEST = 4096 };
  int map = 1;
  while (map * map < pixels && map < LARGEST) map++;
  if (map * map != pixels) return 0;
  if (map_side(title, *options, USUAL) == map) return USUAL;
  for (int side = 1; side <= LARGEST; side++)
    if (map_side(title, *options, side) == map) return side;
  return 0;
}

static vgg_status bad_shape(const char *file, const naming_match *match, const net_param *p,
                            const weights_tensor *t, const char *wanted, vgg_error *err) {
  char name[NAMING_MAX], what[256], found[128];
  match->naming->name(match->arch, p, name);
  snprintf(what, sizeof what, "is %s, wanted %s", weights_text(t, found, sizeof found), wanted);
  return bad_tensor(file, match, name, what, err);
}

/* What the shapes of the landmarks say of the net at hand. */
static vgg_status read_options(const char *file, const weights_file *f, const naming_match *match,
                               const net_params *params, vgg_arch_options *out, vgg_error *err) {
  const landmarks l = find_landmarks(params);
  const weights_tensor *conv = naming_find(f, match, l.conv), *fc = naming_find(f, match, l.fc),
                       *last = naming_find(f, match, l.last);
  const uint64_t full = (uint64_t)l.conv->shape[0];
  if (conv->rank != 4 || conv->shape[0] == 0 || conv->shape[1] == 0 || conv->shape[1] > MOST ||
      full % conv->shape[0] != 0)
    return bad_shape(file, match, l.conv, conv, "[K, C, R, S], K a divisor of the net's", err);
  *out = (vgg_arch_options){.ratio = (int)(full / conv->shape[0]),
                            .input = {(int)conv->shape[1], 224, 224}};
  if (last->rank < 2 || last->shape[0] == 0 || last->shape[0] > MOST)
    return bad_shape(file, match, l.last, last, "[classes, units]", err);
  out->classes = (int)last->shape[0];
  const int columns = columns_of(fc), channels = l.fc->map.c / out->ratio;
  if (columns == 0 || fc->shape[0] == 0 || fc->shape[0] > MOST || channels == 0 ||
      columns % channels != 0)
    return bad_shape(file, match, l.fc, fc, "[units, channels of the last map x its pixels]", err);
  out->hidden = (int)fc->shape[0];
  const int side = input_side(vgg_arch_title(match->arch), out, columns / channels);
  if (side == 0)
    return bad_shape(file, match, l.fc, fc, "columns for a square map of a square input", err);
  out->input.h = out->input.w = side;
  if (match->naming->preset && side == 224) out->head = VGG_HEAD_ADAPTIVE; /* as they have it */
  return VGG_OK;
}

/* The shape the net wants; a linear layer may be stored as the convolution that does the same. */
static bool shape_fits(const weights_tensor *t, const net_param *p) {
  bool same = t->rank == p->rank;
  for (int d = 0; d < p->rank && same; d++) same = t->shape[d] == (uint64_t)p->shape[d];
  if (same || p->rank != 2 || t->rank != 4 || t->shape[0] != (uint64_t)p->shape[0]) return same;
  const vgg_shape map = p->map.c > 0 ? p->map : (vgg_shape){p->shape[1], 1, 1};
  return t->shape[1] == (uint64_t)map.c && t->shape[2] == (uint64_t)map.h &&
         t->shape[3] == (uint64_t)map.w;
}

static vgg_status check_shapes(const char *file, const weights_file *f, const naming_match *match,
                               const net_params *params, vgg_error *err) {
  for (int i = 0; i < params->count; i++) {
    const net_param *p = &params->at[i];
    const weights_tensor *t = naming_find(f, match, p);
    char wanted[96] = "a floating-point type [";
    for (int d = 0; d < p->rank; d++) {
      const size_t used = strlen(wanted);
      snprintf(wanted + used, sizeof wanted - used, "%s%d", d ? ", " : "", p->shape[d]);
    }
    if (!t->type || !t->type->is_float || !shape_fits(t, p))
      return bad_shape(file, match, p, t, strcat(wanted, "]"), err);
  }
  return VGG_OK;
}

vgg_status naming_recognise(const char *file, const weights_file *f, naming_match *out,
                            vgg_error *err) {
  naming_match match = {0};
  net_params params;
  find_prefix(f, match.prefix);
  vgg_status status = nearest(f, &match, &params, err);
  if (status != VGG_OK) goto done;
  if (!match.arch) {
    status = err_set(err, VGG_BAD_CONTENT,
                     "%s: no tensor has a name that a vgg net has under torchvision's, timm's or "
                     "the book's naming; the first is '%.100s'",
                     file, weights_count(f) ? weights_at(f, 0)->name : "");
    goto done;
  }
  status = check_names(file, f, &match, &params, err);
  vgg_arch_options options;
  if (status == VGG_OK) status = read_options(file, f, &match, &params, &options, err);
  if (status != VGG_OK) goto done;
  vgg_arch *arch;
  status = vgg_arch_from_text(vgg_arch_title(match.arch), &options, &arch, err);
  if (status != VGG_OK) {
    status = err_prefix(err, VGG_BAD_CONTENT, file);
    goto done;
  }
  vgg_arch_close(match.arch);
  match.arch = arch;
  net_params_of(arch, &params);
  status = check_shapes(file, f, &match, &params, err);
done:
  if (status != VGG_OK)
    vgg_arch_close(match.arch);
  else
    *out = match;
  return status;
}
