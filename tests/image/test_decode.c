/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding against Pillow's pixels (tests/golden/pillow/make_golden.py), and files that must fail.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* cmocka.h wants the headers above it */
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "image/pnm.h"

#define DECODE "golden/pillow/decode"

static bool ends_with(const char *s, const char *end) {
  const size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

#ifdef VGG_HAVE_WEBP
enum { PICTURES = 52 };
#else
enum { PICTURES = 44 };
#endif

static int is_picture(const struct dirent *entry) {
#ifndef VGG_HAVE_WEBP
  if (strstr(entry->d_name, "webp")) return 0;
#endif
  return entry->d_name[0] != '.' && !ends_with(entry->d_name, ".pnm");
}

static void compare(const char *name, int tolerance) {
  char path[1024], golden[512], comment[64];
  vgg_image got, want;
  vgg_error err;
  snprintf(path, sizeof path, "%s/%s/%s", TEST_DATA, DECODE, name);
  snprintf(golden, sizeof golden, "%s/%s.pnm", DECODE, name);
  pnm_file file = pnm_open(golden);
  assert_true(pnm_next(&file, &want, comment));
  if (vgg_image_read(path, &got, &err)) fail_msg("%s", err.message);
  if (got.channels != want.channels || got.height != want.height || got.width != want.width)
    fail_msg("%s: is %dx%dx%d, wanted %dx%dx%d", name, got.channels, got.height, got.width,
             want.channels, want.height, want.width);
  const size_t count = (size_t)got.channels * (size_t)got.height * (size_t)got.width;
  for (size_t i = 0; i < count; i++)
    if (abs(got.pixels[i] - want.pixels[i]) > tolerance)
      fail_msg("%s: sample %zu is %d, wanted %d", name, i, got.pixels[i], want.pixels[i]);
  vgg_image_free(&got);
  pnm_close(&file);
}

/* Exactly, but for JPEG: within 1, since decoders may differ in the last bit. */
static void pictures_equal_pillow(void **state) {
  (void)state;
  struct dirent **entries;
  const int count = scandir(TEST_DATA "/" DECODE, &entries, is_picture, alphasort);
  assert_int_equal(count, PICTURES);
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    compare(name, strstr(name, "jp") ? 1 : 0);
    free(entries[i]);
  }
  free(entries);
}

static vgg_status decode(const uint8_t *bytes, size_t size, vgg_error *err) {
  uint8_t *copy = malloc(size ? size : 1); /* just its size: sanitizers see reads behind it */
  memcpy(copy, bytes, size);
  vgg_image image;
  const vgg_status status = vgg_image_decode("x.png", copy, size, NULL, &image, err);
  if (!status) vgg_image_free(&image);
  free(copy);
  return status;
}

/* A file cut anywhere, even before its last byte, is an error that names the file. */
static void every_truncation_fails(void **state) {
  (void)state;
  static const char *const names[] = {
      "palette-trns.png", "interlaced-rgba.png",
      "exif6.jpg",        "progressive.jpg",
      "cmyk.jpg",         "p4.pbm",
      "p5-16.pgm",        "p6-max7.ppm",
      "rgba.pam",
#ifdef VGG_HAVE_WEBP
      "lossless.webp",    "lossy.webp",
      "lossy-alpha.webp", "animated-part.webp",
#endif
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/%s", TEST_DATA, DECODE, names[i]);
    uint8_t *bytes;
    size_t size;
    vgg_error err;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), VGG_OK);
    assert_int_equal(decode(bytes, size, &err), VGG_OK);
    for (size_t cut = 0; cut < size; cut++) {
      if (decode(bytes, cut, &err) != VGG_BAD_CONTENT)
        fail_msg("%s decodes from %zu of %zu bytes", names[i], cut, size);
      assert_int_equal(strncmp(err.message, "x.png: ", 7), 0);
    }
    free(bytes);
  }
}

typedef struct folder {
  char path[64];
} folder;

static folder make_folder(void) {
  folder f = {"/tmp/vgg-decode-XXXXXX"};
  assert_non_null(mkdtemp(f.path));
  return f;
}

static void expect(const folder *f, const char *name, vgg_status status, const char *words) {
  char path[128];
  vgg_image image;
  vgg_error err = {VGG_OK, ""};
  snprintf(path, sizeof path, "%s/%s", f->path, name);
  const double start = clock_seconds();
  assert_int_equal(vgg_image_read(path, &image, &err), status);
  assert_true(clock_seconds() - start < 1.0);
  if (!strstr(err.message, words)) fail_msg("\"%s\" says not \"%s\"", err.message, words);
  assert_non_null(strstr(err.message, path));
  remove(path);
}

static void write_file(const folder *f, const char *name, const void *bytes, size_t size) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", f->path, name);
  assert_int_equal(file_replace(path, bytes, size, NULL), VGG_OK);
}

static void things_that_are_no_pictures_fail(void **state) {
  (void)state;
  const folder f = make_folder();
  char path[128];
  expect(&f, "missing", VGG_NO_INPUT, "No such file");
  write_file(&f, "empty.png", "", 0);
  expect(&f, "empty.png", VGG_BAD_CONTENT, "is empty");
  write_file(&f, "text.png", "hello", 5);
  expect(&f, "text.png", VGG_BAD_CONTENT, "PNG JPEG WebP PNM");
  snprintf(path, sizeof path, "%s/folder", f.path);
  assert_int_equal(mkdir(path, 0700), 0);
  expect(&f, "folder", VGG_NO_INPUT, "not a regular file");
  snprintf(path, sizeof path, "%s/fifo", f.path);
  assert_int_equal(mkfifo(path, 0600), 0);
  expect(&f, "fifo", VGG_NO_INPUT, "not a regular file");
  snprintf(path, sizeof path, "%s/link", f.path);
  assert_int_equal(symlink("nowhere", path), 0);
  expect(&f, "link", VGG_NO_INPUT, "No such file");
  assert_int_equal(rmdir(f.path), 0);
}

static void big_endian(uint8_t *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The 33 bytes of a PNG's signature and IHDR, 8-bit RGBA. */
static void png_header(uint8_t *png, uint32_t width, uint32_t height) {
  memcpy(png, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  big_endian(png + 16, width);
  big_endian(png + 20, height);
  memcpy(png + 24, "\x08\x06\0\0", 5);
  big_endian(png + 29, (uint32_t)crc32(0, png + 12, 17));
}

static long peak_kilobytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static void bombs_are_refused_before_they_cost(void **state) {
  (void)state;
  const folder f = make_folder();
  const long before = peak_kilobytes();
  uint8_t png[33];
  static const uint32_t sizes[][2] = {
      {50000, 50000}, {0x7fffffff, 0x7fffffff}, {0x7fffffff, 1}, {1, 70000}, {10001, 10000}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    png_header(png, sizes[i][0], sizes[i][1]);
    /* an IDAT follows in a real file; libpng reads up to it */
    uint8_t file[45];
    memcpy(file, png, sizeof png);
    memcpy(file + 33, "\0\0\0\0IDAT\x35\xaf\x06\x1e", 12);
    write_file(&f, "bomb.png", file, sizeof file);
    expect(&f, "bomb.png", VGG_BAD_CONTENT, "at most 16384 a side and 100000000");
  }
  static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xc0, 0, 11,   8,    0xff, 0xdc, 0xff,
                                 0xdc, 1,    1,    0x11, 0, 0xff, 0xda, 0,    8,    1,
                                 1,    0,    0,    63,   0, 0,    0xff, 0xd9};
  write_file(&f, "bomb.jpg", jpeg, sizeof jpeg);
  expect(&f, "bomb.jpg", VGG_BAD_CONTENT, "65500x65500 pixels");
  assert_true(peak_kilobytes() - before < 16 << 10);
  assert_int_equal(rmdir(f.path), 0);
}

/* Where the first marker of a kind begins in a JPEG. */
static size_t find_marker(const uint8_t *bytes, size_t size, uint8_t marker) {
  for (size_t i = 2; i + 1 < size; i++)
    if (bytes[i] == 0xff && bytes[i + 1] == marker) return i;
  fail_msg("no marker %02x", marker);
  return 0;
}

/* The last scan of a progressive picture 200 times over: tiny, legal, slow. */
static void too_many_scans_are_refused(void **state) {
  (void)state;
  uint8_t *bytes;
  size_t size;
  vgg_error err;
  assert_int_equal(file_read(TEST_DATA "/" DECODE "/progressive.jpg", 1 << 20, &bytes, &size, &err),
                   VGG_OK);
  const size_t first = find_marker(bytes, size, 0xda);
  const size_t scan = find_marker(bytes + first, size - first, 0xc4);
  uint8_t *bomb = malloc(first + 200 * scan + 2);
  memcpy(bomb, bytes, first);
  for (size_t i = 0; i < 200; i++) memcpy(bomb + first + i * scan, bytes + first, scan);
  memcpy(bomb + first + 200 * scan, "\xff\xd9", 2);
  assert_int_equal(decode(bomb, first + 200 * scan + 2, &err), VGG_BAD_CONTENT);
  assert_string_equal(err.message, "x.png: broken JPEG: over 100 scans");
  free(bomb);
  free(bytes);
}

/* Damage that libjpeg would paper over with grey. */
static void damaged_data_fails(void **state) {
  (void)state;
  uint8_t *bytes;
  size_t size;
  vgg_error err;
  assert_int_equal(file_read(TEST_DATA "/" DECODE "/420.jpg", 1 << 20, &bytes, &size, &err),
                   VGG_OK);
  const size_t data = find_marker(bytes, size, 0xda) + 14;
  memmove(bytes + data + 20, bytes + size - 2, 2); /* the end marker, early */
  assert_int_equal(decode(bytes, data + 22, &err), VGG_BAD_CONTENT);
  free(bytes);
  assert_int_equal(file_read(TEST_DATA "/" DECODE "/rgb.png", 1 << 20, &bytes, &size, &err),
                   VGG_OK);
  bytes[size - 20] ^= 1; /* in the IDAT, whose CRC now is wrong */
  assert_int_equal(decode(bytes, size, &err), VGG_BAD_CONTENT);
  free(bytes);
}

static uint8_t *read_fixture(const char *name, size_t *size) {
  char path[1024];
  uint8_t *bytes;
  vgg_error err;
  snprintf(path, sizeof path, "%s/%s/%s", TEST_DATA, DECODE, name);
  if (file_read(path, 1 << 20, &bytes, size, &err)) fail_msg("%s", err.message);
  return bytes;
}

static void exif_can_be_ignored(void **state) {
  (void)state;
  static const char *const names[] = {
      "exif6.jpg",
      "exif6.png",
#ifdef VGG_HAVE_WEBP
      "exif6.webp",
#endif
  };
  const vgg_decode_options ignore = {.ignore_exif = true};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t size;
    uint8_t *bytes = read_fixture(names[i], &size);
    vgg_image turned, stored;
    assert_int_equal(vgg_image_decode("x", bytes, size, NULL, &turned, NULL), VGG_OK);
    assert_int_equal(vgg_image_decode("x", bytes, size, &ignore, &stored, NULL), VGG_OK);
    assert_true(stored.width > stored.height);
    assert_int_equal(turned.height, stored.width);
    for (int y = 0; y < stored.height; y++) /* 6: turned clockwise, rows become columns */
      for (int x = 0; x < stored.width; x++)
        assert_memory_equal(stored.pixels + 3 * (y * stored.width + x),
                            turned.pixels + 3 * ((x + 1) * turned.width - 1 - y), 3);
    vgg_image_free(&turned);
    vgg_image_free(&stored);
    free(bytes);
  }
}

/* Every limit at what a picture needs, and one below. */
static void limits_can_be_chosen(void **state) {
  (void)state;
  static const struct {
    const char *name; /* 29 x 21 */
    vgg_decode_options enough, less;
    const char *words;
  } cases[] = {
      {"420.jpg", {.max_pixels = 609}, {.max_pixels = 608}, "29x21 pixels, wanted at most 65500"},
      {"420.jpg", {.max_side = 29}, {.max_side = 28}, "at most 28 a side and 100000000 in all"},
      {"420.jpg", {.max_file = 801}, {.max_file = 800}, "is 801 bytes, wanted at most 800"},
      {"progressive.jpg", {.max_scans = 10}, {.max_scans = 9}, "over 9 scans"},
#ifdef VGG_HAVE_WEBP
      {"lossless.webp", {.max_memory = 2436}, {.max_memory = 2435}, "needs 2436 bytes"},
#endif
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t size;
    uint8_t *bytes = read_fixture(cases[i].name, &size);
    vgg_image image;
    vgg_error err;
    if (vgg_image_decode("x", bytes, size, &cases[i].enough, &image, &err))
      fail_msg("%zu: %s", i, err.message);
    vgg_image_free(&image);
    assert_int_equal(vgg_image_decode("x", bytes, size, &cases[i].less, &image, &err),
                     VGG_BAD_CONTENT);
    if (!strstr(err.message, cases[i].words)) fail_msg("%zu: %s", i, err.message);
    free(bytes);
  }
}

static void damaged_pnm_fails(void **state) {
  (void)state;
  static const struct {
    const char *bytes, *words;
  } cases[] = {
      {"P5\n", "number of its header"},
      {"P5\n2 x", "number of its header"},
      {"P5\n99999999999999999999 1 255\n", "number of its header"},
      {"P5 1 1 255", "has no end"},
      {"P5 1 1 0\n\1", "maximum is not"},
      {"P5 1 1 65536\n\1\1", "maximum is not"},
      {"P5 0 1 255\n", "0x1 pixels"},
      {"P5 70000 1 255\n", "70000x1 pixels"},
      {"P6 9999 9999 255\nabc", "cut short"},
      {"P3 9999 9999 255\n1 2 3", "cut short"},
      {"P5 1 1 7\n\10", "over its maximum"},
      {"P2 1 1 7\n8 ", "no number up to its maximum"},
      {"P2 1 1 7\n- ", "no number up to its maximum"},
      {"P2 2 1 9\n1   ", "cut short"},
      {"P1 2 1\n12", "bit is not"},
      {"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nENDHDR\nabcde", "depth is not"},
      {"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nENDHDR\na", "maximum is not"},
      {"P7\nWEITE 1\nENDHDR\na", "unknown line"},
      {"P7\nWIDTH 1\n", "unknown line"},
      {"P8 1 1 255\na", "not a picture"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    vgg_error err;
    assert_int_equal(decode((const uint8_t *)cases[i].bytes, strlen(cases[i].bytes), &err),
                     VGG_BAD_CONTENT);
    if (!strstr(err.message, cases[i].words)) fail_msg("%s: %s", cases[i].bytes, err.message);
  }
}

#ifdef VGG_HAVE_WEBP
static void webp_bombs_are_refused(void **state) {
  (void)state;
  uint8_t lossless[] = "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xff\xff\x0f\0\0\0\0\0\0\0\0";
  vgg_error err;
  assert_int_equal(decode(lossless, sizeof lossless, &err), VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "16384x16384 pixels"));
}
#else
static void webp_is_named(void **state) {
  (void)state;
  vgg_error err;
  assert_int_equal(decode((const uint8_t *)"RIFF\4\0\0\0WEBP", 12, &err), VGG_BAD_CONTENT);
  assert_non_null(strstr(err.message, "is WebP, which this build cannot read"));
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bombs_are_refused_before_they_cost), /* first: it measures peak memory */
      cmocka_unit_test(pictures_equal_pillow),
      cmocka_unit_test(every_truncation_fails),
      cmocka_unit_test(things_that_are_no_pictures_fail),
      cmocka_unit_test(too_many_scans_are_refused),
      cmocka_unit_test(damaged_data_fails),
      cmocka_unit_test(exif_can_be_ignored),
      cmocka_unit_test(limits_can_be_chosen),
      cmocka_unit_test(damaged_pnm_fails),
#ifdef VGG_HAVE_WEBP
      cmocka_unit_test(webp_bombs_are_refused),
#else
      cmocka_unit_test(webp_is_named),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
