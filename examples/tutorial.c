/* SPDX-License-Identifier: Apache-2.0
 *
 * The post, step by step: tutorial [MAX_STEPS [TEST_PICTURES]] */
#include <stdio.h>
#include <stdlib.h>
#include <vgg/vgg.h>

static vgg_error err;

static void must(vgg_status status) {
  if (status == VGG_OK) return;
  fprintf(stderr, "tutorial: %s\n", err.message);
  exit((int)status);
}

int main(int argc, char **argv) {
  /* vgg_block(num_convs, in_channels, out_channels); conv_arch; net = vgg(conv_arch) */
  const vgg_block_spec conv_arch[] = {vgg_block(1, 1, 64), vgg_block(1, 64, 128),
                                      vgg_block(2, 128, 256), vgg_block(2, 256, 512),
                                      vgg_block(2, 512, 512)};
  vgg_arch *net, *small_net;
  must(vgg_arch_from_blocks(conv_arch, 5, NULL, &net, &err));
  for (int i = 0; i < vgg_arch_num_modules(net); i++) { /* X = randn(1, 1, 224, 224) */
    vgg_module blk = vgg_arch_module(net, i);
    printf("%s output shape:\t torch.Size([%d, %d", blk.class_name, blk.dims[0], blk.dims[1]);
    if (blk.rank == 4) printf(", %d, %d", blk.dims[2], blk.dims[3]);
    printf("])\n");
  }
  /* ratio = 4; lr, num_epochs, batch_size = 0.05, 10, 128; train_ch6(...) */
  vgg_dataset *train, *test;
  size_t test_limit = argc > 2 ? (size_t)atol(argv[2]) : 0;
  must(vgg_dataset_open("fashion-mnist", VGG_TRAIN, 0, &train, &err));
  must(vgg_dataset_open("fashion-mnist", VGG_TEST, test_limit, &test, &err));
  must(vgg_arch_from_blocks(conv_arch, 5, &(vgg_arch_options){.ratio = 4}, &small_net, &err));
  vgg_train_options options = {.lr = 0.05, .epochs = 10, .run = {.batch = 128}};
  if (argc > 1) options.max_steps = (uint64_t)atol(argv[1]);
  vgg_trainer *trainer;
  vgg_train_state end;
  must(vgg_trainer_create(small_net, train, test, &options, &trainer, &err));
  must(vgg_trainer_run(trainer, NULL, NULL, &end, &err));
  printf("loss %.3f, train acc %.3f\n", end.train_loss, end.train_acc);
  /* evaluate_accuracy_gpu(net, test_iter), then one picture of it */
  vgg_predictor *predictor;
  vgg_evaluation *found;
  const vgg_model *model = vgg_trainer_model(trainer);
  must(vgg_predictor_create(model, NULL, &predictor, &err));
  must(vgg_evaluate(predictor, test, NULL, NULL, &found, &err));
  printf("test acc %.3f\n", (double)found->correct / (double)found->total);
  static uint8_t pixels[224 * 224];
  float y_hat[10];
  must(vgg_resize_bilinear(vgg_dataset_pixels(test, 0), 28, 28, 1, pixels, 224, 224, &err));
  must(vgg_predictor_logits(predictor, 1, pixels, y_hat, &err));
  vgg_softmax(y_hat, 10, y_hat);
  int best = 0;
  for (int k = 1; k < 10; k++) best = y_hat[k] > y_hat[best] ? k : best;
  printf("picture 0: %s %.3f\n", vgg_model_class_name(model, best), (double)y_hat[best]);
  return 0; /* all is freed with the process; a program that goes on closes what it opened */
}
