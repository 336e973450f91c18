/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pickle.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum {
  MAX_BYTES = 64 << 20,
  MAX_OPS = 1000000,
  MAX_ITEMS = 2 * MAX_OPS, /* of all nodes: what is pushed is taken once, and again by a call */
  MAX_MEMO = 100000,
  MAX_MARKS = 64,
  MAX_TEXT = 64 << 10,
  MAX_NAME = 128, /* of a global's module or name */
};

/* The machine: a stack of nodes, places on it (marks), a memo. Its functions return false after
 * setting the error. */
typedef struct machine {
  const char *file;
  const uint8_t *begin, *at, *end;
  const uint8_t *op; /* the opcode under way */
  pickle_tree tree;
  pickle_id *stack;
  size_t depth, stack_room;
  size_t marks[MAX_MARKS];
  int num_marks;
  pickle_id *memo; /* node + 1; 0: nothing there */
  size_t memo_room;
  size_t num_items; /* of all nodes */
  bool stopped;
  vgg_status status;
  vgg_error *err;
} machine;

typedef bool (*op_function)(machine *m);

static const struct {
  const char *module, *name, *full;
} globals[] = {
    [PICKLE_NO_GLOBAL] = {"", "", ""},
#define GLOBAL(id, module, name) {module, name, module "." name},
#include "format/pickle_globals.def"
#undef GLOBAL
};

const char *pickle_global_name(pickle_global global) { return globals[global].full; }

const char *pickle_kind_name(pickle_kind kind) {
  static const char *const names[] = {
      [PICKLE_NONE] = "None",
      [PICKLE_BOOL] = "a truth value",
      [PICKLE_INT] = "an integer",
      [PICKLE_FLOAT] = "a number",
      [PICKLE_TEXT] = "a text",
      [PICKLE_GLOBAL] = "a name",
      [PICKLE_TUPLE] = "a tuple",
      [PICKLE_LIST] = "a list",
      [PICKLE_DICT] = "a dictionary",
      [PICKLE_CALL] = "an object",
      [PICKLE_PERSISTENT] = "a storage",
  };
  return names[kind];
}

static bool bad(machine *m, const char *what) {
  m->status = err_set(m->err, VGG_BAD_CONTENT, "%s: pickle, byte %zu: %s", m->file,
                      (size_t)(m->op - m->begin), what);
  return false;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Makes room for `wanted` elements; new ones are zero. */
static bool grow(machine *m, void **array, size_t *room, size_t wanted, size_t element) {
  if (wanted <= *room) return true;
  size_t more = *room * 2;
  if (more < wanted) more = wanted;
  uint8_t *bigger = realloc(*array, more * element);
  if (!bigger) {
    m->status = err_no_memory(m->err, m->file, more * element);
    return false;
  }
  memset(bigger + *room * element, 0, (more - *room) * element);
  *array = bigger;
  *room = more;
  return true;
}

static pickle_node *node_of(machine *m, pickle_id id) { return &m->tree.nodes[id]; }

static bool push(machine *m, pickle_id id) {
  if (!grow(m, (void **)&m->stack, &m->stack_room, m->depth + 1, sizeof *m->stack)) return false;
  m->stack[m->depth++] = id;
  return true;
}

/* Makes a node and pushes it. */
static bool push_new(machine *m, pickle_node node) {
  pickle_tree *t = &m->tree;
  if (!grow(m, (void **)&t->nodes, &t->room, t->count + 1, sizeof *t->nodes)) return false;
  node.at = (size_t)(m->op - m->begin);
  t->nodes[t->count] = node;
  return push(m, (pickle_id)t->count++);
}

/* Appends what stands on the stack from `first` on to a node's items, and pops it. */
static bool take_items(machine *m, pickle_id into, size_t first) {
  pickle_node *n = node_of(m, into);
  const size_t more = m->depth - first;
  size_t room = n->room;
  m->num_items += more;
  if (m->num_items > MAX_ITEMS) return bad(m, "more than two million items");
  if (!grow(m, (void **)&n->items, &room, n->count + more, sizeof *n->items)) return false;
  n->room = (uint32_t)room;
  if (more) memcpy(n->items + n->count, m->stack + first, more * sizeof *n->items);
  n->count += (uint32_t)more;
  m->depth = first;
  return true;
}

/* A node that takes what stands on the stack from `first` on, and its place. */
static bool make(machine *m, pickle_node node, size_t first) {
  if (!push_new(m, node)) return false;
  const pickle_id made = m->stack[--m->depth];
  return take_items(m, made, first) && push(m, made);
}

/* ---- what the opcodes need ------------------------------------------------------------------- */

/* The next `count` bytes; NULL when the pickle ends before. */
static const uint8_t *take(machine *m, size_t count) {
  if (count > (size_t)(m->end - m->at)) {
    bad(m, "ends inside an opcode: cut short");
    return NULL;
  }
  const uint8_t *p = m->at;
  m->at += count;
  return p;
}

/* An unsigned little-endian number of `bytes` bytes. */
static bool take_number(machine *m, int bytes, uint32_t *out) {
  const uint8_t *p = take(m, (size_t)bytes);
  if (!p) return false;
  *out = 0;
  for (int i = 0; i < bytes; i++) *out |= (uint32_t)p[i] << 8 * i;
  return true;
}

/* `count` nodes stand above the newest mark. */
static bool has(machine *m, size_t count) {
  const size_t floor = m->num_marks ? m->marks[m->num_marks - 1] : 0;
  return m->depth - floor >= count || bad(m, "takes more from the stack than there is");
}

static bool pop_mark(machine *m, size_t *first) {
  if (m->num_marks == 0) return bad(m, "wants a mark on the stack");
  *first = m->marks[--m->num_marks];
  return true;
}

/* ---- opcodes --------------------------------------------------------------------------------- */

static bool refuse(machine *m);

static bool op_proto(machine *m) {
  uint32_t version;
  if (!take_number(m, 1, &version)) return false;
  return version == 2 || bad(m, "is not of protocol 2, which torch.save writes");
}

/* A line of at most MAX_NAME bytes. */
static bool take_line(machine *m, const char **text, size_t *length) {
  const size_t rest = (size_t)(m->end - m->at), most = rest < MAX_NAME + 1 ? rest : MAX_NAME + 1;
  const uint8_t *end = memchr(m->at, '\n', most);
  if (!end) return bad(m, "a name without end");
  *text = (const char *)m->at;
  *length = (size_t)(end - m->at);
  m->at = end + 1;
  return true;
}

static bool op_global(machine *m) {
  const char *module, *name;
  size_t module_length, name_length;
  if (!take_line(m, &module, &module_length) || !take_line(m, &name, &name_length)) return false;
  for (int i = PICKLE_NO_GLOBAL + 1; i < PICKLE_NUM_GLOBALS; i++)
    if (strlen(globals[i].module) == module_length && strlen(globals[i].name) == name_length &&
        memcmp(globals[i].module, module, module_length) == 0 &&
        memcmp(globals[i].name, name, name_length) == 0)
      return push_new(m, (pickle_node){.kind = PICKLE_GLOBAL, .global = (pickle_global)i});
  m->status = err_set(
      m->err, VGG_BAD_CONTENT,
      "%s: pickle, byte %zu: names %.*s.%.*s, which no plain state dictionary does: "
      "refused (in PyTorch save net.state_dict() alone)",
      m->file, (size_t)(m->op - m->begin), (int)module_length, module, (int)name_length, name);
  return false;
}

static bool put(machine *m, int bytes) {
  uint32_t i;
  if (!take_number(m, bytes, &i) || !has(m, 1)) return false;
  if (i >= MAX_MEMO) return bad(m, "a memo place over 100000");
  if (!grow(m, (void **)&m->memo, &m->memo_room, (size_t)i + 1, sizeof *m->memo)) return false;
  m->memo[i] = m->stack[m->depth - 1] + 1;
  return true;
}

static bool get(machine *m, int bytes) {
  uint32_t i;
  if (!take_number(m, bytes, &i)) return false;
  if (i >= m->memo_room || m->memo[i] == 0) return bad(m, "a memo place that nothing was put in");
  return push(m, m->memo[i] - 1);
}

static bool op_put1(machine *m) { return put(m, 1); }
static bool op_put4(machine *m) { return put(m, 4); }
static bool op_get1(machine *m) { return get(m, 1); }
static bool op_get4(machine *m) { return get(m, 4); }

static bool op_mark(machine *m) {
  if (m->num_marks == MAX_MARKS) return bad(m, "marks over 64 deep");
  m->marks[m->num_marks++] = m->depth;
  return true;
}

static bool op_empty_tuple(machine *m) { return push_new(m, (pickle_node){.kind = PICKLE_TUPLE}); }
static bool op_empty_list(machine *m) { return push_new(m, (pickle_node){.kind = PICKLE_LIST}); }
static bool op_empty_dict(machine *m) { return push_new(m, (pickle_node){.kind = PICKLE_DICT}); }

/* A tuple of what stands on the stack from `first` on. */
static bool make_tuple(machine *m, size_t first) {
  return make(m, (pickle_node){.kind = PICKLE_TUPLE}, first);
}

static bool op_tuple(machine *m) {
  size_t first;
  return pop_mark(m, &first) && make_tuple(m, first);
}

static bool op_tuple1(machine *m) { return has(m, 1) && make_tuple(m, m->depth - 1); }
static bool op_tuple2(machine *m) { return has(m, 2) && make_tuple(m, m->depth - 2); }
static bool op_tuple3(machine *m) { return has(m, 3) && make_tuple(m, m->depth - 3); }

/* Adds the stack from `first` on to the container below it. */
static bool add_to(machine *m, pickle_kind kind, size_t first) {
  const size_t floor = m->num_marks ? m->marks[m->num_marks - 1] : 0;
  if (first <= floor) return bad(m, "wants a list or dictionary on the stack");
  const pickle_id container = m->stack[first - 1];
  if (node_of(m, container)->kind != kind)
    return bad(m, kind == PICKLE_LIST ? "appends to what is no list"
                                      : "sets items of what is no dictionary");
  if (kind == PICKLE_DICT && (m->depth - first) % 2 != 0) return bad(m, "a key without a value");
  return take_items(m, container, first);
}

static bool op_append(machine *m) { return has(m, 2) && add_to(m, PICKLE_LIST, m->depth - 1); }
static bool op_setitem(machine *m) { return has(m, 3) && add_to(m, PICKLE_DICT, m->depth - 2); }

static bool op_appends(machine *m) {
  size_t first;
  return pop_mark(m, &first) && add_to(m, PICKLE_LIST, first);
}

static bool op_setitems(machine *m) {
  size_t first;
  return pop_mark(m, &first) && add_to(m, PICKLE_DICT, first);
}

/* OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 wrote it. */
static bool make_ordered_dict(machine *m, const pickle_node *arguments) {
  const size_t first = m->depth;
  if (arguments->count > 1) return bad(m, "an OrderedDict of more than one argument");
  if (arguments->count == 1) {
    const pickle_node *pairs = node_of(m, arguments->items[0]);
    if (pairs->kind != PICKLE_LIST) return bad(m, "an OrderedDict of what is no list");
    for (uint32_t i = 0; i < pairs->count; i++) {
      const pickle_node *pair = node_of(m, pairs->items[i]);
      if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->count != 2)
        return bad(m, "an OrderedDict of what are no pairs");
      if (m->depth > MAX_ITEMS) return bad(m, "more than two million items");
      if (!push(m, pair->items[0]) || !push(m, pair->items[1])) return false;
    }
  }
  return make(m, (pickle_node){.kind = PICKLE_DICT, .global = PICKLE_ORDERED_DICT}, first);
}

/* A node with a tuple's items. */
static bool make_of(machine *m, pickle_node node, const pickle_node *tuple, size_t first) {
  for (uint32_t i = 0; i < tuple->count; i++)
    if (!push(m, tuple->items[i])) return false;
  return make(m, node, first);
}

/* REDUCE and NEWOBJ: a callable and its arguments become a node that remembers both. */
static bool op_call(machine *m) {
  if (!has(m, 2)) return false;
  const pickle_node callee = *node_of(m, m->stack[m->depth - 2]);
  const pickle_node arguments = *node_of(m, m->stack[m->depth - 1]);
  if (callee.kind != PICKLE_GLOBAL || arguments.kind != PICKLE_TUPLE)
    return bad(m, "calls what is no name, or with what is no tuple");
  m->depth -= 2;
  if (callee.global == PICKLE_ORDERED_DICT) return make_ordered_dict(m, &arguments);
  const size_t first = m->depth;
  return make_of(m, (pickle_node){.kind = PICKLE_CALL, .global = callee.global}, &arguments, first);
}

/* Attributes: a state dictionary's _metadata, an old parameter's flags. Nobody needs them. */
static bool op_build(machine *m) {
  if (!has(m, 2)) return false;
  const pickle_node *object = node_of(m, m->stack[m->depth - 2]);
  if (object->global != PICKLE_ORDERED_DICT && object->global != PICKLE_PARAMETER)
    return bad(m, "sets attributes of what is neither an OrderedDict nor a Parameter");
  if (object->kind != PICKLE_DICT && object->kind != PICKLE_CALL)
    return bad(m, "sets attributes of a name");
  m->depth--;
  return true;
}

static bool op_persistent(machine *m) {
  if (!has(m, 1)) return false;
  const pickle_node name = *node_of(m, m->stack[m->depth - 1]);
  if (name.kind != PICKLE_TUPLE) return bad(m, "a storage whose name is no tuple");
  const size_t first = --m->depth;
  return make_of(m, (pickle_node){.kind = PICKLE_PERSISTENT}, &name, first);
}

static bool text(machine *m, int bytes) {
  uint32_t length;
  if (!take_number(m, bytes, &length)) return false;
  if (length > MAX_TEXT) return bad(m, "a text over 64 KiB");
  const uint8_t *p = take(m, length);
  return p &&
         push_new(m, (pickle_node){.kind = PICKLE_TEXT, .text = (const char *)p, .length = length});
}

static bool op_text1(machine *m) { return text(m, 1); }
static bool op_text4(machine *m) { return text(m, 4); }

static bool push_integer(machine *m, pickle_kind kind, int64_t value) {
  return push_new(m, (pickle_node){.kind = kind, .integer = value});
}

static bool op_int1(machine *m) {
  uint32_t v;
  return take_number(m, 1, &v) && push_integer(m, PICKLE_INT, v);
}

static bool op_int2(machine *m) {
  uint32_t v;
  return take_number(m, 2, &v) && push_integer(m, PICKLE_INT, v);
}

static bool op_int4(machine *m) {
  uint32_t v;
  return take_number(m, 4, &v) && push_integer(m, PICKLE_INT, (int32_t)v);
}

static bool op_long1(machine *m) {
  uint32_t length;
  if (!take_number(m, 1, &length)) return false;
  if (length > 8) return bad(m, "an integer over 64 bits");
  const uint8_t *p = take(m, length);
  if (!p) return false;
  uint64_t v = length > 0 && p[length - 1] & 0x80 ? UINT64_MAX : 0; /* the sign goes on upwards */
  for (uint32_t i = length; i-- > 0;) v = v << 8 | p[i];
  return push_integer(m, PICKLE_INT, (int64_t)v);
}

static bool op_float(machine *m) {
  const uint8_t *p = take(m, 8);
  if (!p) return false;
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
  pickle_node node = {.kind = PICKLE_FLOAT};
  memcpy(&node.real, &bits, sizeof bits);
  return push_new(m, node);
}

static bool op_none(machine *m) { return push_integer(m, PICKLE_NONE, 0); }
static bool op_true(machine *m) { return push_integer(m, PICKLE_BOOL, 1); }
static bool op_false(machine *m) { return push_integer(m, PICKLE_BOOL, 0); }

static bool op_stop(machine *m) {
  if (m->depth != 1 || m->num_marks != 0) return bad(m, "stops with more or less than one value");
  m->tree.root = m->stack[0];
  m->stopped = true;
  return true;
}

static const struct {
  const char *name;
  op_function run;
} ops[256] = {
#define OP(byte, NAME, function) [byte] = {#NAME, function},
#include "format/pickle_ops.def"
#undef OP
};

static bool refuse(machine *m) {
  m->status = err_set(m->err, VGG_BAD_CONTENT,
                      "%s: pickle, byte %zu: opcode %s, which torch.save does not write: refused",
                      m->file, (size_t)(m->op - m->begin), ops[*m->op].name);
  return false;
}

static bool step(machine *m) {
  m->op = m->at;
  if (m->at == m->end) return bad(m, "ends without STOP: cut short");
  m->at++;
  return ops[*m->op].run ? ops[*m->op].run(m) : bad(m, "is no opcode of a pickle");
}

vgg_status pickle_read(const char *file, const uint8_t *bytes, size_t size, pickle_tree *out,
                       size_t *used, vgg_error *err) {
  if (size > MAX_BYTES) size = MAX_BYTES;
  machine m = {.file = file, .begin = bytes, .at = bytes, .end = bytes + size, .err = err};
  for (int count = 0; !m.stopped; count++) {
    m.op = m.at;
    if (count == MAX_OPS) bad(&m, "more than a million opcodes");
    if (m.status != VGG_OK || !step(&m)) break;
  }
  free(m.stack);
  free(m.memo);
  if (m.status != VGG_OK) {
    pickle_free(&m.tree);
    return m.status;
  }
  if (used) *used = (size_t)(m.at - bytes);
  *out = m.tree;
  return VGG_OK;
}

static bool has_items(pickle_kind kind) { return kind >= PICKLE_TUPLE; }

void pickle_free(pickle_tree *tree) {
  for (size_t i = 0; i < tree->count; i++)
    if (has_items(tree->nodes[i].kind)) free(tree->nodes[i].items);
  free(tree->nodes);
  *tree = (pickle_tree){0};
}
