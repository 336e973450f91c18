/* SPDX-License-Identifier: Apache-2.0
 *
 * Random changes: their words, what their draws are like, and that a batch holds the same pictures
 * whoever makes it.
 */
#include <math.h>

#include "data/augmentation.h"
#include "data/loader.h"
#include "image/resize.h"
#include "image/scene.h"
#include "tree.h"

enum { COUNT = 40, SIDE = 16 };

static const vgg_shape grey = {1, SIDE, SIDE}, colour = {3, SIDE, SIDE};

static augmentation parse(const char *list, vgg_shape input) {
  augmentation a;
  vgg_error err;
  if (augmentation_parse(list, input, &a, &err) != VGG_OK) fail_msg("%s", err.message);
  return a;
}

/* ---- words ----------------------------------------------------------------------------------- */

static void words(void **state) {
  (void)state;
  assert_false(parse("", colour).any);
  assert_false(parse(NULL, colour).any);
  const augmentation a = parse("flip,pad=3,pca=.25,cutout", colour);
  assert_true(a.any && a.on[AUGMENT_flip] && a.on[AUGMENT_pad] && !a.on[AUGMENT_crop]);
  assert_true(a.first[AUGMENT_pad] == 3 && a.first[AUGMENT_pca] == .25);
  assert_true(a.first[AUGMENT_flip] == .5 && a.first[AUGMENT_cutout] == SIDE / 2);
  const augmentation j = parse("jitter", (vgg_shape){3, 224, 224});
  assert_true(j.first[AUGMENT_jitter] == 256 && j.second[AUGMENT_jitter] == 512);
  assert_true(parse("jitter=20", grey).second[AUGMENT_jitter] == 20);
  size_t count = 0;
  while (vgg_augment_name_at(count, NULL)) count++;
  assert_int_equal(count, NUM_AUGMENTS);
}

static void words_that_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *list, *message;
  } cases[] = {
      {"flop", "'flop': unknown, wanted crop, jitter"},
      {"flip,flip", "'flip': is there twice"},
      {"flip,", "ends in a comma"},
      {",flip", "'': unknown"},
      {"flip=", "wanted flip=X, from 0.0001 to 1"},
      {"flip=2", "wanted flip=X"},
      {"flip=-1", "wanted flip=X"},
      {"flip=nan", "wanted flip=X"},
      {"flip=.5x", "wanted flip=X"},
      {"pad=1.5", "wanted pad=X, from 1 to 1024, whole"},
      {"jitter=30-20", "wanted jitter=LOW-HIGH"},
      {"jitter=20-", "wanted jitter=LOW-HIGH"},
      {"jitter=8-20", "the input needs at least 16"},
      {"crop,pad", "one of crop, jitter and pad"},
      {"saturation", "the net sees no colours"},
      {"pca", "the net sees no colours"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    augmentation a;
    vgg_error err = {0};
    if (augmentation_parse(cases[i].list, grey, &a, &err) != VGG_BAD_VALUE ||
        !strstr(err.message, cases[i].message))
      fail_msg("'%s': \"%s\", wanted \"%s\"", cases[i].list, err.message, cases[i].message);
  }
}

/* ---- draws ----------------------------------------------------------------------------------- */

static preprocess_part part_of(const augmentation *a, uint32_t sample, int h, int w) {
  const vgg_preprocess rule = {.input = grey};
  const augment_key key = {9, 2, sample};
  preprocess_part part;
  assert_true(augmentation_part(a, &key, &rule, h, w, &part));
  return part;
}

static void assert_inside(resizer_window w) {
  assert_true(w.first >= 0 && w.count >= 1 && w.first + w.count <= w.size);
}

/* The mean share of the parts that lie inside, over a grid of draws. */
static double mean_share(double least_share, double h, double w) {
  double sum = 0;
  int inside = 0;
  for (int i = 0; i < 400; i++)
    for (int k = 0; k < 400; k++) {
      const double share = least_share + (1 - least_share) * (i + .5) / 400;
      const double ratio = 3 / 4. * pow(16 / 9., (k + .5) / 400);
      if (sqrt(share * h * w * ratio) > w || sqrt(share * h * w / ratio) > h) continue;
      sum += share;
      inside++;
    }
  return sum / inside;
}

/* Shares and aspects within their bounds, near both, and everywhere in the picture. */
static void crops(void **state) {
  (void)state;
  enum { H = 300, W = 400, DRAWS = 2000 };
  const augmentation a = parse("crop=.1", grey);
  double least = 1, most = 0, mean = 0, narrow = 9, wide = 0;
  for (uint32_t i = 0; i < DRAWS; i++) {
    const preprocess_part p = part_of(&a, i, H, W);
    assert_true(p.of_picture && p.rows.size == H && p.columns.size == W);
    assert_inside(p.rows);
    assert_inside(p.columns);
    const double share = (double)p.rows.count * p.columns.count / (H * W);
    const double aspect = (double)p.columns.count / p.rows.count;
    least = fmin(least, share), most = fmax(most, share), mean += share / DRAWS;
    narrow = fmin(narrow, aspect), wide = fmax(wide, aspect);
  }
  assert_true(least >= .099 && least < .12 && most <= 1 && most > .9);
  assert_true(fabs(mean - mean_share(.1, H, W)) < 4.5 * .26 / sqrt(DRAWS));
  assert_true(narrow > .74 && narrow < .78 && wide < 1.345 && wide > 1.29);
  /* Nothing of the shape fits: the middle, as square as may be. */
  const preprocess_part p = part_of(&a, 0, 10, 1000);
  assert_int_equal(p.rows.count, 10);
  assert_int_equal(p.columns.count, 13);
  assert_int_equal(p.columns.first, (1000 - 13) / 2);
}

static void jitters(void **state) {
  (void)state;
  enum { DRAWS = 500 };
  const augmentation a = parse("jitter=18-22", grey);
  int seen[5] = {0}, corner[2] = {0};
  for (uint32_t i = 0; i < DRAWS; i++) {
    const preprocess_part p = part_of(&a, i, 30, 60);
    assert_false(p.of_picture);
    assert_in_range(p.rows.size, 18, 22);
    assert_int_equal(p.columns.size, 2 * p.rows.size);
    assert_true(p.rows.count == SIDE && p.columns.count == SIDE);
    assert_inside(p.rows);
    assert_inside(p.columns);
    seen[p.rows.size - 18]++;
    corner[0] += p.columns.first == 0;
    corner[1] += p.columns.first + SIDE == p.columns.size;
  }
  for (int i = 0; i < 5; i++) assert_in_range(seen[i], 60, 140); /* 100, give or take 4.5 sigma */
  assert_true(corner[0] > 0 && corner[1] > 0);
}

/* A picture whose column is its value, or whose value is `flat`. */
static vgg_image ramp(uint8_t *pixels, int channels, int flat) {
  for (int i = 0; i < SIDE * SIDE * channels; i++)
    pixels[i] = (uint8_t)(flat >= 0 ? flat : i / channels % SIDE + 1);
  return (vgg_image){channels, SIDE, SIDE, pixels};
}

static void change(const augmentation *a, uint32_t sample, vgg_image *image) {
  uint8_t scratch[3 * SIDE * SIDE];
  const augment_key key = {9, 2, sample};
  augmentation_apply(a, &key, image, scratch);
}

static void flips_and_pads(void **state) {
  (void)state;
  uint8_t pixels[SIDE * SIDE], cut[2 * SIDE * SIDE];
  const augmentation f = parse("flip", grey), p = parse("pad=2", grey), c = parse("cutout=5", grey);
  int flipped = 0, places[5][5] = {{0}}, blacks = 0;
  for (uint32_t i = 0; i < 1000; i++) {
    vgg_image image = ramp(pixels, 1, -1);
    change(&f, i, &image);
    assert_true(pixels[0] == 1 || pixels[0] == SIDE);
    flipped += pixels[0] == SIDE;

    image = ramp(pixels, 1, -1);
    change(&p, i, &image);
    int left = 0, top = 0; /* black columns and rows; the other way they are at the other end */
    while (pixels[7 * SIDE + left] == 0) left++;
    while (pixels[top * SIDE + 7] == 0) top++;
    if (left == 0) left = 1 - pixels[7 * SIDE];
    if (top == 0)
      for (int y = SIDE - 1; pixels[y * SIDE + 7] == 0; y--) top--;
    places[top + 2][left + 2]++;

    image = ramp(cut, 1, 200);
    change(&c, i, &image);
    int black = 0;
    for (int k = 0; k < SIDE * SIDE; k++) black += cut[k] == 0;
    assert_in_range(black, 9, 25); /* a quarter of it at a corner */
    blacks += black == 25;
  }
  assert_in_range(flipped, 430, 570); /* 4.5 sigma */
  for (int y = 0; y < 5; y++)
    for (int x = 0; x < 5; x++) assert_in_range(places[y][x], 12, 68); /* 40 */
  assert_in_range(blacks, 450, 680); /* (12/16)^2 of them lie inside */
}

static void colours(void **state) {
  (void)state;
  uint8_t pixels[3 * SIDE * SIDE];
  static const struct {
    const char *list;
    int low, high; /* of 100 */
  } cases[] = {{"brightness=.5", 50, 150}, {"contrast=.5", 100, 100}, {"saturation", 100, 100}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    const augmentation a = parse(cases[c].list, colour);
    int least = 255, most = 0;
    for (uint32_t i = 0; i < 300; i++) {
      vgg_image image = ramp(pixels, 3, 100);
      change(&a, i, &image);
      if (pixels[0] < least) least = pixels[0];
      if (pixels[0] > most) most = pixels[0];
    }
    assert_in_range(least, cases[c].low, cases[c].low + 2);
    assert_in_range(most, cases[c].high - 2, cases[c].high);
  }
  const augmentation a = parse("pca", colour);
  double sum[3] = {0}, squares[3] = {0};
  for (uint32_t i = 0; i < 2000; i++) {
    vgg_image image = ramp(pixels, 3, 100);
    change(&a, i, &image);
    for (int k = 0; k < 3; k++) {
      sum[k] += pixels[k] - 100;
      squares[k] += (pixels[k] - 100) * (pixels[k] - 100);
    }
  }
  /* The deviation of red: .1 * 255 * |(.5675 * .2175, .7192 * .0188, .4009 * .0045)| = 3.17, and
   * rounding's .29. */
  assert_true(fabs(sqrt(squares[0] / 2000) - 3.18) < .25);
  assert_true(fabs(sum[0] / 2000) < .35);
}

/* One change more leaves the draws of the others alone. */
static void changes_are_independent(void **state) {
  (void)state;
  uint8_t one[SIDE * SIDE], two[SIDE * SIDE];
  const augmentation a = parse("cutout=4", grey), b = parse("flip=1,cutout=4", grey);
  for (uint32_t i = 0; i < 50; i++) {
    vgg_image first = ramp(one, 1, 90), second = ramp(two, 1, 90);
    change(&a, i, &first);
    change(&b, i, &second);
    assert_memory_equal(one, two, sizeof one);
  }
}

/* ---- mixup ----------------------------------------------------------------------------------- */

static void mixes(void **state) {
  (void)state;
  enum { N = 5, BATCHES = 4000 };
  const augmentation none = parse("flip", grey);
  uint8_t pixels[N * 2];
  assert_true(augmentation_mix(&none, &(augment_key){1, 0, 0}, N, 2, pixels) == 1);
  for (int alpha = 1; alpha <= 2; alpha++) {
    const augmentation a = parse(alpha == 1 ? "mixup=.25" : "mixup=1", grey);
    double sum = 0, squares = 0;
    for (uint32_t b = 0; b < BATCHES; b++) {
      for (int i = 0; i < N * 2; i++) pixels[i] = (uint8_t)(20 * (i / 2) + 100 * (i % 2));
      const float share = augmentation_mix(&a, &(augment_key){1, 3, b}, N, 2, pixels);
      assert_true(share >= 0 && share <= 1);
      sum += share;
      squares += share * share;
      for (int i = 0; i < N * 2; i++) {
        const float own = (float)(20 * (i / 2)), other = (float)(20 * (N - 1 - i / 2));
        const float want = share * own + (1 - share) * other + (float)(100 * (i % 2));
        assert_true(fabsf((float)pixels[i] - want) <= .501f);
      }
    }
    /* Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)). */
    const double mean = sum / BATCHES, variance = squares / BATCHES - mean * mean;
    assert_true(fabs(mean - .5) < .03);
    assert_true(fabs(variance - 1 / (4 * (alpha == 1 ? 1.5 : 3.))) < .012);
  }
}

/* ---- in a loader ----------------------------------------------------------------------------- */

static vgg_dataset *open_pictures(const tree *t) {
  char lines[2048] = "";
  for (int i = 0; i < COUNT; i++) {
    char name[16];
    snprintf(name, sizeof name, "%02d.png", i);
    tree_dot(t, name, 20 + i % 3, 24 + i % 5, 3, (uint8_t)(5 * i));
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s,%d\n", name, i % 4);
  }
  tree_text(t, "list.csv", lines);
  return tree_must_open(t, "", "list.csv", VGG_TRAIN, NULL);
}

/* What the loader makes is what vgg_augment_apply makes of each picture; another epoch is another
 * picture; no number of threads matters. */
static void batches(void **state) {
  (void)state;
  static const char *const lists[] = {"crop,flip,saturation,contrast", "jitter=17-30,pca,cutout=3",
                                      "pad=3,brightness", ""};
  tree t = tree_make();
  vgg_dataset *data = open_pictures(&t);
  const size_t picture = 3 * SIDE * SIDE;
  uint8_t want[3 * SIDE * SIDE], before[3 * SIDE * SIDE] = {0};
  for (int c = 0; c < 4 * 3; c++) {
    const char *list = lists[c % 4];
    const loader_options options = {.data = data,
                                    .rule = {.input = colour},
                                    .batch = 7,
                                    .shuffle = true,
                                    .seed = 11,
                                    .augment = parse(list, colour),
                                    .workers = 1 + c / 4};
    loader *l;
    vgg_error err;
    if (loader_create(&options, &l, &err) != VGG_OK) fail_msg("%s", err.message);
    int changed = 0;
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
      const loader_batch *b;
      assert_int_equal(loader_start(l, epoch, 1, NULL), VGG_OK);
      while (loader_next(l, &b, NULL) == VGG_OK && b) {
        assert_true(b->share == 1);
        for (int i = 0; i < b->n; i++) {
          vgg_image image;
          assert_int_equal(vgg_dataset_read(data, b->ids[i], &image, NULL), VGG_OK);
          assert_int_equal(
              vgg_augment_apply(list, &options.rule, &image, 11, epoch, b->ids[i], want, &err),
              VGG_OK);
          assert_memory_equal(b->pixels + (size_t)i * picture, want, picture);
          assert_int_equal(vgg_augment_apply(list, &options.rule, &image, 11, 1 - epoch, b->ids[i],
                                             before, NULL),
                           VGG_OK);
          changed += memcmp(want, before, picture) != 0;
          vgg_image_free(&image);
        }
      }
    }
    assert_true(*list ? changed > COUNT : changed == 0);
    loader_close(l);
  }
  vgg_dataset_close(data);
  tree_remove(&t);
}

/* The loader's first batch begins with these pixels. */
static void assert_first(const loader_options *options, const uint8_t *want, size_t size) {
  const loader_batch *b;
  loader *l;
  assert_int_equal(loader_create(options, &l, NULL), VGG_OK);
  assert_int_equal(loader_start(l, 0, 0, NULL), VGG_OK);
  assert_int_equal(loader_next(l, &b, NULL), VGG_OK);
  assert_non_null(b);
  assert_memory_equal(b->pixels, want, size);
  loader_close(l);
}

/* JPEGs decoded at a reduced size where the rule says so: as vgg_preprocess_decode has it, but not
 * where parts of the picture are wanted. */
static void reduced_jpegs(void **state) {
  (void)state;
  tree t = tree_make();
  enum { H = 240, W = 320 };
  uint8_t *pixels = malloc((size_t)H * W * 3), want[3 * SIDE * SIDE];
  scene_draw(7, H, W, pixels);
  scene_jpeg jpeg = scene_encode(pixels, H, W, 90, false);
  tree_file(&t, "a.jpg", jpeg.bytes, jpeg.size);
  tree_text(&t, "list.csv", "a.jpg,0\n");
  vgg_dataset *data = tree_must_open(&t, "", "list.csv", VGG_TRAIN, NULL);
  for (int c = 0; c < 3; c++) {
    const char *list = c == 2 ? "crop=1" : "";
    const vgg_preprocess rule = {.input = colour, .reduced_jpeg = c > 0};
    const loader_options options = {
        .data = data, .rule = rule, .batch = 1, .augment = parse(list, colour)};
    vgg_decode_options decode = vgg_preprocess_decode(&rule);
    if (c == 2) decode.shrunk_h = decode.shrunk_w = 0;
    vgg_image image;
    assert_int_equal(vgg_image_decode("a", jpeg.bytes, jpeg.size, &decode, &image, NULL), VGG_OK);
    assert_int_equal(image.height, c == 1 ? H / 4 : H); /* 60 rows are more than twice 16, 30 not */
    assert_int_equal(vgg_augment_apply(list, &rule, &image, 0, 0, 0, want, NULL), VGG_OK);
    assert_first(&options, want, sizeof want);
    vgg_image_free(&image);
  }
  vgg_dataset_close(data);
  free(jpeg.bytes);
  free(pixels);
  tree_remove(&t);
}

/* A picture that the camera took lying on its side stands, unless the rule ignores it; how the data
 * set was opened does not matter. */
static void orientations(void **state) {
  (void)state;
  static const uint8_t exif[] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0,    0, 'I', 'I',
                                 42,   0,    8, 0,  0,   0,   1,   0,   0x12, 1, 3,   0,
                                 1,    0,    0, 0,  6,   0,   0,   0,   0,    0, 0,   0};
  enum { H = 16, W = 32 };
  tree t = tree_make();
  uint8_t pixels[H * W * 3], file[16384], want[3 * SIDE * SIDE];
  scene_draw(7, H, W, pixels);
  scene_jpeg jpeg = scene_encode(pixels, H, W, 90, false);
  assert_true(jpeg.size + sizeof exif <= sizeof file);
  memcpy(file, jpeg.bytes, 2);
  memcpy(file + 2, exif, sizeof exif);
  memcpy(file + 2 + sizeof exif, jpeg.bytes + 2, jpeg.size - 2);
  tree_file(&t, "a.jpg", file, jpeg.size + sizeof exif);
  tree_text(&t, "list.csv", "a.jpg,0\n");
  vgg_dataset *data = tree_must_open(&t, "", "list.csv", VGG_TRAIN, NULL);
  for (int ignore = 0; ignore < 2; ignore++) {
    const vgg_preprocess rule = {.input = colour, .ignore_exif = ignore};
    const loader_options options = {.data = data, .rule = rule, .batch = 1};
    const vgg_decode_options decode = {.ignore_exif = ignore};
    vgg_image image;
    assert_int_equal(vgg_image_decode("a", file, jpeg.size + sizeof exif, &decode, &image, NULL),
                     VGG_OK);
    assert_int_equal(image.height, ignore ? H : W);
    assert_int_equal(vgg_preprocess_apply(&rule, &image, want, NULL), VGG_OK);
    assert_first(&options, want, sizeof want);
    vgg_image_free(&image);
  }
  vgg_dataset_close(data);
  free(jpeg.bytes);
  tree_remove(&t);
}

/* A part of the picture is resized as Pillow's resize with a box does it. */
static void a_crop_is_a_box(void **state) {
  (void)state;
  uint8_t pixels[40 * 50], made[SIDE * SIDE], want[SIDE * SIDE];
  for (int i = 0; i < 40 * 50; i++) pixels[i] = (uint8_t)(i * 31 + i / 50 * 7);
  const vgg_image image = {1, 40, 50, pixels};
  const vgg_preprocess rule = {.input = grey};
  const augmentation a = parse("crop", grey);
  for (uint32_t i = 0; i < 20; i++) {
    const preprocess_part p = part_of(&a, i, 40, 50);
    resizer *r;
    assert_int_equal(resizer_create_box(p.rows, p.columns, 1, SIDE, SIDE, &r, NULL), VGG_OK);
    resizer_run(r, pixels, want);
    resizer_close(r);
    assert_int_equal(vgg_augment_apply("crop", &rule, &image, 9, 2, i, made, NULL), VGG_OK);
    assert_memory_equal(made, want, sizeof made);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words),          cmocka_unit_test(words_that_are_refused),
      cmocka_unit_test(crops),          cmocka_unit_test(jitters),
      cmocka_unit_test(flips_and_pads), cmocka_unit_test(colours),
      cmocka_unit_test(mixes),          cmocka_unit_test(changes_are_independent),
      cmocka_unit_test(batches),        cmocka_unit_test(a_crop_is_a_box),
      cmocka_unit_test(reduced_jpegs),  cmocka_unit_test(orientations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
