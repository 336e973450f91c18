/* SPDX-License-Identifier: Apache-2.0 */
#include "format/st_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* In the format's order: by size, then as its reference lists them. */
static const struct {
  const char *name;
  unsigned bits;
} dtypes[] = {
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
};

bool st_dtype_find(const char *name, unsigned *bits, int *order) {
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
    if (strcmp(name, dtypes[i].name) == 0) {
      *bits = dtypes[i].bits;
      *order = (int)i;
      return true;
    }
  return false;
}

bool st_shape_bytes(unsigned bits, int rank, const uint64_t *shape, uint64_t *bytes) {
  uint64_t n = 1;
  for (int i = 0; i < rank; i++)
    if (__builtin_mul_overflow(n, shape[i], &n)) return false;
  if (__builtin_mul_overflow(n, bits, &n) || n % 8 != 0) return false;
  *bytes = n / 8;
  return true;
}

/* The scanner. Its functions return false (or NULL) after setting the error. */
typedef struct scan {
  const char *file;
  const uint8_t *begin, *at, *end;
  const uint8_t *data;
  uint64_t data_size;
  char *strings; /* free room; a string decoded is never longer than its source with quotes */
  vgg_error *err;
  vgg_status status;
} scan;

static bool bad(scan *s, const char *what) {
  s->status = err_set(s->err, VGG_BAD_CONTENT, "%s: safetensors header, byte %zu: %s", s->file,
                      (size_t)(s->at - s->begin), what);
  return false;
}

static bool bad_tensor(scan *s, const char *name, const char *what) {
  s->status = err_set(s->err, VGG_BAD_CONTENT, "%s: tensor '%.100s': %s", s->file, name, what);
  return false;
}

/* Length of the UTF-8 sequence at p, 0 if there is none: no overlong forms, no surrogates, nothing
 * above U+10FFFF. */
static int utf8_length(const uint8_t *p, const uint8_t *end) {
  if (*p < 0x80) return 1;
  const int n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
  if (*p < 0xc2 || *p > 0xf4 || end - p < n) return 0;
  for (int i = 1; i < n; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  if (*p == 0xe0 && p[1] < 0xa0) return 0;
  if (*p == 0xed && p[1] > 0x9f) return 0;
  if (*p == 0xf0 && p[1] < 0x90) return 0;
  if (*p == 0xf4 && p[1] > 0x8f) return 0;
  return n;
}

static bool check_utf8(scan *s) {
  for (const uint8_t *p = s->begin; p < s->end;) {
    const int n = utf8_length(p, s->end);
    if (n == 0) {
      s->at = p;
      return bad(s, "is not UTF-8");
    }
    p += n;
  }
  return true;
}

static void skip_space(scan *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
    s->at++;
}

/* Takes `c` if it comes next. */
static bool took(scan *s, char c) {
  skip_space(s);
  if (s->at == s->end || *s->at != (uint8_t)c) return false;
  s->at++;
  return true;
}

static bool want(scan *s, char c) {
  if (took(s, c)) return true;
  const char what[] = {'w', 'a', 'n', 't', 'e', 'd', ' ', c, 0};
  return bad(s, what);
}

static bool hex4(scan *s, uint32_t *out) {
  if (s->end - s->at < 4) return bad(s, "wanted four hex digits");
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    const uint8_t c = *s->at;
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return bad(s, "wanted four hex digits");
    v = v << 4 | (uint32_t)digit;
    s->at++;
  }
  *out = v;
  return true;
}

/* What follows "\u", with its second half if it is a surrogate. */
static bool unicode_escape(scan *s, char **out) {
  uint32_t v, low;
  if (!hex4(s, &v)) return false;
  if (v == 0) return bad(s, "a NUL in a string");
  if (v >= 0xdc00 && v <= 0xdfff) return bad(s, "half a surrogate pair");
  if (v >= 0xd800 && v <= 0xdbff) {
    if (s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
      return bad(s, "half a surrogate pair");
    s->at += 2;
    if (!hex4(s, &low)) return false;
    if (low < 0xdc00 || low > 0xdfff) return bad(s, "half a surrogate pair");
    v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
  }
  char *o = *out;
  if (v < 0x80) {
    *o++ = (char)v;
  } else if (v < 0x800) {
    *o++ = (char)(0xc0 | v >> 6);
    *o++ = (char)(0x80 | (v & 63));
  } else if (v < 0x10000) {
    *o++ = (char)(0xe0 | v >> 12);
    *o++ = (char)(0x80 | (v >> 6 & 63));
    *o++ = (char)(0x80 | (v & 63));
  } else {
    *o++ = (char)(0xf0 | v >> 18);
    *o++ = (char)(0x80 | (v >> 12 & 63));
    *o++ = (char)(0x80 | (v >> 6 & 63));
    *o++ = (char)(0x80 | (v & 63));
  }
  *out = o;
  return true;
}

static bool escape(scan *s, char **out) {
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (s->at == s->end) return bad(s, "a string without end");
  const char c = (char)*s->at++;
  if (c == 'u') return unicode_escape(s, out);
  const char *letter = c ? strchr(letters, c) : NULL;
  if (!letter) return bad(s, "an unknown escape in a string");
  *(*out)++ = meanings[letter - letters];
  return true;
}

static const char *scan_string(scan *s) {
  if (!want(s, '"')) return NULL;
  char *const string = s->strings;
  char *out = string;
  for (;;) {
    if (s->at == s->end) return bad(s, "a string without end"), NULL;
    const uint8_t c = *s->at++;
    if (c == '"') break;
    if (c < 0x20) return bad(s, "a control character in a string"), NULL;
    if (c != '\\')
      *out++ = (char)c;
    else if (!escape(s, &out))
      return NULL;
  }
  *out++ = 0;
  s->strings = out;
  return string;
}

/* The next key of an object whose brace is behind us; *key becomes NULL at its closing brace. */
static bool scan_key(scan *s, bool first, const char **key) {
  *key = NULL;
  if (took(s, '}')) return true;
  if (!first && !want(s, ',')) return false;
  const char *k = scan_string(s);
  if (!k || !want(s, ':')) return false;
  *key = k;
  return true;
}

static bool scan_u64(scan *s, uint64_t *out) {
  skip_space(s);
  uint64_t v = 0;
  const uint8_t *first = s->at;
  for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
    if (__builtin_mul_overflow(v, 10, &v) ||
        __builtin_add_overflow(v, (uint64_t)(*s->at - '0'), &v))
      return bad(s, "a number over 64 bits");
  if (s->at == first) return bad(s, "wanted a whole number");
  if (*first == '0' && s->at - first > 1) return bad(s, "a number that begins with 0");
  *out = v;
  return true;
}

static bool scan_u64s(scan *s, uint64_t *out, int max, int *count) {
  *count = 0;
  if (!want(s, '[')) return false;
  if (took(s, ']')) return true;
  do {
    if (*count == max) return bad(s, "more numbers than are read here");
    if (!scan_u64(s, &out[(*count)++])) return false;
  } while (took(s, ','));
  return want(s, ']');
}

enum { SEEN_DTYPE = 1, SEEN_SHAPE = 2, SEEN_OFFSETS = 4, SEEN_ALL = 7 };

static bool scan_tensor_fields(scan *s, st_tensor *t, uint64_t offsets[2]) {
  if (!want(s, '{')) return false;
  int seen = 0;
  for (bool first = true;; first = false) {
    const char *key;
    if (!scan_key(s, first, &key)) return false;
    if (!key) break;
    const int field = strcmp(key, "dtype") == 0          ? SEEN_DTYPE
                      : strcmp(key, "shape") == 0        ? SEEN_SHAPE
                      : strcmp(key, "data_offsets") == 0 ? SEEN_OFFSETS
                                                         : 0;
    if (field == 0) return bad_tensor(s, t->name, "has a key besides dtype, shape, data_offsets");
    if (seen & field) return bad_tensor(s, t->name, "has a key twice");
    seen |= field;
    int count = 0;
    if (field == SEEN_DTYPE) {
      const char *dtype = scan_string(s);
      if (!dtype) return false;
      if (strlen(dtype) >= sizeof t->dtype) return bad_tensor(s, t->name, "unknown dtype");
      memcpy(t->dtype, dtype, strlen(dtype) + 1);
    } else if (field == SEEN_SHAPE) {
      if (!scan_u64s(s, t->shape, ST_MAX_RANK, &t->rank)) return false;
    } else {
      if (!scan_u64s(s, offsets, 2, &count)) return false;
      if (count != 2) return bad_tensor(s, t->name, "data_offsets wants two numbers");
    }
  }
  return seen == SEEN_ALL || bad_tensor(s, t->name, "lacks dtype, shape or data_offsets");
}

static bool scan_tensor(scan *s, const char *name, st_tensor *t) {
  *t = (st_tensor){.name = name};
  uint64_t offsets[2], bytes;
  unsigned bits;
  int order;
  if (!scan_tensor_fields(s, t, offsets)) return false;
  if (!st_dtype_find(t->dtype, &bits, &order)) return bad_tensor(s, name, "unknown dtype");
  if (!st_shape_bytes(bits, t->rank, t->shape, &bytes))
    return bad_tensor(s, name, "its shape has no size in whole bytes below 2^64 bits");
  if (offsets[0] > offsets[1]) return bad_tensor(s, name, "data_offsets end before they begin");
  if (offsets[1] > s->data_size) return bad_tensor(s, name, "data_offsets end after the file");
  if (offsets[1] - offsets[0] != bytes) {
    s->status = err_set(s->err, VGG_BAD_CONTENT,
                        "%s: tensor '%.100s': data_offsets give %" PRIu64
                        " bytes, dtype and shape %" PRIu64,
                        s->file, name, offsets[1] - offsets[0], bytes);
    return false;
  }
  t->data = s->data + offsets[0];
  t->bytes = bytes;
  return true;
}

/* Makes room for item `count` in an array that doubles up to `max` items. */
static bool grow(scan *s, void **items, size_t count, size_t max, size_t item_size) {
  if (count == max) return bad(s, "more entries than are read");
  if (count != 0 && (count < 16 || (count & (count - 1)) != 0)) return true;
  const size_t bytes = (count < 16 ? 16 : 2 * count) * item_size;
  void *p = realloc(*items, bytes);
  if (!p) {
    s->status = err_no_memory(s->err, s->file, bytes);
    return false;
  }
  *items = p;
  return true;
}

int st_pair_compare(const void *a, const void *b) {
  return strcmp(((const st_pair *)a)->key, ((const st_pair *)b)->key);
}

static bool scan_metadata(scan *s, st_header *h) {
  if (h->metadata) return bad(s, "__metadata__ stands there twice");
  if (!grow(s, (void **)&h->metadata, 0, ST_MAX_METADATA, sizeof *h->metadata)) return false;
  if (!want(s, '{')) return false;
  for (bool first = true;; first = false) {
    st_pair pair;
    if (!scan_key(s, first, &pair.key)) return false;
    if (!pair.key) break;
    pair.value = scan_string(s);
    if (!pair.value) return false;
    if (!grow(s, (void **)&h->metadata, h->num_metadata, ST_MAX_METADATA, sizeof pair))
      return false;
    h->metadata[h->num_metadata++] = pair;
  }
  qsort(h->metadata, h->num_metadata, sizeof *h->metadata, st_pair_compare);
  for (size_t i = 1; i < h->num_metadata; i++)
    if (st_pair_compare(&h->metadata[i - 1], &h->metadata[i]) == 0) {
      s->status = err_set(s->err, VGG_BAD_CONTENT, "%s: metadata '%.100s' stands there twice",
                          s->file, h->metadata[i].key);
      return false;
    }
  return true;
}

static bool scan_header(scan *s, st_header *h) {
  if (s->at == s->end || *s->at != '{') return bad(s, "wanted {");
  s->at++;
  for (bool first = true;; first = false) {
    const char *key;
    if (!scan_key(s, first, &key)) return false;
    if (!key) break;
    if (strcmp(key, "__metadata__") == 0) {
      if (!scan_metadata(s, h)) return false;
      continue;
    }
    if (!grow(s, (void **)&h->tensors, h->count, ST_MAX_TENSORS, sizeof *h->tensors)) return false;
    if (!scan_tensor(s, key, &h->tensors[h->count])) return false;
    h->count++;
  }
  skip_space(s);
  return s->at == s->end || bad(s, "something follows the closing brace");
}

vgg_status st_header_scan(const char *file, const uint8_t *json, size_t length, const uint8_t *data,
                          uint64_t data_size, st_header *out, vgg_error *err) {
  scan s = {.file = file,
            .begin = json,
            .at = json,
            .end = json + length,
            .data = data,
            .data_size = data_size,
            .err = err};
  st_header h = {0};
  h.strings = s.strings = malloc(length + 1);
  if (!h.strings) return err_no_memory(err, file, length + 1);
  if (!check_utf8(&s) || !scan_header(&s, &h)) {
    st_header_free(&h);
    return s.status;
  }
  *out = h;
  return VGG_OK;
}

void st_header_free(st_header *h) {
  free(h->tensors);
  free(h->metadata);
  free(h->strings);
  *h = (st_header){0};
}
