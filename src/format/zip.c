/* SPDX-License-Identifier: Apache-2.0 */
#include "format/zip.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"

enum {
  END_SIZE = 22,
  END64_SIZE = 56,
  LOCATOR_SIZE = 20,
  DIRECTORY_SIZE = 46, /* of a directory entry before its name */
  LOCAL_SIZE = 30,     /* of an entry before its name */
  MAX_ENTRIES = 100000,
  ZIP64_EXTRA = 1,
};

static const uint8_t end_magic[4] = "PK\5\6", end64_magic[4] = "PK\6\6",
                     locator_magic[4] = "PK\6\7", directory_magic[4] = "PK\1\2",
                     local_magic[4] = "PK\3\4";

/* An archive while its directory is read. */
typedef struct archive {
  const char *file;
  const uint8_t *bytes;
  uint64_t size;
  uint64_t count, directory, directory_end;
  vgg_error *err;
} archive;

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return u16(p) | (uint32_t)u16(p + 2) << 16; }
static uint64_t u64(const uint8_t *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

static vgg_status bad(const archive *a, uint64_t at, const char *what) {
  return err_set(a->err, VGG_BAD_CONTENT, "%s: zip archive, byte %" PRIu64 ": %s", a->file, at,
                 what);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* What an end says about the directory. */
typedef struct directory_place {
  uint64_t count, size, begin, end;
} directory_place;

/* Reads the 64-bit end before the end at `end`, if there is one; PyTorch always writes it. */
static vgg_status read_end64(const archive *a, uint64_t end, directory_place *out) {
  if (end < LOCATOR_SIZE || memcmp(a->bytes + end - LOCATOR_SIZE, locator_magic, 4) != 0)
    return VGG_OK;
  const uint64_t before = end - LOCATOR_SIZE;
  const uint8_t *locator = a->bytes + before;
  const uint64_t at = u64(locator + 8);
  if (at > before || before - at != END64_SIZE || memcmp(a->bytes + at, end64_magic, 4) != 0)
    return bad(a, before, "its locator does not lead to a zip64 end right before it");
  const uint8_t *p = a->bytes + at;
  if (u32(locator + 4) != 0 || u32(locator + 16) > 1 || u32(p + 16) != 0 || u32(p + 20) != 0 ||
      u64(p + 24) != u64(p + 32))
    return bad(a, at, "a part of several disks");
  const directory_place wide = {u64(p + 32), u64(p + 40), u64(p + 48), at};
  if ((out->count != UINT16_MAX && out->count != wide.count) ||
      (out->size != UINT32_MAX && out->size != wide.size) ||
      (out->begin != UINT32_MAX && out->begin != wide.begin))
    return bad(a, at, "its two ends contradict each other");
  *out = wide;
  return VGG_OK;
}

static vgg_status read_end(archive *a) {
  const uint64_t end = a->size - END_SIZE;
  if (a->size < END_SIZE || memcmp(a->bytes + end, end_magic, 4) != 0)
    return bad(a, a->size, "does not end as a zip archive: cut short, or something follows it");
  const uint8_t *p = a->bytes + end;
  if (u16(p + 4) != 0 || u16(p + 6) != 0 || u16(p + 8) != u16(p + 10))
    return bad(a, end, "a part of several disks");
  if (u16(p + 20) != 0) return bad(a, end, "a comment at its end");
  directory_place d = {u16(p + 10), u32(p + 12), u32(p + 16), end};
  const vgg_status status = read_end64(a, end, &d);
  if (status != VGG_OK) return status;
  if (d.begin > d.end || d.end - d.begin != d.size)
    return bad(a, end, "its directory does not lie before its end");
  if (d.count > MAX_ENTRIES || d.count * DIRECTORY_SIZE > d.size)
    return bad(a, end, "more entries than its directory or 100000 can hold");
  a->count = d.count;
  a->directory = d.begin;
  a->directory_end = d.end;
  return VGG_OK;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* What a directory entry says in 32 bits, and in the zip64 extra field where those are full. */
typedef struct sizes {
  uint64_t unpacked, packed, begin;
} sizes;

static bool read_sizes(const uint8_t *entry, const uint8_t *extra, size_t length, sizes *out) {
  *out = (sizes){u32(entry + 24), u32(entry + 20), u32(entry + 42)};
  uint64_t *const full[] = {&out->unpacked, &out->packed, &out->begin};
  bool wide = false;
  for (int i = 0; i < 3; i++) wide = wide || *full[i] == UINT32_MAX;
  for (size_t at = 0; wide && length - at >= 4;) {
    const size_t field = u16(extra + at + 2);
    if (field > length - at - 4) return false;
    if (u16(extra + at) == ZIP64_EXTRA) {
      const uint8_t *p = extra + at + 4, *end = p + field;
      for (int i = 0; i < 3; i++) {
        if (*full[i] != UINT32_MAX) continue;
        if (end - p < 8) return false;
        *full[i] = u64(p);
        p += 8;
      }
      return true;
    }
    at += 4 + field;
  }
  return !wide;
}

/* A name is a path inside the archive; only its own folder's files. */
static bool is_plain_name(const char *name, size_t length) {
  if (length == 0 || name[0] == '/') return false;
  for (size_t i = 0; i < length; i++) {
    if (name[i] == 0 || name[i] == '\\') return false;
    const bool starts = i == 0 || name[i - 1] == '/';
    if (starts && name[i] == '.' && i + 1 < length && name[i + 1] == '.' &&
        (i + 2 == length || name[i + 2] == '/'))
      return false;
  }
  return true;
}

/* Where the entry's data begin, after its own header. */
static vgg_status read_local(const archive *a, zip_entry *e) {
  if (e->begin > a->directory || a->directory - e->begin < LOCAL_SIZE ||
      memcmp(a->bytes + e->begin, local_magic, 4) != 0)
    return bad(a, e->begin, "the directory says that an entry begins here");
  const uint8_t *p = a->bytes + e->begin;
  const uint64_t room = a->directory - e->begin - LOCAL_SIZE;
  const uint64_t head = (uint64_t)u16(p + 26) + u16(p + 28);
  if (head > room || e->size > room - head) return bad(a, e->begin, "an entry without its end");
  if (u16(p + 8) != 0) return bad(a, e->begin, "a compressed entry, wanted stored ones");
  if (u16(p + 26) != e->name_length || memcmp(p + LOCAL_SIZE, e->name, e->name_length) != 0)
    return bad(a, e->begin, "an entry of another name than in the directory");
  e->data = p + LOCAL_SIZE + head;
  return VGG_OK;
}

/* Reads the directory entry at *at and moves on. */
static vgg_status read_entry(const archive *a, uint64_t *at, zip_entry *out) {
  const uint8_t *p = a->bytes + *at;
  const uint64_t room = a->directory_end - *at;
  if (room < DIRECTORY_SIZE || memcmp(p, directory_magic, 4) != 0)
    return bad(a, *at, "wanted an entry of the directory");
  const size_t name = u16(p + 28), extra = u16(p + 30), comment = u16(p + 32);
  if (name + extra + comment > room - DIRECTORY_SIZE)
    return bad(a, *at, "an entry of the directory without its end");
  sizes s;
  if (!read_sizes(p, p + DIRECTORY_SIZE + name, extra, &s))
    return bad(a, *at, "an entry without its zip64 sizes");
  if (u16(p + 8) & 1) return bad(a, *at, "an encrypted entry");
  if (u16(p + 10) != 0 || s.packed != s.unpacked)
    return bad(a, *at, "a compressed entry, wanted stored ones as PyTorch writes them");
  *out = (zip_entry){.name = (const char *)p + DIRECTORY_SIZE,
                     .name_length = name,
                     .size = s.unpacked,
                     .begin = s.begin,
                     .crc = u32(p + 16)};
  if (!is_plain_name(out->name, name))
    return bad(a, *at, "an entry whose name leads out of its folder");
  *at += DIRECTORY_SIZE + name + extra + comment;
  return read_local(a, out);
}

static int compare_places(const void *a, const void *b) {
  const zip_entry *x = a, *y = b;
  return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int compare_names(const void *a, const void *b) {
  const zip_entry *x = a, *y = b;
  const size_t least = x->name_length < y->name_length ? x->name_length : y->name_length;
  const int order = memcmp(x->name, y->name, least);
  if (order != 0) return order;
  return x->name_length < y->name_length ? -1 : x->name_length > y->name_length;
}

/* Every byte has one owner at most, and every name one entry. Leaves them sorted by name. */
static vgg_status check_entries(const archive *a, zip_file *zip) {
  if (zip->count < 2) return VGG_OK;
  qsort(zip->entries, zip->count, sizeof *zip->entries, compare_places);
  for (size_t i = 1; i < zip->count; i++) {
    const zip_entry *e = &zip->entries[i - 1];
    if (a->bytes + e[1].begin < e->data + e->size)
      return bad(a, e[1].begin, "an entry begins inside another one");
  }
  qsort(zip->entries, zip->count, sizeof *zip->entries, compare_names);
  for (size_t i = 1; i < zip->count; i++)
    if (compare_names(&zip->entries[i - 1], &zip->entries[i]) == 0)
      return bad(a, zip->entries[i].begin, "a second entry of the same name");
  return VGG_OK;
}

vgg_status zip_open(const char *file, const uint8_t *bytes, size_t size, zip_file *out,
                    vgg_error *err) {
  archive a = {.file = file, .bytes = bytes, .size = size, .err = err};
  zip_file zip = {0};
  vgg_status status = read_end(&a);
  if (status != VGG_OK) return status;
  zip.entries = calloc(a.count + 1, sizeof *zip.entries);
  if (!zip.entries) return err_no_memory(err, file, (a.count + 1) * sizeof *zip.entries);
  uint64_t at = a.directory;
  for (; zip.count < a.count && status == VGG_OK; zip.count++)
    status = read_entry(&a, &at, &zip.entries[zip.count]);
  if (status == VGG_OK && at != a.directory_end)
    status = bad(&a, at, "something follows the last entry of the directory");
  if (status == VGG_OK) status = check_entries(&a, &zip);
  if (status != VGG_OK)
    zip_close(&zip);
  else
    *out = zip;
  return status;
}

void zip_close(zip_file *zip) {
  free(zip->entries);
  *zip = (zip_file){0};
}

const zip_entry *zip_find(const zip_file *zip, const char *name, size_t name_length) {
  const zip_entry key = {.name = name, .name_length = name_length};
  return bsearch(&key, zip->entries, zip->count, sizeof *zip->entries, compare_names);
}

vgg_status zip_check(const char *file, const zip_entry *entry, vgg_error *err) {
  if (entry->crc == 0) return VGG_OK;
  uLong crc = crc32(0, NULL, 0);
  for (uint64_t at = 0; at < entry->size;) {
    const uint64_t rest = entry->size - at;
    const uInt part = rest < UINT_MAX ? (uInt)rest : UINT_MAX;
    crc = crc32(crc, entry->data + at, part);
    at += part;
  }
  if (crc == entry->crc) return VGG_OK;
  return err_set(err, VGG_BAD_CONTENT,
                 "%s: entry '%.*s': its CRC-32 is %08lx, the archive says %08lx: damaged", file,
                 (int)(entry->name_length < 100 ? entry->name_length : 100), entry->name, crc,
                 (unsigned long)entry->crc);
}
