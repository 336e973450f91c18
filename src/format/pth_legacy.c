/* SPDX-License-Identifier: Apache-2.0
 *
 * .pth files of PyTorch before 1.6: see pth.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/pth.h"

/* Pickles of 0x1950a86a20f9469cfc6c and of 1001. */
static const uint8_t magic[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
static const uint8_t version[] = {0x80, 2, 'M', 0xe9, 3, '.'};

/* A storage of the file: where it lies is known once all before it are. */
typedef struct place {
  pth_storage storage;
  const uint8_t *data; /* NULL: not come yet */
} place;

typedef struct table {
  place *at; /* [count], sorted by key */
  size_t count;
} table;

/* A pickle that begins with PROTO 2: another version, or no .pth, is told by name on opening. */
bool weights_pth_legacy_is(const uint8_t *bytes, size_t size) {
  return size >= 2 && bytes[0] == 0x80 && bytes[1] == 2;
}

static int compare_keys(const void *a, const void *b) {
  const pth_storage *x = &((const place *)a)->storage, *y = &((const place *)b)->storage;
  const size_t least = x->key_length < y->key_length ? x->key_length : y->key_length;
  const int order = memcmp(x->key, y->key, least);
  if (order != 0) return order;
  return x->key_length < y->key_length ? -1 : x->key_length > y->key_length;
}

static place *find(const table *t, const char *key, size_t key_length) {
  const place wanted = {.storage = {.key = key, .key_length = key_length}};
  return t->count ? bsearch(&wanted, t->at, t->count, sizeof *t->at, compare_keys) : NULL;
}

static vgg_status bad_storage(const char *file, const char *key, size_t length, const char *what,
                              vgg_error *err) {
  return err_set(err, VGG_BAD_CONTENT, "%s: storage '%.*s': %s", file,
                 (int)(length < 40 ? length : 40), key, what);
}

/* All storages that the state dictionary names, each once. */
static vgg_status list_storages(const pth_reader *r, table *out, vgg_error *err) {
  size_t count = 0;
  for (size_t i = 0; i < r->tree->count; i++) count += r->tree->nodes[i].kind == PICKLE_PERSISTENT;
  out->at = calloc(count + 1, sizeof *out->at);
  if (!out->at) return err_no_memory(err, r->file, (count + 1) * sizeof *out->at);
  for (size_t i = 0; i < r->tree->count; i++) {
    if (r->tree->nodes[i].kind != PICKLE_PERSISTENT) continue;
    const vgg_status status =
        pth_read_storage(r, &r->tree->nodes[i], &out->at[out->count++].storage, err);
    if (status != VGG_OK) return status;
  }
  qsort(out->at, out->count, sizeof *out->at, compare_keys);
  size_t kept = 0;
  for (size_t i = 0; i < out->count; i++) {
    const pth_storage *s = &out->at[i].storage, *last = kept ? &out->at[kept - 1].storage : NULL;
    if (!last || compare_keys(&out->at[kept - 1], &out->at[i]) != 0)
      out->at[kept++] = out->at[i];
    else if (s->type != last->type || s->count != last->count)
      return bad_storage(r->file, s->key, s->key_length, "named with two types or sizes", err);
  }
  out->count = kept;
  return VGG_OK;
}

/* The storages' bytes, from `at` to `end`, in the order of the keys. */
static vgg_status place_storages(const pth_reader *r, const pickle_tree *keys, table *t,
                                 const uint8_t *at, const uint8_t *end, vgg_error *err) {
  const pickle_node *list = &keys->nodes[keys->root];
  if (list->kind != PICKLE_LIST)
    return err_set(err, VGG_BAD_CONTENT, "%s: its fifth pickle is no list of storage keys",
                   r->file);
  for (uint32_t i = 0; i < list->count; i++) {
    const pickle_node *key = &keys->nodes[list->items[i]];
    if (key->kind != PICKLE_TEXT)
      return err_set(err, VGG_BAD_CONTENT, "%s: storage key %u is no text", r->file, i);
    place *p = find(t, key->text, key->length);
    if (!p || p->data)
      return bad_storage(r->file, key->text, key->length,
                         p ? "listed twice" : "listed, but no tensor's", err);
    if (end - at < 8) return bad_storage(r->file, key->text, key->length, "is cut short", err);
    uint64_t count = 0;
    for (int b = 0; b < 8; b++) count |= (uint64_t)at[b] << 8 * b;
    at += 8;
    const uint64_t bytes = count * p->storage.type->size;
    if (count != p->storage.count)
      return bad_storage(r->file, key->text, key->length, "has another size than its pickle says",
                         err);
    if (bytes > (uint64_t)(end - at))
      return bad_storage(r->file, key->text, key->length, "is cut short", err);
    p->data = at;
    at += bytes;
  }
  if (at == end) return VGG_OK;
  return err_set(err, VGG_BAD_CONTENT, "%s: %zu bytes follow its last storage", r->file,
                 (size_t)(end - at));
}

static vgg_status find_storage(const pth_reader *r, const char *key, size_t key_length,
                               uint64_t bytes, const uint8_t **data, vgg_error *err) {
  (void)bytes; /* place_storages has compared it */
  const place *p = find(r->context, key, key_length);
  if (!p || !p->data) return bad_storage(r->file, key, key_length, "is missing", err);
  *data = p->data;
  return VGG_OK;
}

static vgg_status check_system(const char *file, const pickle_tree *facts, vgg_error *err) {
  static const char key[] = "little_endian";
  const pickle_node *dict = &facts->nodes[facts->root];
  for (uint32_t i = 0; dict->kind == PICKLE_DICT && i < dict->count; i += 2) {
    const pickle_node *k = &facts->nodes[dict->items[i]], *v = &facts->nodes[dict->items[i + 1]];
    if (k->kind == PICKLE_TEXT && k->length == strlen(key) && memcmp(k->text, key, k->length) == 0)
      return v->kind == PICKLE_BOOL && v->integer
                 ? VGG_OK
                 : err_set(err, VGG_BAD_CONTENT,
                           "%s: was written on a big-endian machine, wanted little", file);
  }
  return err_set(err, VGG_BAD_CONTENT, "%s: its third pickle tells no byte order", file);
}

vgg_status weights_pth_legacy_open(const char *file, const uint8_t *bytes, size_t size,
                                   weights_content *out, vgg_error *err) {
  const uint8_t *at = bytes, *const end = bytes + size;
  if (size < sizeof magic + sizeof version || memcmp(at, magic, sizeof magic) != 0 ||
      memcmp(at + sizeof magic, version, sizeof version) != 0)
    return err_set(err, VGG_BAD_CONTENT,
                   "%s: is a pickle, but not one of torch.save: its magic number or version is "
                   "another",
                   file);
  at += sizeof magic + sizeof version;
  enum { SYSTEM, STATE, KEYS, PICKLES };
  pickle_tree trees[PICKLES] = {0};
  table storages = {0};
  vgg_status status = VGG_OK;
  for (int i = 0; i < PICKLES && status == VGG_OK; i++) {
    size_t used = 0;
    status = pickle_read(file, at, (size_t)(end - at), &trees[i], &used, err);
    at += used;
  }
  const pth_reader reader = {.file = file,
                             .tree = &trees[STATE],
                             .file_size = size,
                             .find = find_storage,
                             .context = &storages};
  if (status == VGG_OK) status = check_system(file, &trees[SYSTEM], err);
  if (status == VGG_OK) status = list_storages(&reader, &storages, err);
  if (status == VGG_OK) status = place_storages(&reader, &trees[KEYS], &storages, at, end, err);
  if (status == VGG_OK) status = pth_read_state(&reader, out, err);
  free(storages.at);
  for (int i = 0; i < PICKLES; i++) pickle_free(&trees[i]);
  return status;
}
