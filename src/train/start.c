/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of a new run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "train/trainer.h"

static const net_param *last_param(const vgg_model *m) {
  return &m->params.at[m->params.trained - 1]; /* running statistics lie behind */
}

/* ---- the head -------------------------------------------------------------------------------- */

static bool same_classes(const vgg_model *m, const vgg_dataset *data) {
  const int classes = m->arch->options.classes;
  if (vgg_dataset_classes(data) != classes) return false;
  for (int i = 0; i < classes; i++)
    if (strcmp(vgg_dataset_class_name(data, i), m->classes[i]) != 0) return false;
  return true;
}

/* Keeps the last layer or puts a new one there, and says so. */
static vgg_status fit_head(vgg_trainer *t, const char *word, vgg_error *err) {
  vgg_model *m = t->model;
  const int classes = vgg_dataset_classes(t->train_data), had = m->arch->options.classes;
  if (strcmp(word, "auto") != 0 && strcmp(word, "new") != 0 && strcmp(word, "keep") != 0)
    return err_set(err, VGG_BAD_VALUE, "last-layer '%s': unknown, wanted auto, new or keep", word);
  if (strcmp(word, "keep") == 0 && had < classes)
    return err_set(err, VGG_BAD_VALUE, "last-layer keep: %s has %d classes, the data %d",
                   t->config.from, had, classes);
  if (strcmp(word, "keep") == 0 || (strcmp(word, "auto") == 0 && same_classes(m, t->train_data))) {
    trainer_say(t, "all weights from %s, its %d classes", t->config.from, had);
    return VGG_OK;
  }
  const vgg_status status = vgg_model_new_head(m, classes, t->config.seed, err);
  if (status != VGG_OK) return status;
  const vgg_layer *head = &m->arch->layers[last_param(m)->layer];
  trainer_say(t, "weights from %s; new: %s (%s), for %d classes in the place of %d", t->config.from,
              head->name, head->module, classes, had);
  return VGG_OK;
}

/* ---- a deeper net from a shallower one's layers ---------------------------------------------- */

static const net_param *find_param(const vgg_model *m, const char *layer, net_role role) {
  for (int i = 0; i < m->params.count; i++) {
    const net_param *p = &m->params.at[i];
    if (p->role == role && strcmp(m->arch->layers[p->layer].name, layer) == 0) return p;
  }
  return NULL;
}

/* Of one of the file's first four convolutions, of the norm behind it, or of a linear layer. */
static bool is_given_on(const vgg_model *m, const net_param *p) {
  int convolutions = 0;
  if (m->arch->layers[p->layer].block == 0) return true;
  for (int i = 0; i <= p->layer; i++) convolutions += m->arch->layers[i].type == VGG_LAYER_CONV;
  return convolutions <= 4;
}

static vgg_status copy_param(vgg_trainer *t, const vgg_model *from, const net_param *source,
                             vgg_error *err) {
  const char *layer = from->arch->layers[source->layer].name;
  const net_param *to = find_param(t->model, layer, source->role);
  if (to && to->rank == source->rank && memcmp(to->shape, source->shape, sizeof to->shape) == 0 &&
      memcmp(&to->map, &source->map, sizeof to->map) == 0) {
    memcpy(t->model->values + to->offset, from->values + source->offset, to->count * sizeof(float));
    return VGG_OK;
  }
  return err_set(err, VGG_BAD_VALUE, "%s: its %s has no place of its shape in %s", t->config.from,
                 layer, vgg_arch_title(t->model->arch));
}

/* The last layer only where the classes are as many. */
static vgg_status start_deeper(vgg_trainer *t, const vgg_model *from, vgg_error *err) {
  text names = {0};
  const int last = last_param(from)->layer;
  const bool keep_head = from->arch->options.classes == t->model->arch->options.classes;
  vgg_status status = VGG_OK;
  for (int i = 0; i < from->params.count && status == VGG_OK; i++) {
    const net_param *p = &from->params.at[i];
    if (!is_given_on(from, p) || (p->layer == last && !keep_head)) continue;
    status = copy_param(t, from, p, err);
    if (p->role == NET_WEIGHT) text_add(&names, " %s", from->arch->layers[p->layer].name);
  }
  if (status == VGG_OK && names.failed) status = err_no_memory(err, "trainer", names.length);
  if (status == VGG_OK)
    trainer_say(t, "from %s:%s; all other layers drawn by %s", t->config.from,
                names.s ? names.s : " nothing", t->config.settings.init);
  free(names.s);
  const vgg_shape input = t->model->preprocess.input;
  t->model->preprocess = from->preprocess;
  t->model->preprocess.input = input;
  return status;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Without the last layer, whose units the data decide. */
static uint64_t body_params(const vgg_arch *arch) {
  return arch->params - arch->layers[vgg_arch_find(arch, "classifier.6")].params;
}

/* Nets of the same parameters, but for the classes: what their heads make of pictures of which size
 * may differ. */
static bool same_net(const vgg_arch *a, const vgg_arch *b) {
  const vgg_arch_options *x = &a->options, *y = &b->options;
  return strcmp(a->title, b->title) == 0 && x->ratio == y->ratio && x->hidden == y->hidden &&
         x->batch_norm == y->batch_norm && x->lrn == y->lrn && x->input.c == y->input.c &&
         body_params(a) == body_params(b);
}

static vgg_status name_classes(vgg_trainer *t, vgg_error *err) {
  const int named = vgg_dataset_classes(t->train_data);
  const int classes = t->model->arch->options.classes;
  const char **names = malloc((size_t)classes * sizeof *names);
  if (!names) return err_no_memory(err, "class names", (size_t)classes * sizeof *names);
  for (int i = 0; i < classes; i++)
    names[i] =
        i < named ? vgg_dataset_class_name(t->train_data, i) : vgg_model_class_name(t->model, i);
  const vgg_status status = vgg_model_set_classes(t->model, names, err);
  free(names);
  return status;
}

static vgg_status make(vgg_trainer *t, const vgg_arch *arch, const vgg_train_options *o,
                       vgg_model **loaded, vgg_error *err) {
  const char *head = o && o->head ? o->head : "auto";
  if (!*loaded && !arch)
    return err_set(err, VGG_BAD_VALUE, "net: missing, wanted an architecture or a file in `from`");
  vgg_status status = config_from_options(o, arch ? arch : (*loaded)->arch, &t->config, err);
  if (status != VGG_OK) return status;
  if (!o || !o->recipe) trainer_say(t, "recipe: %s", t->config.recipe);
  if (*loaded && (!arch || same_net(arch, (*loaded)->arch))) {
    t->model = *loaded;
    *loaded = NULL;
    if (arch) status = vgg_model_reshape(t->model, arch->options.head, arch->options.input, err);
    return status == VGG_OK ? fit_head(t, head, err) : status;
  }
  const net_init *init = net_init_find(t->config.settings.init);
  status = model_create(arch, init, t->config.seed, &t->model, err);
  return status == VGG_OK && *loaded ? start_deeper(t, *loaded, err) : status;
}

vgg_status start_model(vgg_trainer *t, const vgg_arch *arch, const vgg_train_options *options,
                       vgg_error *err) {
  vgg_model *loaded = NULL;
  vgg_status status = VGG_OK;
  if (options && options->from) status = vgg_model_load(options->from, &loaded, err);
  if (status == VGG_OK && options && options->sum_filters)
    status = loaded ? vgg_model_sum_filters(loaded, err)
                    : err_set(err, VGG_BAD_VALUE,
                              "channels sum-filters: wanted trained weights, by --from");
  if (status == VGG_OK) status = make(t, arch, options, &loaded, err);
  vgg_model_close(loaded);
  if (status != VGG_OK) return status;
  if (options && options->reduced_jpeg) t->model->preprocess.reduced_jpeg = true;
  if (options && options->channels == VGG_CHANNELS_REPLICATE)
    t->model->preprocess.channels = options->channels;
  return name_classes(t, err);
}
