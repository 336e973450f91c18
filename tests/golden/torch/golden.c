/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole nets, as `auto` runs them and on every backend alone, against what PyTorch computes in
 * float64: logits, every gradient, ten losses of SGD. make_golden.py wrote the files and says what
 * is in them.
 *
 *   fp32  each tensor within 1e-5 of its largest magnitude; the bias of a convolution in front of a
 *         batch norm, whose gradient would be 0 but for rounding, of that of the norm's shift;
 *         nets with batch norms on native alone, which then takes F(4x4, 3x3) on maps smaller than
 *         its tile too, within 1.5 times of what that algorithm costs PyTorch itself in float32:
 *         1.3e-5 on vgg13_bn, vgg16_bn and vgg19_bn, as make_golden.py prints
 *   bf16  relative L2 error of each gradient, root mean square over 64 batches, at most 1.5 times
 *         that of PyTorch's autocast on the same batches
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "format/safetensors.h"
#include "net/engine.h"

enum { RATIO = 16, HIDDEN = 64, CLASSES = 10, STEPS = 10, BATCHES = 64, MAX_BACKENDS = 8 };
#define FP32_ERROR 1e-5
#define WINOGRAD_ERROR (1.5 * 1.3e-5)
#define BF16_RATIO 1.5

/* ---- what make_golden.py has as well --------------------------------------------------------- */

static uint64_t splitmix64(uint64_t x) {
  x = (x + 1) * 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

/* Grey pictures [n][side][side], each pixel enlarge x enlarge times; labels [n]. */
static void make_batch(uint64_t seed, int n, int side, int enlarge, uint8_t *pixels,
                       int32_t *labels) {
  const int small = side / enlarge;
  for (int i = 0; i < n * side * side; i++) {
    const int image = i / (side * side), row = i / side % side, column = i % side;
    const int at = (image * small + row / enlarge) * small + column / enlarge;
    pixels[i] = (uint8_t)(splitmix64((seed << 32) + (uint64_t)at) >> 56);
  }
  for (int i = 0; i < n; i++)
    labels[i] = (int32_t)(splitmix64((seed << 32) + (1u << 31) + (uint64_t)i) % CLASSES);
}

/* The scales and shifts of batch norms. */
static void set_spread(uint64_t seed, int tensor, size_t count, float *values) {
  const uint64_t start = (seed << 32) + (1u << 30) + ((uint64_t)tensor << 16);
  for (size_t i = 0; i < count; i++)
    values[i] = 1 + ((float)(splitmix64(start + i) >> 40) * 0x1p-24f - 0.5f);
}

/* ---- golden files ---------------------------------------------------------------------------- */

static st_file *open_golden(const char *name) {
  char path[512];
  snprintf(path, sizeof path, TEST_DATA "/golden/torch/%s.safetensors", name);
  st_file *file = NULL;
  vgg_error err;
  if (st_open(path, &file, &err) != VGG_OK) fail_msg("%s", err.message);
  return file;
}

static double metadata_number(const st_file *file, const char *key) {
  const char *text = st_metadata(file, key);
  if (!text) fail_msg("metadata %s: missing", key);
  return strtod(text, NULL);
}

static size_t golden_count(const st_tensor *t) {
  size_t count = 1;
  for (int d = 0; d < t->rank; d++) count *= (size_t)t->shape[d];
  return count;
}

static const st_tensor *find(const st_file *file, const char *name, size_t count) {
  const st_tensor *t = st_find(file, name);
  if (!t) fail_msg("%s: not in the golden file", name);
  assert_int_equal(golden_count(t), count);
  return t;
}

static double golden_at(const st_tensor *t, size_t i) {
  double wide;
  float narrow;
  if (strcmp(t->dtype, "F64") == 0) {
    memcpy(&wide, t->data + i * sizeof wide, sizeof wide);
    return wide;
  }
  assert_string_equal(t->dtype, "F32");
  memcpy(&narrow, t->data + i * sizeof narrow, sizeof narrow);
  return narrow;
}

/* ---- a net of a file on a backend ------------------------------------------------------------ */

typedef struct run {
  int n, side, enlarge;
  vgg_arch *arch;
  float *masters, *tensor; /* tensor: room for any one in file order */
  engine *engine;
  uint8_t *pixels;
  int32_t *labels;
} run;

/* What `--backend` can be: auto, then every backend; NULL after the last. */
static const char *backend_word(size_t i) {
  if (i == 0) return "auto";
  return backend_at(i - 1) ? backend_at(i - 1)->name : NULL;
}

static vgg_arch *open_arch(const st_file *file, int side) {
  const char *lrn = st_metadata(file, "lrn"), *head = st_metadata(file, "head");
  vgg_arch_options options = {.ratio = RATIO,
                              .hidden = HIDDEN,
                              .classes = CLASSES,
                              .input = {1, side, side},
                              .dropout = st_find(file, "mask.0") ? 0.5 : -1,
                              .batch_norm = st_metadata(file, "norm") != NULL};
  if (lrn) options.lrn = strcmp(lrn, "sum") == 0 ? VGG_LRN_SUM : VGG_LRN_MEAN;
  if (head) options.head = strcmp(head, "adaptive") == 0 ? VGG_HEAD_ADAPTIVE : VGG_HEAD_FLATTEN;
  vgg_arch *arch = NULL;
  vgg_error err;
  if (vgg_arch_from_text(st_metadata(file, "arch"), &options, &arch, &err) != VGG_OK)
    fail_msg("%s", err.message);
  return arch;
}

/* The engine is NULL when the backend alone cannot run such a net here, which is printed. */
static run run_create(const st_file *file, const char *who, const char *precision) {
  run r = {.n = (int)metadata_number(file, "batch"), .side = (int)metadata_number(file, "side")};
  r.enlarge = r.side == 224 ? 8 : 1;
  vgg_error err;
  r.arch = open_arch(file, r.side);
  const vgg_run_options how = {.backend = who,
                               .precision = precision,
                               .isa = getenv("VGG_TEST_ISA"),
                               .batch = r.n,
                               .threads = 1};
  plan *p;
  const vgg_status status = plan_create(r.arch, &how, PLAN_GRADIENTS, &p, &err);
  if (status == VGG_ABSENT) {
    print_message("%s\n", err.message);
    return r;
  }
  if (status != VGG_OK) fail_msg("%s", err.message);
  r.masters = mem_alloc(p->params.floats * sizeof *r.masters);
  r.tensor = mem_alloc(p->params.floats * sizeof *r.tensor);
  r.pixels = mem_alloc((size_t)r.n * r.side * r.side);
  r.labels = mem_alloc((size_t)r.n * sizeof *r.labels);
  assert_true(r.masters && r.tensor && r.pixels && r.labels);
  memset(r.masters, 0, p->params.floats * sizeof *r.masters);
  if (engine_create(p, r.masters, &r.engine, &err) != VGG_OK) fail_msg("%s", err.message);
  return r;
}

static void run_close(run *r) {
  engine_close(r->engine);
  mem_free(r->masters), mem_free(r->tensor), mem_free(r->pixels), mem_free(r->labels);
  vgg_arch_close(r->arch);
}

static const net_params *params_of(const run *r) { return &engine_plan(r->engine)->params; }

static void begin(run *r, uint64_t seed) {
  const net_params *params = params_of(r);
  net_init_d2l(params, seed, r->masters);
  for (int t = 0; t < params->count; t++)
    if (params->at[t].role == NET_SCALE || params->at[t].role == NET_SHIFT)
      set_spread(seed, t, params->at[t].count, r->masters + params->at[t].offset);
  assert_int_equal(engine_repack(r->engine, NULL), VGG_OK);
  make_batch(seed, r->n, r->side, r->enlarge, r->pixels, r->labels);
  engine_set_pixels(r->engine, r->n, r->pixels);
}

/* Forward, loss, backward; the mean loss. */
static double pass(run *r) {
  double sum;
  int correct;
  assert_int_equal(engine_forward(r->engine, r->n, true, NULL), VGG_OK);
  engine_loss(r->engine, r->n, r->labels, true, &sum, &correct);
  assert_int_equal(engine_backward(r->engine, r->n, NULL), VGG_OK);
  return sum / r->n;
}

/* Gradient t in file order, or the running statistic; lent until the next call. */
static const float *result(run *r, int t) {
  const float *gradient = engine_gradients(r->engine)[t];
  const net_param *p = &params_of(r)->at[t];
  net_param_to_file(p, gradient ? gradient : r->masters + p->offset, r->tensor);
  return r->tensor;
}

/* ---- fp32 ------------------------------------------------------------------------------------ */

static double largest_of(const st_tensor *t) {
  double largest = 0;
  for (size_t i = 0; i < golden_count(t); i++) largest = fmax(largest, fabs(golden_at(t, i)));
  return largest;
}

static double allowed_on(const char *who, const run *r) {
  const bool norms = vgg_arch_get_options(r->arch)->batch_norm;
  return norms && strcmp(who, "native") == 0 ? WINOGRAD_ERROR : FP32_ERROR;
}

/* The largest error as a part of the largest magnitude; ends the test above `allowed`. */
static double compare(const char *who, double allowed, const char *name, const st_tensor *want,
                      double largest, const float *got) {
  const size_t count = golden_count(want);
  double error = 0;
  for (size_t i = 0; i < count; i++) {
    const double e = fabs(got[i] - golden_at(want, i));
    if (!(e <= error)) error = e; /* NaN comes through */
  }
  if (!(error <= allowed * largest))
    fail_msg("%s on %s: off by %.3g of the largest magnitude, wanted %.1g", name, who,
             error / largest, allowed);
  return error / largest;
}

static void check_start(const st_file *file, const run *r) {
  const net_params *params = params_of(r);
  const st_tensor *sums = find(file, "weight_sums", (size_t)params->trained);
  for (int t = 0; t < params->trained; t++) {
    double sum = 0;
    const net_param *p = &params->at[t];
    for (size_t i = 0; i < p->count; i++) sum += r->masters[p->offset + i];
    if (!(fabs(sum - golden_at(sums, (size_t)t)) <= 1e-5 * sqrt((double)p->count)))
      fail_msg(
          "%s: net_init_d2l gives other weights than make_golden.py: their sum is %.9g, "
          "wanted %.9g",
          p->name, sum, golden_at(sums, (size_t)t));
  }
}

static void set_masks(const st_file *file, run *r) {
  for (int k = 0; engine_dropout_mask(r->engine, k); k++) {
    char name[16];
    snprintf(name, sizeof name, "mask.%d", k);
    const st_tensor *mask = find(file, name, (size_t)r->n * HIDDEN);
    memcpy(engine_dropout_mask(r->engine, k), mask->data, (size_t)mask->bytes);
  }
}

/* What tensor t is measured by. */
static double magnitude(const st_file *file, const run *r, int t) {
  const net_param *p = &params_of(r)->at[t], *next = p + 1;
  if (p->role == NET_BIAS && t + 2 < params_of(r)->trained && next->role == NET_SCALE) p += 2;
  return largest_of(find(file, p->name, p->count));
}

static void check_first_step(const st_file *file, const char *who, run *r, double *worst) {
  const net_params *params = params_of(r);
  const double allowed = allowed_on(who, r);
  const st_tensor *logits = find(file, "logits", (size_t)r->n * CLASSES);
  *worst = compare(who, allowed, "logits", logits, largest_of(logits), engine_logits(r->engine));
  if (!st_find(file, params->at[0].name)) return; /* a file at 224 */
  for (int t = 0; t < params->count; t++) {
    const net_param *p = &params->at[t];
    const st_tensor *want = find(file, p->name, p->count);
    *worst =
        fmax(*worst, compare(who, allowed, p->name, want, magnitude(file, r, t), result(r, t)));
  }
}

static void step_of_sgd(run *r, float lr) {
  for (int t = 0; t < params_of(r)->trained; t++) {
    const net_param *p = &params_of(r)->at[t];
    const float *g = engine_gradients(r->engine)[t];
    for (size_t i = 0; i < p->count; i++) r->masters[p->offset + i] -= lr * g[i];
  }
}

static void check_fp32(const char *name, const char *who) {
  st_file *file = open_golden(name);
  run r = run_create(file, who, "fp32");
  if (!r.engine) {
    assert_string_not_equal(who, "auto");
    assert_string_not_equal(who, "reference");
    run_close(&r);
    st_close(file);
    return;
  }
  const float lr = (float)metadata_number(file, "lr");
  float losses[STEPS];
  double worst = 0;
  begin(&r, (uint64_t)metadata_number(file, "seed"));
  check_start(file, &r);
  set_masks(file, &r);
  for (int step = 0; step < STEPS; step++) {
    losses[step] = (float)pass(&r);
    engine_update_statistics(r.engine, r.n);
    if (step == 0) check_first_step(file, who, &r, &worst);
    step_of_sgd(&r, lr);
    assert_int_equal(engine_repack(r.engine, NULL), VGG_OK);
  }
  const st_tensor *want = find(file, "losses", STEPS);
  const double loss = compare(who, allowed_on(who, &r), "losses", want, largest_of(want), losses);
  print_message("%s on %s: off by %.2g at most, losses by %.2g\n", name, who, worst, loss);
  run_close(&r);
  st_close(file);
}

static void fp32(void **state) {
  for (size_t i = 0; backend_word(i); i++) check_fp32(*state, backend_word(i));
}

/* ---- bf16 ------------------------------------------------------------------------------------ */

/* Adds the squared relative L2 error of every gradient of `got` to squares[t]. */
static void add_errors(run *truth, run *got, const st_tensor *norms, int row, double *squares) {
  const net_params *params = params_of(truth);
  for (int t = 0; t < params->count; t++) {
    const net_param *p = &params->at[t];
    const float *want = engine_gradients(truth->engine)[0] + p->offset;
    const float *have = engine_gradients(got->engine)[0] + p->offset;
    double norm = 0, error = 0;
    for (size_t i = 0; i < p->count; i++) {
      norm += (double)want[i] * want[i];
      error += ((double)have[i] - want[i]) * ((double)have[i] - want[i]);
    }
    const double golden = golden_at(norms, (size_t)row * params->count + t);
    if (!(fabs(sqrt(norm) - golden) <= 1e-4 * golden))
      fail_msg("%s, batch %d: the norm of the fp32 gradient is %.6g, PyTorch's is %.6g", p->name,
               row, sqrt(norm), golden);
    squares[t] += error / norm;
  }
}

typedef struct candidate {
  const char *who;
  run run;
  double squares[2 * NET_MAX_LAYERS]; /* summed over the batches, for each gradient */
} candidate;

static void judge(const char *name, const candidate *c, const st_tensor *limits) {
  const net_params *params = params_of(&c->run);
  double worst = 0;
  for (int t = 0; t < params->count; t++) {
    const double rms = sqrt(c->squares[t] / BATCHES), limit = golden_at(limits, (size_t)t);
    if (!(rms <= BF16_RATIO * limit))
      fail_msg("%s on %s: relative L2 error %.4g, autocast's is %.4g", params->at[t].name, c->who,
               rms, limit);
    worst = fmax(worst, rms / limit);
  }
  print_message("%s on %s: at most %.2f times autocast's error\n", name, c->who, worst);
}

/* fp32 on the reference backend stands for float64: the tests above tie them to 1e-5. */
static void bf16_gradients(void **state) {
  const char *name = *state;
  st_file *file = open_golden(name);
  run truth = run_create(file, "reference", "fp32");
  assert_non_null(truth.engine);
  candidate all[MAX_BACKENDS] = {0};
  size_t count = 0;
  for (; backend_word(count); count++) {
    assert_true(count < MAX_BACKENDS);
    all[count].who = backend_word(count);
    all[count].run = run_create(file, all[count].who, "bf16");
  }
  const size_t tensors = (size_t)params_of(&truth)->count;
  const st_tensor *norms = find(file, "norms", BATCHES * tensors);
  const st_tensor *limits = find(file, "autocast_rms", tensors);
  const char *seeds = st_metadata(file, "seed");
  for (int row = 0; row < BATCHES; row++) {
    char *end;
    const uint64_t seed = strtoull(seeds, &end, 10);
    seeds = end;
    begin(&truth, seed);
    pass(&truth);
    for (size_t i = 0; i < count; i++) {
      if (!all[i].run.engine) continue;
      begin(&all[i].run, seed);
      pass(&all[i].run);
      add_errors(&truth, &all[i].run, norms, row, all[i].squares);
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (all[i].run.engine) judge(name, &all[i], limits);
    run_close(&all[i].run);
  }
  run_close(&truth);
  st_close(file);
}

#define TEST(function, file) \
  { #function " " file, function, NULL, NULL, (void *)file }

/* VGG_TEST_ISA narrows the instruction set, as --isa does. */
int main(void) {
  cpu_isa isa;
  if (cpu_isa_from_name(getenv("VGG_TEST_ISA"), &isa, NULL) != VGG_OK) {
    printf("skipped: this processor has no %s\n", getenv("VGG_TEST_ISA"));
    return 0;
  }
  const struct CMUnitTest tests[] = {
      TEST(fp32, "vgg11"),
      TEST(fp32, "vgg11_dropout"),
      TEST(fp32, "alexnet"),
      TEST(fp32, "vgg11_lrn"),
      TEST(fp32, "vgg11_lrn_mean"),
      TEST(fp32, "alexnet_lrn"),
      TEST(fp32, "vgg13"),
      TEST(fp32, "vgg16"),
      TEST(fp32, "vgg16_1x1"),
      TEST(fp32, "vgg19"),
      TEST(fp32, "vgg11_bn"),
      TEST(fp32, "vgg13_bn"),
      TEST(fp32, "vgg16_bn"),
      TEST(fp32, "vgg19_bn"),
      TEST(fp32, "alexnet_bn"),
      TEST(fp32, "vgg11_224"),
      TEST(fp32, "alexnet_224"),
      TEST(bf16_gradients, "bf16_vgg11"),
      TEST(bf16_gradients, "bf16_alexnet"),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
