/* SPDX-License-Identifier: Apache-2.0
 *
 * Nets of every depth learn with the recipe that they get without a word: on Fashion-MNIST the loss
 * leaves that of guessing, ln(10), within a few hundred steps. Narrow nets, so that it takes
 * minutes. The tutorial's recipe is for pictures of 224x224, and slow to begin on small ones.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tiny.h"

enum { STEPS = 500, WINDOW = 20 };

/* The mean loss of the newest steps, of the run as far as it has come. */
typedef struct watch {
  double newest[WINDOW];
  uint64_t below; /* the first step whose window lies below the bound; 0: none */
} watch;

static bool see(const vgg_train_state *s, void *user) {
  watch *w = user;
  double sum = 0;
  if (s->when != VGG_AFTER_STEP) return false;
  w->newest[s->step % WINDOW] = s->step_loss;
  for (int i = 0; i < WINDOW; i++) sum += w->newest[i];
  if (s->step >= WINDOW && sum / WINDOW < log(10) - 0.1) w->below = s->step;
  return w->below > 0;
}

static void learns(const char *net, const char *recipe, const vgg_arch_options *narrow) {
  tiny t; /* for its directory */
  tiny_open(&t, 1, 1);
  vgg_dataset *train;
  vgg_error err;
  if (vgg_dataset_open("fashion-mnist", VGG_TRAIN, 0, &train, &err) != VGG_OK)
    fail_msg("%s", err.message);
  vgg_arch *arch;
  assert_int_equal(vgg_arch_from_text(net, narrow, &arch, NULL), VGG_OK);
  const vgg_train_options options = {.max_steps = STEPS, .out = tiny_path(&t, net)};
  vgg_trainer *trainer;
  if (vgg_trainer_create(arch, train, NULL, &options, &trainer, &err) != VGG_OK)
    fail_msg("%s: %s", net, err.message);
  assert_string_equal(vgg_trainer_options(trainer)->recipe, recipe);
  watch w = {0};
  vgg_train_state final;
  const vgg_status status = vgg_trainer_run(trainer, see, &w, &final, &err);
  assert_true(status == VGG_OK || status == VGG_STOPPED);
  printf("%-9s %-12s below ln(10) - 0.1 after %d steps\n", net, recipe, (int)w.below);
  if (w.below == 0) fail_msg("%s: the loss is %g after %d steps", net, final.step_loss, STEPS);
  vgg_trainer_close(trainer);
  vgg_arch_close(arch);
  vgg_dataset_close(train);
  tiny_close(&t);
}

static const vgg_arch_options tutorial = {.ratio = 4, .input = {1, 64, 64}};
static const vgg_arch_options narrow = {.ratio = 8, .input = {1, 32, 32}, .hidden = 512};

static void every_depth(void **state) {
  (void)state;
  learns("vgg11", "d2l", &tutorial);
  learns("vgg13", "torchvision", &narrow);
  learns("vgg16", "torchvision", &narrow);
  learns("vgg19", "torchvision", &narrow);
}

static void with_batch_norm(void **state) {
  (void)state;
  learns("vgg11_bn", "torchvision", &narrow);
  learns("vgg19_bn", "torchvision", &narrow);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_depth),
      cmocka_unit_test(with_batch_norm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
