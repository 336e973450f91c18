/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures: the files that are written, what stands in them, what is refused.
 */
#include "vgg/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "report/canvas.h"

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/vgg-report-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  return rmdir(folder); /* fails if a test, or a temporary file, left something */
}

static const char *in_folder(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

/* The file's bytes, NUL-terminated; the file is removed. */
static char *take(const char *path, size_t *size) {
  uint8_t *bytes = NULL;
  size_t count = 0;
  vgg_error err;
  if (file_read(path, 1 << 24, &bytes, &count, &err) != VGG_OK) fail_msg("%s", err.message);
  assert_int_equal(unlink(path), 0);
  if (size) *size = count;
  return (char *)bytes;
}

static size_t occurrences(const char *text, const char *part) {
  size_t count = 0;
  for (; (text = strstr(text, part)); text += strlen(part)) count++;
  return count;
}

/* Tags nest and close, attributes are quoted, no bare & or control character: what an XML parser
 * would refuse in files such as ours. */
static void check_xml(const char *xml) {
  char open[8][16];
  int depth = 0, elements = 0;
  for (const char *p = xml; *p; p++) {
    assert_true((unsigned char)*p >= 32 || *p == '\n');
    if (*p == '&') {
      assert_true(!strncmp(p, "&amp;", 5) || !strncmp(p, "&lt;", 4) || !strncmp(p, "&gt;", 4));
    }
    if (*p != '<') continue;
    char name[16] = "";
    const bool closing = p[1] == '/';
    assert_int_equal(sscanf(p + 1 + closing, "%15[a-z]", name), 1);
    int quotes = 0;
    for (; *p != '>' || quotes % 2; p++) {
      assert_true(*p != 0);
      quotes += *p == '"';
    }
    assert_int_equal(quotes % 2, 0);
    if (closing) {
      assert_true(depth > 0);
      assert_string_equal(open[--depth], name);
    } else if (p[-1] != '/') {
      assert_true(depth < 8);
      memcpy(open[depth++], name, sizeof name);
    }
    elements++;
  }
  assert_int_equal(depth, 0);
  assert_true(elements > 3);
}

static vgg_curve_point point(double x, double loss, double train, double test) {
  return (vgg_curve_point){x, loss, train, test};
}

static void test_golden_curve(void **state) {
  (void)state;
  const vgg_curve_point points[] = {point(0.5, 2, 0.25, NAN), point(1, 1.5, 0.5, 0.625),
                                    point(1.5, 0.75, 0.6, NAN), point(2, 0.5, 0.75, 0.75)};
  vgg_error err;
  for (int again = 0; again < 2; again++) { /* and so replaced once */
    if (vgg_curves_save(points, 4, 2, VGG_TEST, in_folder("c.svg"), &err) != VGG_OK)
      fail_msg("%s", err.message);
  }
  char *got = take(in_folder("c.svg"), NULL);
  check_xml(got);
  char *golden = NULL;
  size_t size;
  assert_int_equal(
      file_read(TEST_DATA "/report/curve.svg", 1 << 20, (uint8_t **)&golden, &size, NULL), VGG_OK);
  assert_string_equal(got, golden);
  free(golden);
  free(got);
}

/* The y axis ends 5% beyond the values: 2 at 1/22 of its 334 pixels below the top, 18. */
static void test_values_become_pixels(void **state) {
  (void)state;
  const vgg_curve_point points[] = {point(1, 2, 1, NAN), point(2, 1, NAN, 1)};
  assert_int_equal(vgg_curves_save(points, 2, 4, VGG_TEST, in_folder("c.svg"), NULL), VGG_OK);
  char *got = take(in_folder("c.svg"), NULL);
  /* x: 54 + 488 * {1, 2} / 4; y: 18 + 334 * {0.05, 1.05} / 1.1 */
  assert_non_null(strstr(got, "<polyline points=\"176,33.18 298,336.82\""));
  assert_non_null(strstr(got, "<circle cx=\"176\" cy=\"336.82\""));
  assert_non_null(strstr(got, "<circle cx=\"298\" cy=\"336.82\""));
  free(got);
}

/* The lines of the three series; the legend has one sample of each. */
static size_t series_lines(const char *svg) {
  return occurrences(svg, "stroke=\"#1f4fd8\"") + occurrences(svg, "stroke=\"#c217b4\"") +
         occurrences(svg, "stroke=\"#1a8f3c\"") - 3;
}
static size_t markers(const char *svg) { return occurrences(svg, "<circle") - 1; }

static char *curve(const vgg_curve_point *points, size_t count, int epochs) {
  vgg_error err;
  if (vgg_curves_save(points, count, epochs, VGG_TEST, in_folder("c.svg"), &err) != VGG_OK)
    fail_msg("%s", err.message);
  char *svg = take(in_folder("c.svg"), NULL);
  check_xml(svg);
  assert_null(strstr(svg, "nan"));
  assert_null(strstr(svg, "inf"));
  assert_non_null(strstr(svg, ">train loss<"));
  assert_non_null(strstr(svg, ">train acc<"));
  assert_non_null(strstr(svg, ">test acc<"));
  assert_non_null(strstr(svg, ">epoch<"));
  return svg;
}

static void test_odd_curves(void **state) {
  (void)state;
  char *svg = curve(NULL, 0, 10); /* no point yet: axes */
  assert_int_equal(series_lines(svg), 0);
  assert_int_equal(markers(svg), 0);
  free(svg);

  const vgg_curve_point one = point(1, 2.3, 0.1, 0.2); /* a data set of one batch */
  svg = curve(&one, 1, 1);
  assert_int_equal(series_lines(svg), 0);
  assert_int_equal(markers(svg), 3); /* all three are seen */
  free(svg);

  const vgg_curve_point flat[] = {point(1, 0, 0, 0), point(2, 0, 0, 0)};
  svg = curve(flat, 2, 2);
  assert_int_equal(series_lines(svg), 3);
  free(svg);

  const vgg_curve_point odd[] = {point(0.5, NAN, 0.1, NAN),     point(1, INFINITY, 0.2, 0.2),
                                 point(NAN, 1, 1, 1),           point(1.5, 1e300, 0.3, NAN),
                                 point(2, -INFINITY, 0.4, 0.4), point(2.5, 9, 0.9, 0.9),
                                 point(-1, 9, 0.9, 0.9)};
  svg = curve(odd, 7, 2);
  assert_int_equal(occurrences(svg, "#1f4fd8"), 1); /* no loss could be drawn: the legend's */
  assert_int_equal(series_lines(svg), 2);
  assert_int_equal(markers(svg), 2);
  free(svg);

  const vgg_curve_point large[] = {point(1, 3e38, 0, 0), point(2, 12345678, 0, 1)};
  free(curve(large, 2, 2147483647));
}

static vgg_arch *make(const char *text, int ratio) {
  vgg_arch *arch = NULL;
  const vgg_arch_options options = {.ratio = ratio};
  assert_int_equal(vgg_arch_from_text(text, &options, &arch, NULL), VGG_OK);
  return arch;
}

static void test_diagram(void **state) {
  (void)state;
  vgg_arch *vgg = make("vgg11", 1), *alexnet = make("alexnet", 1);
  assert_int_equal(vgg_diagram_save(vgg, alexnet, in_folder("d.svg"), NULL), VGG_OK);
  char *svg = take(in_folder("d.svg"), NULL);
  check_xml(svg);
  assert_int_equal(occurrences(svg, ">128,806,154 parameters<"), 1);
  assert_int_equal(occurrences(svg, ">46,764,746 parameters<"), 1);
  assert_int_equal(occurrences(svg, ">7.55 G multiply-adds an image<"), 1);
  assert_int_equal(occurrences(svg, ">2×2 MaxPool, stride 2<"), 5);
  assert_int_equal(occurrences(svg, ">3×3 MaxPool, stride 2<"), 3);
  assert_int_equal(occurrences(svg, ">3×3 Conv (512), pad 1<"), 4);
  assert_int_equal(occurrences(svg, ">3×3 Conv (384), pad 1<"), 2);
  assert_int_equal(occurrences(svg, ">11×11 Conv (96), stride 4, pad 1<"), 1);
  assert_int_equal(occurrences(svg, ">FC (4096)<"), 4);
  assert_int_equal(occurrences(svg, ">Softmax<"), 2);
  assert_int_equal(occurrences(svg, ">block "), 5);
  assert_int_equal(occurrences(svg, ">1×224×224<"), 2);
  assert_int_equal(occurrences(svg, ">512×7×7<"), 1);
  assert_int_equal(occurrences(svg, ">25088<"), 1);
  assert_int_equal(occurrences(svg, ">6400<"), 1);
  assert_int_equal(occurrences(svg, ">dropout 0.5 after every hidden FC<"), 1);
  free(svg);
  assert_int_equal(vgg_diagram_save(alexnet, NULL, in_folder("d.svg"), NULL), VGG_OK);
  svg = take(in_folder("d.svg"), NULL);
  check_xml(svg);
  assert_int_equal(occurrences(svg, ">Softmax<"), 1);
  assert_int_equal(occurrences(svg, ">block "), 0);
  free(svg);
  vgg_arch_close(vgg);
  vgg_arch_close(alexnet);
}

/* A long title is broken, nothing of it is lost. */
static void test_long_title(void **state) {
  (void)state;
  vgg_arch *arch = make("2x1024,2x1024,2x1024,2x1024,2x1024,2x1024", 64);
  assert_int_equal(vgg_diagram_save(arch, NULL, in_folder("d.svg"), NULL), VGG_OK);
  char *svg = take(in_folder("d.svg"), NULL);
  assert_non_null(strstr(svg, ">2x1024,2x1024,2x1024,2x1024,2x1024,<"));
  assert_non_null(strstr(svg, ">2x1024, ratio 64<"));
  free(svg);
  vgg_arch_close(arch);
}

static void test_text_is_escaped(void **state) {
  (void)state;
  canvas c;
  canvas_init(&c, 10, 10);
  canvas_text(&c, 1, 2.5, (canvas_font){.size = 9}, "%s", "a<b>&\"c\" \x01é");
  assert_int_equal(canvas_save(&c, in_folder("t.svg"), NULL), VGG_OK);
  canvas_free(&c);
  char *svg = take(in_folder("t.svg"), NULL);
  check_xml(svg);
  assert_non_null(strstr(svg, ">a&lt;b&gt;&amp;\"c\" ?é</text>"));
  free(svg);
}

static unsigned big_endian(const char *p) {
  const unsigned char *b = (const unsigned char *)p;
  return (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
}

static void test_png(void **state) {
  (void)state;
  const vgg_curve_point one = point(1, 2.3, 0.1, 0.2);
  vgg_error err;
#ifdef VGG_HAVE_CAIRO
  size_t size;
  assert_int_equal(vgg_curves_save(&one, 1, 1, VGG_TEST, in_folder("c.png"), &err), VGG_OK);
  char *png = take(in_folder("c.png"), &size);
  assert_true(size > 1000);
  assert_memory_equal(png, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  assert_int_equal(big_endian(png + 16), 2 * 560);
  assert_int_equal(big_endian(png + 20), 2 * 400);
  assert_memory_equal(png + size - 8, "IEND", 4);
  free(png);
  vgg_arch *arch = make("vgg16", 4);
  assert_int_equal(vgg_diagram_save(arch, arch, in_folder("d.png"), &err), VGG_OK);
  free(take(in_folder("d.png"), NULL));
  vgg_arch_close(arch);
#else
  (void)big_endian;
  assert_int_equal(vgg_curves_save(&one, 1, 1, VGG_TEST, in_folder("c.png"), &err), VGG_ABSENT);
  assert_non_null(strstr(err.message, "c.png: this build has no cairo and writes .svg only"));
#endif
}

static void test_refusals(void **state) {
  (void)state;
  const vgg_curve_point one = point(1, 2.3, 0.1, 0.2);
  vgg_error err;
  static const char *const wrong[] = {"c.jpg", "c", "svg", "c.SVG", "c.svg.gz", ""};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    char wanted[200];
    snprintf(wanted, sizeof wanted, "%s: wanted a name that ends in .svg or .png", wrong[i]);
    assert_int_equal(vgg_curves_save(&one, 1, 1, VGG_TEST, wrong[i], &err), VGG_BAD_VALUE);
    assert_string_equal(err.message, wanted);
  }
  assert_int_equal(vgg_curves_save(&one, 1, 0, VGG_TEST, in_folder("c.svg"), &err), VGG_BAD_VALUE);
  assert_string_equal(err.message, "epochs 0: wanted at least 1");
  static const char *const absent[] = {"none/c.svg",
#ifdef VGG_HAVE_CAIRO
                                       "none/c.png"
#endif
  };
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
    assert_int_equal(vgg_curves_save(&one, 1, 1, VGG_TEST, in_folder(absent[i]), &err),
                     VGG_NO_OUTPUT);
  assert_int_equal(mkdir(in_folder("d.svg"), 0700), 0);
  assert_int_equal(vgg_curves_save(&one, 1, 1, VGG_TEST, in_folder("d.svg"), &err), VGG_NO_OUTPUT);
  assert_int_equal(rmdir(in_folder("d.svg")), 0);
}

/* Lines, and characters of the longest line. */
static void measure(const char *text, int *lines, int *width) {
  int here = 0;
  *lines = *width = 0;
  for (; *text; text++) {
    if (*text == '\n') {
      (*lines)++;
      here = 0;
    } else if (((unsigned char)*text & 0xc0) != 0x80) {
      here++;
    }
    if (here > *width) *width = here;
  }
}

static void test_terminal(void **state) {
  (void)state;
  const vgg_curve_point points[] = {point(0.5, 2, 0.25, NAN), point(1, 1.5, 0.5, 0.625),
                                    point(1.5, 0.75, 0.6, NAN), point(2, 0.5, 0.75, 0.75)};
  char *text = NULL;
  /* 63 columns of 2 dots: x 0.5 is dot 0.25 * 125 = 31, the right one of column 15. 6 rows of 4:
   * loss 2 is dot 0, test 0.625 dot 1.375 / 1.75 * 23 = 18, which is in row 4. */
  assert_int_equal(vgg_curves_text(points, 4, 2, VGG_TEST, 72, 9, &text, NULL), VGG_OK);
  assert_string_equal(text,
                      "   2.00 ┤               ⠈⠉⠒⠒⠢⠤⠤⣀⣀⡀                                      \n"
                      "        │                        ⠈⠉⠑⠒⠒⠤⠤⢄⣀                              \n"
                      "        │                                 ⠉⠑⠒⠤⢄⣀                        \n"
                      "        │                                       ⠉⠉⠒⠢⠤⣀⡀                 \n"
                      "        │                               ●  ⢀ ⡀⢀ ⡀⢀ ⡀⢀ ⡈⠩⠑⠖⠲⠒⠖⠦⠤⠤⠦⠴⣀⣂⣐⣀⡂●\n"
                      "   0.25 ┤               ⢀ ⡀⠠ ⠄⠠ ⠂⠐ ⠂⠐ ⠁⠈⠈ ⠁                           ⠈⠉\n"
                      "        └───────────────────────────────────────────────────────────────\n"
                      "         0                                                       epoch 2\n"
                      "         ⠒⠒⠒ train loss   ⠂⠐ ⠂ train acc   ● test acc\n");
  free(text);
  assert_int_equal(vgg_curves_text(points, 4, 2, VGG_TEST, 75, 9, &text, NULL), VGG_OK);
  assert_non_null(strstr(text, "⠒⠒⠒ train loss 0.500   ⠂⠐ ⠂ train acc 0.750   ● test acc 0.750\n"));
  free(text);
}

static void test_terminal_sizes(void **state) {
  (void)state;
  const vgg_curve_point points[] = {point(1, 3e38, 0.1, NAN), point(1, -12345, 0.2, 0.3),
                                    point(5, 1, 1, 1)};
  static const int widths[] = {54, 71, 72, 200, 1000}, heights[] = {5, 12, 60};
  for (int w = 0; w < 5; w++)
    for (int h = 0; h < 3; h++)
      for (size_t count = 0; count <= 3; count++) {
        char *text = NULL;
        int lines, width;
        assert_int_equal(
            vgg_curves_text(points, count, 5, VGG_TEST, widths[w], heights[h], &text, NULL),
            VGG_OK);
        measure(text, &lines, &width);
        assert_int_equal(lines, heights[h]);
        assert_true(width <= widths[w]);
        free(text);
      }
  char *text = NULL;
  vgg_error err;
  assert_int_equal(vgg_curves_text(points, 3, 5, VGG_TEST, 53, 9, &text, &err), VGG_BAD_VALUE);
  assert_string_equal(err.message, "curves of 53 x 9 characters: wanted 54 x 5 to 1000 x 1000");
  assert_int_equal(vgg_curves_text(points, 3, 5, VGG_TEST, 80, 4, &text, &err), VGG_BAD_VALUE);
  assert_int_equal(vgg_curves_text(points, 3, 0, VGG_TEST, 80, 9, &text, &err), VGG_BAD_VALUE);
  assert_null(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden_curve), cmocka_unit_test(test_values_become_pixels),
      cmocka_unit_test(test_odd_curves),   cmocka_unit_test(test_diagram),
      cmocka_unit_test(test_long_title),   cmocka_unit_test(test_text_is_escaped),
      cmocka_unit_test(test_png),          cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_terminal),     cmocka_unit_test(test_terminal_sizes),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
