/* SPDX-License-Identifier: Apache-2.0
 *
 * What fine-tuning is for: a small net that has seen five of Fashion-MNIST's classes, then 200
 * pictures of the five others. The same recipe and steps from drawn weights stay at least ten
 * points behind. What comes of it when all layers learn, and the best run from drawn weights that
 * was found, are printed beside them: these classes are easy to tell apart, even for a net that has
 * only seen 200 pictures.
 */
#include <stdlib.h>
#include <string.h>

#include "data/idx_files.h"
#include "tiny.h"

enum { HALF = 5, FEW = 200 };
static const double POINTS = 0.1;

static const vgg_arch_options small = {
    .input = {1, 28, 28}, .hidden = 128, .classes = HALF, .batch_norm = true};

static void must(vgg_status status, const vgg_error *err) {
  if (status != VGG_OK) fail_msg("%s", err->message);
}

/* An IDX file of `rank` dims in front of room for `data` bytes. */
static bytes begin_idx(int rank, const uint32_t *dims, size_t data) {
  bytes b = idx_make(rank, dims, data, 1);
  b.size -= data;
  return b;
}

/* The first `limit` (0: all) pictures of classes first .. first + 4 of Fashion-MNIST's `split`, as
 * classes 0 .. 4 in IDX files under dir. */
static void write_half(const char *dir, const char *prefix, vgg_split split, int first,
                       size_t limit) {
  vgg_dataset *all;
  vgg_error err;
  must(vgg_dataset_open("fashion-mnist", split, 0, &all, &err), &err);
  const vgg_shape s = vgg_dataset_shape(all);
  const size_t pixels = (size_t)s.h * s.w, total = vgg_dataset_count(all);
  size_t *chosen = malloc(total * sizeof *chosen), count = 0;
  assert_non_null(chosen);
  for (size_t i = 0; i < total && (limit == 0 || count < limit); i++) {
    const int label = vgg_dataset_label(all, i);
    if (label >= first && label < first + HALF) chosen[count++] = i;
  }
  const uint32_t dims[] = {(uint32_t)count, (uint32_t)s.h, (uint32_t)s.w};
  bytes images = begin_idx(3, dims, count * pixels), labels = begin_idx(1, dims, count);
  for (size_t i = 0; i < count; i++) {
    memcpy(images.at + images.size, vgg_dataset_pixels(all, chosen[i]), pixels);
    images.size += pixels;
    labels.at[labels.size++] = (uint8_t)(vgg_dataset_label(all, chosen[i]) - first);
  }
  char name[48];
  snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
  file_put(dir, name, images);
  snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
  file_put(dir, name, labels);
  free(chosen);
  vgg_dataset_close(all);
}

static vgg_dataset *open_half(const char *dir, vgg_split split) {
  char spec[80];
  vgg_dataset *data;
  vgg_error err;
  snprintf(spec, sizeof spec, "idx:%s", dir);
  must(vgg_dataset_open(spec, split, 0, &data, &err), &err);
  return data;
}

/* Trains on dir's training set alone; the accuracy on its test set of the weights at the end. */
static double accuracy_after(const tiny *runs, const char *name, const char *dir,
                             vgg_train_options options) {
  vgg_dataset *train = open_half(dir, VGG_TRAIN), *test = open_half(dir, VGG_TEST);
  vgg_arch *arch = NULL;
  vgg_trainer *trainer;
  vgg_train_state end;
  vgg_evaluation *found;
  vgg_error err;
  if (!options.from) must(vgg_arch_from_text("1x16,1x32,2x64", &small, &arch, &err), &err);
  options.out = tiny_path(runs, name);
  must(vgg_trainer_create(arch, train, NULL, &options, &trainer, &err), &err);
  must(vgg_trainer_run(trainer, NULL, NULL, &end, &err), &err);
  must(vgg_evaluate_views(vgg_trainer_model(trainer), NULL, test, "none", NULL, NULL, &found, &err),
       &err);
  const double accuracy = (double)found->correct / (double)found->total;
  printf("%-28s %4d steps %5.1f s  test acc %.3f of %zu\n", name, (int)end.step, end.wall_seconds,
         accuracy, found->total);
  vgg_evaluation_free(found);
  vgg_trainer_close(trainer);
  vgg_arch_close(arch);
  vgg_dataset_close(test);
  vgg_dataset_close(train);
  return accuracy;
}

static void other_classes_from_few_pictures(void **state) {
  (void)state;
  tiny runs; /* for its directory */
  char known[64], other[64];
  tiny_open(&runs, 1, 1);
  folder_make(known);
  folder_make(other);
  write_half(known, "train", VGG_TRAIN, 0, 0);
  write_half(known, "t10k", VGG_TEST, 0, 0);
  write_half(other, "train", VGG_TRAIN, HALF, FEW);
  write_half(other, "t10k", VGG_TEST, HALF, 0);
  const double before = accuracy_after(&runs, "classes 0-4", known,
                                       (vgg_train_options){.recipe = "torchvision",
                                                           .epochs = 2,
                                                           .lr = .05,
                                                           .augment = "none",
                                                           .run = {.batch = 64}});
  assert_true(before > .85); /* else there is nothing to start from */
  const double tuned = accuracy_after(&runs, "from them", other,
                                      (vgg_train_options){.from = tiny_path(&runs, "classes 0-4")});
  const double frozen =
      accuracy_after(&runs, "drawn, frozen", other, (vgg_train_options){.recipe = "finetune"});
  accuracy_after(&runs, "from them, all learning", other,
                 (vgg_train_options){.from = tiny_path(&runs, "classes 0-4"), .freeze = "none"});
  accuracy_after(&runs, "drawn, all learning", other,
                 (vgg_train_options){.recipe = "finetune", .freeze = "none"});
  accuracy_after(&runs, "best found from drawn", other,
                 (vgg_train_options){
                     .recipe = "finetune", .freeze = "none", .epochs = 60, .label_smoothing = .1});
  assert_true(tuned >= frozen + POINTS);
  folder_remove(other);
  folder_remove(known);
  tiny_close(&runs);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(other_classes_from_few_pictures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
