/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds: the rows of frozen layers are what these layers give, and batches of rows those of the
 * loader.
 */
#include "train/feed.h"

#include <string.h>

#include "base/memory.h"
#include "tiny.h"

enum { PICTURES = 22, EPOCHS = 4, CUT = 3 }; /* layer 3: the second convolution */

typedef struct side {
  float *masters;
  engine *frozen, *engine;
  feed *feed;
} side;

static engine *part_of(const tiny *t, float *masters, plan_use use, plan_part part) {
  const vgg_run_options run = {.backend = "reference", .precision = "fp32", .batch = TINY_BATCH};
  plan *p;
  engine *e;
  assert_int_equal(plan_create_part(t->arch, &run, use, &part, &p, NULL), VGG_OK);
  assert_int_equal(engine_create(p, masters, &e, NULL), VGG_OK);
  return e;
}

static void open(side *s, const tiny *t, bool keep) {
  net_params params;
  net_params_of(t->arch, &params);
  s->masters = mem_alloc(params.floats * sizeof(float));
  net_init_d2l(&params, 1, s->masters);
  const int layers = vgg_arch_num_layers(t->arch);
  assert_int_equal(vgg_arch_layer(t->arch, CUT)->type, VGG_LAYER_CONV);
  s->frozen = part_of(t, s->masters, PLAN_INFERENCE, (plan_part){0, CUT, 0});
  s->engine = part_of(t, s->masters, PLAN_TRAINING, (plan_part){CUT, layers, CUT});
  const feed_options options = {.loader = {.data = t->train,
                                           .rule = {.input = {1, 8, 8}},
                                           .batch = TINY_BATCH,
                                           .shuffle = true,
                                           .seed = 9},
                                .frozen = s->frozen,
                                .engine = s->engine,
                                .keep = keep};
  assert_int_equal(feed_create(&options, &s->feed, NULL), VGG_OK);
}

static void close(side *s) {
  feed_close(s->feed);
  engine_close(s->frozen);
  engine_close(s->engine);
  mem_free(s->masters);
}

/* Same pictures, same labels, same values, whether or not rows are kept; an epoch that began in its
 * middle leaves gaps, which the next one fills. */
static void rows_are_what_the_layers_give(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, PICTURES, 4);
  side a, b;
  open(&a, &t, false);
  open(&b, &t, true);
  for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
    const size_t first = epoch == 0 || epoch == 3 ? 2 : 0;
    assert_int_equal(feed_start(a.feed, epoch, first, NULL), VGG_OK);
    assert_int_equal(feed_start(b.feed, epoch, first, NULL), VGG_OK);
    const loader_batch *x, *y;
    size_t batches = first;
    while (feed_next(a.feed, &x, NULL) == VGG_OK && x) {
      assert_int_equal(feed_next(b.feed, &y, NULL), VGG_OK);
      assert_non_null(y);
      assert_true((y->pixels == NULL) == (epoch >= 2)); /* the rows were complete after epoch 1 */
      assert_int_equal(x->n, y->n);
      assert_memory_equal(x->labels, y->labels, (size_t)x->n * sizeof *x->labels);
      assert_memory_equal(x->ids, y->ids, (size_t)x->n * sizeof *x->ids);
      for (int i = 0, n; i < x->n; i += n) { /* in two parts */
        n = i == 0 && x->n > 1 ? 1 : x->n - i;
        assert_int_equal(feed_put(a.feed, i, n, NULL), VGG_OK);
        assert_int_equal(feed_put(b.feed, i, n, NULL), VGG_OK);
        assert_memory_equal(engine_input(a.engine), engine_input(b.engine),
                            (size_t)n * engine_input_bytes(a.engine));
      }
      batches++;
    }
    assert_int_equal(feed_next(b.feed, &y, NULL), VGG_OK);
    assert_null(y);
    assert_int_equal(batches, feed_batches(b.feed));
  }
  close(&a);
  close(&b);
  tiny_close(&t);
}

/* Backward stops at the first layer that is trained, also where frozen ones run in every step. */
static void nothing_is_computed_for_frozen_layers(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 4, 4);
  const vgg_run_options run = {.backend = "reference", .optimizer = "momentum"};
  const plan_part part = {0, vgg_arch_num_layers(t.arch), CUT};
  plan *p;
  assert_int_equal(plan_create_part(t.arch, &run, PLAN_TRAINING, &part, &p, NULL), VGG_OK);
  assert_int_equal(p->first_trained, 1);
  assert_false(p->stages[1].impl->spec.need_dx);
  assert_true(p->stages[2].impl->spec.need_dx);
  assert_int_equal(p->trained_at, net_params_from(&p->params, CUT));
  assert_int_equal(p->optimizer, (p->params.floats - p->trained_at) * sizeof(float));
  for (int i = 0; i < p->params.count; i++)
    assert_true((p->gradient_at[i] == PLAN_NO_GRADIENT) == (p->params.at[i].layer < CUT));
  plan_close(p);
  tiny_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_what_the_layers_give),
      cmocka_unit_test(nothing_is_computed_for_frozen_layers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
