/* SPDX-License-Identifier: Apache-2.0
 *
 * Pickles as inert trees. Nothing that a pickle names is looked up, called or imported: the reader
 * is a table of opcodes (pickle_ops.def) over nodes, and the few names that may occur are marks
 * (pickle_globals.def). Any other opcode or name is refused, by name and with its place.
 *
 * A node is a number; a node may stand in several places, and a list or dictionary in itself, so
 * walk only to a known depth.
 */
#ifndef FORMAT_PICKLE_H
#define FORMAT_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "vgg/status.h"

typedef enum pickle_global {
  PICKLE_NO_GLOBAL,
#define GLOBAL(id, module, name) PICKLE_##id,
#include "format/pickle_globals.def"
#undef GLOBAL
  PICKLE_NUM_GLOBALS
} pickle_global;

typedef enum pickle_kind {
  PICKLE_NONE,
  PICKLE_BOOL,       /* integer: 0 or 1 */
  PICKLE_INT,        /* integer */
  PICKLE_FLOAT,      /* real */
  PICKLE_TEXT,       /* text [length], in the pickle, perhaps no UTF-8 */
  PICKLE_GLOBAL,     /* global */
  PICKLE_TUPLE,      /* items [count] */
  PICKLE_LIST,       /* items [count] */
  PICKLE_DICT,       /* items [count]: key, value, key, value, ...; an OrderedDict too */
  PICKLE_CALL,       /* global; items [count]: the arguments */
  PICKLE_PERSISTENT, /* items [count]: the parts of the tuple that names it */
} pickle_kind;

typedef uint32_t pickle_id;

typedef struct pickle_node {
  pickle_kind kind;
  pickle_global global;
  size_t at; /* the byte of the pickle that made it */
  union {
    int64_t integer;
    double real;
    const char *text;
    pickle_id *items; /* owned by the tree */
  };
  uint32_t length, count, room;
} pickle_node;

typedef struct pickle_tree {
  pickle_node *nodes; /* [count] */
  size_t count, room;
  pickle_id root;
} pickle_tree;

/* Reads one pickle at the beginning of bytes [size], borrowed until pickle_free.
 *   file  stands in messages
 *   used  the pickle's length, written; may be NULL
 * Bounds: a million opcodes, 100,000 memo places, marks 64 deep, texts of 64 KiB, 64 MiB in all.
 * Fails with VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status pickle_read(const char *file, const uint8_t *bytes, size_t size, pickle_tree *out,
                       size_t *used, vgg_error *err);
void pickle_free(pickle_tree *tree);

/* "collections.OrderedDict". */
const char *pickle_global_name(pickle_global global);
/* What a node is, for messages: "a list". */
const char *pickle_kind_name(pickle_kind kind);

#endif
