/* SPDX-License-Identifier: Apache-2.0
 *
 * From a pickle's nodes to tensors.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/pth.h"

enum { MAX_TENSORS = 100000 };

static const pickle_node *node_at(const pth_reader *r, pickle_id id) { return &r->tree->nodes[id]; }

static bool text_is(const pickle_node *n, const char *text) {
  return n->kind == PICKLE_TEXT && n->length == strlen(text) &&
         memcmp(n->text, text, n->length) == 0;
}

/* ---- storages -------------------------------------------------------------------------------- */

static const weights_type *storage_type(pickle_global global) {
  static const struct {
    pickle_global global;
    const char *type;
  } rows[] = {
      {PICKLE_FLOAT_STORAGE, "F32"}, {PICKLE_DOUBLE_STORAGE, "F64"},
      {PICKLE_HALF_STORAGE, "F16"},  {PICKLE_BFLOAT16_STORAGE, "BF16"},
      {PICKLE_LONG_STORAGE, "I64"},  {PICKLE_INT_STORAGE, "I32"},
      {PICKLE_SHORT_STORAGE, "I16"}, {PICKLE_CHAR_STORAGE, "I8"},
      {PICKLE_BYTE_STORAGE, "U8"},   {PICKLE_BOOL_STORAGE, "BOOL"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (rows[i].global == global) return weights_type_of(rows[i].type);
  return NULL;
}

/* An integer that counts something: 0 .. 2^62, so that two of them can be added. */
static bool count_of(const pickle_node *n, uint64_t *out) {
  if (n->kind != PICKLE_INT || n->integer < 0 || n->integer > (int64_t)1 << 62) return false;
  *out = (uint64_t)n->integer;
  return true;
}

static vgg_status bad_storage(const pth_reader *r, const pickle_node *n, const char *what,
                              vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: pickle, byte %zu: storage %s", r->file, n->at, what);
}

/* The legacy sixth part: None, or (key of the view, offset, elements). */
static bool read_view(const pth_reader *r, const pickle_node *view, pth_storage *s) {
  if (view->kind == PICKLE_NONE) return true;
  return view->kind == PICKLE_TUPLE && view->count == 3 &&
         count_of(node_at(r, view->items[1]), &s->view) &&
         count_of(node_at(r, view->items[2]), &s->view_count) && s->view <= s->count &&
         s->view_count <= s->count - s->view;
}

vgg_status pth_read_storage(const pth_reader *r, const pickle_node *node, pth_storage *out,
                            vgg_error *err) {
  if (node->count < 5 || node->count > 6 || !text_is(node_at(r, node->items[0]), "storage"))
    return bad_storage(r, node, "without ('storage', type, key, place, elements)", err);
  const pickle_node *type = node_at(r, node->items[1]), *key = node_at(r, node->items[2]);
  *out = (pth_storage){.type = type->kind == PICKLE_GLOBAL ? storage_type(type->global) : NULL};
  if (!out->type) return bad_storage(r, node, "of no known type", err);
  if (key->kind != PICKLE_TEXT) return bad_storage(r, node, "whose key is no text", err);
  out->key = key->text;
  out->key_length = key->length;
  uint64_t bytes;
  if (!count_of(node_at(r, node->items[4]), &out->count) ||
      __builtin_mul_overflow(out->count, out->type->size, &bytes))
    return bad_storage(r, node, "whose size is no count", err);
  out->view_count = out->count;
  if (node->count == 6 && !read_view(r, node_at(r, node->items[5]), out))
    return bad_storage(r, node, "whose view is not inside it", err);
  return VGG_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static vgg_status bad_tensor(const pth_reader *r, const char *name, const char *what,
                             vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: tensor '%.100s': %s", r->file, name, what);
}

/* A shape or a stride, a tuple or torch.Size(tuple). */
static bool read_counts(const pth_reader *r, const pickle_node *n, uint64_t *out, int *rank) {
  if (n->kind == PICKLE_CALL && n->global == PICKLE_SIZE && n->count == 1)
    n = node_at(r, n->items[0]);
  if (n->kind != PICKLE_TUPLE || n->count > WEIGHTS_MAX_RANK) return false;
  for (uint32_t d = 0; d < n->count; d++)
    if (!count_of(node_at(r, n->items[d]), &out[d])) return false;
  *rank = (int)n->count;
  return true;
}

/* Every element lies in the storage, and a size over 1 moves on in it. */
static bool is_inside(const weights_tensor *t, uint64_t offset, uint64_t storage) {
  if (t->count == 0) return offset <= storage;
  uint64_t last = offset, way;
  for (int d = 0; d < t->rank; d++)
    if ((t->shape[d] > 1 && t->stride[d] == 0) ||
        __builtin_mul_overflow(t->shape[d] - 1, t->stride[d], &way) ||
        __builtin_add_overflow(last, way, &last))
      return false;
  return last < storage;
}

/* The call that makes the tensor, out of the parameter that it may be wrapped in; NULL: none. */
static const pickle_node *tensor_call(const pth_reader *r, const pickle_node *n) {
  if (n->kind == PICKLE_CALL && n->count > 0 &&
      (n->global == PICKLE_REBUILD_PARAMETER || n->global == PICKLE_PARAMETER))
    n = node_at(r, n->items[0]);
  const bool makes = n->kind == PICKLE_CALL &&
                     ((n->global == PICKLE_REBUILD_TENSOR_V2 && (n->count == 6 || n->count == 7)) ||
                      (n->global == PICKLE_REBUILD_TENSOR && n->count == 4));
  return makes ? n : NULL;
}

static vgg_status read_tensor(const pth_reader *r, const char *name, const pickle_node *value,
                              weights_tensor *out, vgg_error *err) {
  const pickle_node *n = tensor_call(r, value);
  if (!n) {
    char what[64] = "is ";
    strcat(what, pickle_kind_name(value->kind));
    return bad_tensor(r, name, strcat(what, ", no tensor"), err);
  }
  const pickle_node *from = node_at(r, n->items[0]);
  if (from->kind != PICKLE_PERSISTENT) return bad_tensor(r, name, "is not of a storage", err);
  pth_storage storage;
  vgg_status status = pth_read_storage(r, from, &storage, err);
  if (status != VGG_OK) return status;
  weights_tensor t = {.name = name, .type = storage.type, .type_name = storage.type->name};
  uint64_t offset, stride[WEIGHTS_MAX_RANK];
  int strides;
  if (!count_of(node_at(r, n->items[1]), &offset) ||
      !read_counts(r, node_at(r, n->items[2]), t.shape, &t.rank) ||
      !read_counts(r, node_at(r, n->items[3]), stride, &strides) || strides != t.rank)
    return bad_tensor(r, name, "offset, shape and stride are no counts, at most 8 each", err);
  if (!weights_lay_out(&t)) return bad_tensor(r, name, "its shape is over 64 bits", err);
  memcpy(t.stride, stride, sizeof stride[0] * (size_t)t.rank);
  if (!is_inside(&t, offset, storage.view_count))
    return bad_tensor(r, name, "reaches out of its storage, or repeats an element", err);
  const uint8_t *data;
  status =
      r->find(r, storage.key, storage.key_length, storage.count * storage.type->size, &data, err);
  if (status != VGG_OK) return status;
  if (t.count > 0) t.data = data + (storage.view + offset) * t.type->size;
  *out = t;
  return VGG_OK;
}

/* ---- the dictionary -------------------------------------------------------------------------- */

static const pickle_node *find_state(const pth_reader *r) {
  static const char *const keys[] = {"state_dict", "model_state_dict", "model"};
  const pickle_node *root = node_at(r, r->tree->root);
  if (root->kind != PICKLE_DICT) return NULL;
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    for (uint32_t i = 0; i < root->count; i += 2)
      if (text_is(node_at(r, root->items[i]), keys[k]) &&
          node_at(r, root->items[i + 1])->kind == PICKLE_DICT)
        return node_at(r, root->items[i + 1]);
  return root;
}

/* Copies the key's text with a NUL to *to, and moves on. */
static vgg_status take_name(const pth_reader *r, const pickle_node *key, char **to,
                            vgg_error *err) {
  if (key->kind != PICKLE_TEXT || memchr(key->text, 0, key->length))
    return err_set(err, VGG_BAD_CONTENT, "%s: pickle, byte %zu: %s as the name of a tensor",
                   r->file, key->at, pickle_kind_name(key->kind));
  memcpy(*to, key->text, key->length);
  (*to)[key->length] = 0;
  *to += key->length + 1;
  return VGG_OK;
}

vgg_status pth_read_state(const pth_reader *r, weights_content *out, vgg_error *err) {
  const pickle_node *state = find_state(r);
  if (!state)
    return err_set(err, VGG_BAD_CONTENT, "%s: holds %s, wanted a state dictionary", r->file,
                   pickle_kind_name(node_at(r, r->tree->root)->kind));
  if (state->count / 2 > MAX_TENSORS)
    return err_set(err, VGG_BAD_CONTENT, "%s: %u tensors, at most %d are read", r->file,
                   state->count / 2, MAX_TENSORS);
  size_t strings = 1;
  for (uint32_t i = 0; i < state->count; i += 2)
    if (node_at(r, state->items[i])->kind == PICKLE_TEXT)
      strings += node_at(r, state->items[i])->length + (size_t)1;
  if (strings > r->file_size * 2 + 1) /* one long key many times, through the memo */
    return err_set(err, VGG_BAD_CONTENT, "%s: its names are longer than the file", r->file);
  out->strings = malloc(strings);
  out->tensors = calloc(state->count / 2 + 1, sizeof *out->tensors);
  if (!out->strings || !out->tensors)
    return err_no_memory(err, r->file, strings + state->count * sizeof *out->tensors);
  char *name = out->strings;
  uint64_t total = 0;
  for (uint32_t i = 0; i < state->count; i += 2) {
    char *const this = name;
    vgg_status status = take_name(r, node_at(r, state->items[i]), &name, err);
    weights_tensor *t = &out->tensors[out->count];
    if (status == VGG_OK) status = read_tensor(r, this, node_at(r, state->items[i + 1]), t, err);
    if (status != VGG_OK) return status;
    uint64_t bytes;
    if (__builtin_mul_overflow(t->count, t->type->size, &bytes) || bytes > r->file_size - total)
      return bad_tensor(r, this, "with those before it is larger than the file", err);
    total += bytes;
    out->count++;
  }
  return VGG_OK;
}
