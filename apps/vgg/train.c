/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "progress.h"

static const char help[] =
    "vgg train: trains a net; alone it is the tutorial's run (vgg11 at ratio 4)\n"
    "\n"
    "  vgg train --arch vgg11 --data pictures --out runs/mine\n"
    "  vgg train --data pictures --from vgg16-397923af.pth\n"
    "\n"
    "  --arch --ratio --input --classes --hidden --dropout --bn --lrn --head   as in\n"
    "        describe; --arch makes the ratio 1; classes and colour are the data's\n"
    "  --data SET        folder, list or set as in vgg data [fashion-mnist]; with\n"
    "                    --class-order X, --exif apply|ignore, --limit N (the first),\n"
    "                    --test-limit N, --max-bad X (share of unusable ones, .01)\n"
    "  --val-split X     set this share of the training set aside to choose by\n"
    "  --channels luma|replicate|sum-filters   grey pictures into a colour net, or\n"
    "                    with --from the net made grey;  --jpeg exact|reduced  speed\n"
    "  --augment LIST    random changes of training pictures, as in vgg data\n"
    "  --from FILE       start from its weights; its net, unless --arch is given\n"
    "  --last-layer new|keep   of FILE [new where the data's classes are others]\n"
    "  --recipe NAME     one of `vgg recipe`; what it fixes has options: --epochs,\n"
    "                    --batch, --lr, --optimizer ... see vgg recipe --help\n"
    "  --seed N          of weights, order, dropout;  --max-steps N  end after those\n"
    "  --no-eval         nothing held out;  --out DIR  a new run directory\n"
    "  --resume RUN      go on where RUN stopped;  --save-every S  save so often;\n"
    "  --json            objects for programs instead of the lines\n"
    "  --device --backend --precision --winograd --isa --threads   as in describe\n"
    "Ctrl-C finishes the step, saves and says how to go on.\n";

typedef struct train_args {
  net_args net;
  data_args data;
  run_args run;
  recipe_args chosen;
  const char *out, *resume, *channels, *jpeg;
  double save_every, max_bad;
  uint64_t max_steps;
  bool seed_given, no_eval, json;
} train_args;

/* ---- signals -------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_signal;

/* The first asks the run to stop, the second ends the program at once. */
static void on_signal(int number) {
  if (stop_signal != 0) _exit(128 + number);
  stop_signal = number;
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  /* A closed terminal stops a run as well, unless nohup said otherwise. */
  if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
    sigaction(SIGHUP, &action, NULL);
  }
  /* A reader that went away must not end a run; main reports results that did not arrive. */
  signal(SIGPIPE, SIG_IGN);
}

/* Who watches a run: a person, or with --json a program. */
typedef struct watch {
  progress progress;
  bool json;
  size_t num_bad[VGG_NUM_SPLITS]; /* pictures left out that were named */
  size_t num_notes;               /* of the trainer that were printed */
} watch;

static const char *held_name(const vgg_train_state *s) {
  return s->held == VGG_VALIDATION ? "val" : "test";
}

/* A number that JSON has: NaN, "not measured", becomes null. */
static void print_number(const char *name, double x) {
  if (isfinite(x))
    printf(",\"%s\":%.9g", name, x);
  else
    printf(",\"%s\":null", name);
}

/* The same, called "test_loss" or "val_loss". */
static void print_held(const vgg_train_state *s, const char *name, double x) {
  char whole[24];
  snprintf(whole, sizeof whole, "%s_%s", held_name(s), name);
  print_number(whole, x);
}

/* One line of JSON; seconds and images are sums over the whole run. */
static void print_event(const char *event, const vgg_train_state *s) {
  printf("{\"event\":\"%s\",\"epoch\":%d,\"epochs\":%d,\"step\":%" PRIu64 ",\"steps\":%" PRIu64
         ",\"images\":%" PRIu64,
         event, s->epoch + 1, s->epochs, s->step, s->steps, s->images);
  print_number("lr", s->lr);
  print_number("step_loss", s->step_loss);
  print_number("train_loss", s->train_loss);
  print_number("train_acc", s->train_acc);
  print_held(s, "loss", s->held_loss);
  print_held(s, "acc", s->held_acc);
  print_number("compute_seconds", s->compute_seconds);
  print_number("data_wait_seconds", s->data_wait_seconds);
  print_number("eval_seconds", s->eval_seconds);
  print_number("wall_seconds", s->wall_seconds);
  print_number("examples_per_sec", s->examples_per_sec);
  print_number("images_per_sec", s->images_per_sec);
  puts("}");
  fflush(stdout);
}

/* What the trainer has to say, once. */
static void print_trainer_notes(watch *w) {
  const char *line;
  while ((line = vgg_trainer_note(w->progress.trainer, w->num_notes)) != NULL) {
    progress_clear(&w->progress);
    cli_note("%s", line);
    w->num_notes++;
  }
}

/* Names every picture that was left out, once. */
static void name_bad(watch *w) {
  for (int s = 0; s < VGG_NUM_SPLITS; s++) {
    const char *line;
    while ((line = vgg_trainer_bad(w->progress.trainer, (vgg_split)s, w->num_bad[s])) != NULL) {
      progress_clear(&w->progress);
      cli_note("left out: %s", line);
      w->num_bad[s]++;
    }
  }
}

static bool after(const vgg_train_state *state, void *user) {
  watch *w = user;
  name_bad(w);
  print_trainer_notes(w);
  if (!w->json)
    progress_show(&w->progress, state);
  else if (state->when != VGG_DURING_EVAL)
    print_event(state->when == VGG_AFTER_STEP ? "step" : "epoch", state);
  return stop_signal != 0;
}

/* ---- results -------------------------------------------------------------------------------- */

static bool run_has(const char *dir, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return access(path, F_OK) == 0;
}

static void print_files(const char *dir) {
  cli_note("curves: %s/curves.svg%s", dir, run_has(dir, "curves.png") ? " and curves.png" : "");
  cli_note("models: %s/last.safetensors%s", dir,
           run_has(dir, "best.safetensors") ? " and best.safetensors" : "");
}

/* The tutorial's last lines. */
static void print_results(const vgg_train_state *s, const char *device) {
  printf("loss %.3f, train acc %.3f", s->train_loss, s->train_acc);
  if (isfinite(s->held_acc)) printf(", %s acc %.3f", held_name(s), s->held_acc);
  printf("\n%.1f examples/sec on %s\n", s->examples_per_sec, device);
  fflush(stdout);
  double share = s->wall_seconds > 0 ? s->data_wait_seconds / s->wall_seconds : 0;
  cli_note("end to end %.1f images/s; %.1f%% of the time went into waiting for data",
           s->images_per_sec, 100 * share);
}

/* A word as the shell reads it back. */
static void print_quoted(const char *word) {
  static const char plain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,/:@%";
  if (*word != '\0' && word[strspn(word, plain)] == '\0') {
    fputs(word, stderr);
    return;
  }
  fputc('\'', stderr);
  for (; *word != '\0'; word++) fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stderr);
  fputc('\'', stderr);
}

static int report_stop(const vgg_train_state *s, const char *dir) {
  cli_note("stopped after step %" PRIu64 " of %" PRIu64 " and saved; go on with", s->step,
           s->steps);
  fputs("  ", stderr);
  print_quoted(cli_program);
  fputs(" train --resume ", stderr);
  print_quoted(dir);
  fputc('\n', stderr);
  return 128 + stop_signal;
}

/* ---- command -------------------------------------------------------------------------------- */

static bool read_args(train_args *a, int argc, char **argv, int *code) {
  opt_list list = {.help = help};
  net_args_options(&a->net, &list);
  data_args_options(&a->data, &list);
  run_args_options(&a->run, &list);
  recipe_args_options(&a->chosen, &list);
  opt_given(&list, &a->seed_given);
  opt_whole(&list, "max-steps", 1, UINT64_MAX, &a->max_steps);
  opt_flag(&list, "no-eval", &a->no_eval);
  opt_flag(&list, "json", &a->json);
  opt_real(&list, "max-bad", true, INFINITY, &a->max_bad);
  opt_choice(&list, "channels", "luma|replicate|sum-filters", &a->channels);
  opt_choice(&list, "jpeg", "exact|reduced", &a->jpeg);
  opt_text(&list, "out", &a->out);
  opt_text(&list, "resume", &a->resume);
  opt_real(&list, "save-every", false, INFINITY, &a->save_every);
  if (!opt_parse(&list, argc, argv, code)) return false;
  *code = CLI_USAGE;
  if (a->chosen.options.from != NULL && a->net.arch == NULL && a->net.any_given) {
    cli_fail(CLI_USAGE, "--from: found an option of the net, but not --arch: it keeps its net");
    return false;
  }
  if (a->resume != NULL && (a->net.any_given || a->out != NULL)) {
    cli_fail(CLI_USAGE, "--resume: found %s as well, but a run keeps its net and its directory",
             a->out != NULL ? "--out" : "an option of the net");
    return false;
  }
  if (a->no_eval && a->data.val_split != 0) {
    cli_fail(CLI_USAGE, "found --no-eval and --val-split, wanted one of them");
    return false;
  }
  return true;
}

static bool is_word(const char *given, const char *word) {
  return given != NULL && strcmp(given, word) == 0;
}

static vgg_train_options train_options(const train_args *a, const vgg_run_data *data) {
  vgg_train_options options = recipe_args_get(&a->chosen);
  const char *optimizer = options.run.optimizer;
  options.run = run_args_get(&a->run);
  options.run.optimizer = optimizer;
  options.max_steps = a->max_steps;
  options.save_seconds = a->save_every;
  options.max_bad = a->max_bad == 0 ? -1 : a->max_bad;
  options.out = a->out;
  options.data = data;
  if (is_word(a->channels, "replicate")) options.channels = VGG_CHANNELS_REPLICATE;
  options.sum_filters = is_word(a->channels, "sum-filters");
  options.reduced_jpeg = is_word(a->jpeg, "reduced");
  return options;
}

/* What a run needs while it lasts. */
typedef struct job {
  vgg_arch *arch;
  vgg_run_data data;
  vgg_dataset *train, *held;
  vgg_trainer *trainer;
} job;

static void print_notes(const vgg_dataset *data) {
  for (size_t i = 0; data != NULL && vgg_dataset_note(data, i) != NULL; i++)
    cli_note("note: %s", vgg_dataset_note(data, i));
}

static vgg_status open_data(job *j, vgg_error *err) {
  const vgg_status status = vgg_run_data_open(&j->data, &j->train, &j->held, err);
  if (status != VGG_OK) return status;
  print_notes(j->train);
  print_notes(j->held);
  return VGG_OK;
}

static vgg_status make_arch(job *j, const net_args *given, vgg_arch_options net, vgg_error *err) {
  vgg_arch_close(j->arch);
  j->arch = NULL;
  if (given->arch == NULL && net.ratio == 0) net.ratio = 4;
  return vgg_arch_from_text(given->arch != NULL ? given->arch : "vgg11", &net, &j->arch, err);
}

/* Classes and colour that nobody gave are the data's. */
static vgg_status fit_arch(job *j, const net_args *given, vgg_error *err) {
  vgg_arch_options net = net_args_get(given);
  if (net.classes == 0) net.classes = vgg_dataset_classes(j->train);
  if (net.input.c == 0) {
    net.input = vgg_arch_get_options(j->arch)->input;
    net.input.c = vgg_dataset_shape(j->train).c;
  }
  return make_arch(j, given, net, err);
}

static vgg_status start(job *j, train_args *a, vgg_error *err) {
  const vgg_train_options *chosen = &a->chosen.options;
  const bool own_net = a->net.arch != NULL || chosen->from == NULL; /* else that of the file */
  vgg_status status = VGG_OK;
  if (own_net) net_args_of_recipe(&a->net, chosen->recipe);
  if (own_net) status = make_arch(j, &a->net, net_args_get(&a->net), err);
  if (status == VGG_OK) status = data_args_get(&a->data, &j->data, err);
  if (status != VGG_OK) return status;
  const char *recipe = chosen->recipe;
  if (recipe == NULL) recipe = vgg_recipe_default(j->arch, chosen->from != NULL);
  j->data.seed = chosen->seed;
  status = cli_settle(&j->data, a->no_eval, recipe, err);
  if (status == VGG_OK) status = open_data(j, err);
  if (status == VGG_OK && own_net) status = fit_arch(j, &a->net, err);
  if (status != VGG_OK) return status;
  vgg_train_options options = train_options(a, &j->data);
  status = vgg_trainer_create(j->arch, j->train, j->held, &options, &j->trainer, err);
  if (status == VGG_OK && a->channels == NULL)
    cli_note_luma(vgg_trainer_model(j->trainer), j->train);
  return status;
}

static vgg_status resume(job *j, const train_args *a, vgg_error *err) {
  vgg_status status = vgg_run_data_read(a->resume, &j->data, err);
  if (status == VGG_OK) status = data_args_get(&a->data, &j->data, err);
  if (status == VGG_OK) status = open_data(j, err);
  if (status != VGG_OK) return status;
  vgg_train_options options = train_options(a, &j->data);
  return vgg_trainer_resume(a->resume, j->train, j->held, &options, &j->trainer, err);
}

static void close_run(job *j) {
  vgg_trainer_close(j->trainer);
  vgg_dataset_close(j->train);
  vgg_dataset_close(j->held);
  vgg_arch_close(j->arch);
  j->trainer = NULL;
  j->train = j->held = NULL;
  j->arch = NULL;
}

/* ---- the test set, once ---------------------------------------------------------------------- */

static bool stopped(void *user) {
  (void)user;
  return stop_signal != 0;
}

static void print_test(const vgg_train_state *s, const vgg_evaluation *e, bool json) {
  const double accuracy = (double)e->correct / (double)e->total;
  const bool plain = strcmp(e->views, "none") == 0;
  for (size_t i = 0; i < e->num_bad; i++) cli_note("left out: %s", e->bad[i]);
  if (!json) {
    printf("best epoch %d: %s acc %.3f, test acc %.3f%s%s\n", s->best_epoch, held_name(s),
           s->best_acc, accuracy, plain ? "" : " by views ", plain ? "" : e->views);
  } else {
    printf("{\"event\":\"test\",\"best_epoch\":%d", s->best_epoch);
    print_held(s, "acc", s->best_acc);
    print_number("test_acc", accuracy);
    print_number("test_loss", e->loss);
    printf(",\"views\":\"%s\"}\n", e->views);
  }
  fflush(stdout);
}

/* Where a validation set chose the best model, the test set has seen nothing of the run so far. */
static int test_best(job *j, const train_args *a, const vgg_train_state *s) {
  char dir[4096];
  bool present[VGG_NUM_SPLITS] = {false};
  vgg_error err;
  if (s->held != VGG_VALIDATION || s->best_epoch == 0) return 0;
  if (vgg_dataset_splits(vgg_run_data_spec(&j->data), present, &err) != VGG_OK)
    return cli_error(&err);
  if (!present[VGG_TEST]) return 0;
  snprintf(dir, sizeof dir, "%s", vgg_trainer_dir(j->trainer));
  close_run(j); /* its memory is wanted now */
  const vgg_run_options options = run_args_get(&a->run);
  vgg_model *model = NULL;
  vgg_dataset *test = NULL;
  vgg_evaluation *found = NULL;
  vgg_status status = vgg_model_load(dir, &model, &err);
  if (status == VGG_OK) status = vgg_run_data_open_split(&j->data, VGG_TEST, 0, &test, &err);
  if (status == VGG_OK)
    status = vgg_evaluate_views(model, &options, test, NULL, stopped, NULL, &found, &err);
  int code = 0;
  if (status == VGG_OK)
    print_test(s, found, a->json);
  else
    code = status == VGG_STOPPED ? 128 + stop_signal : cli_error(&err);
  vgg_evaluation_free(found);
  vgg_dataset_close(test);
  vgg_model_close(model);
  return code;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void sum_up_bad(const watch *w, vgg_split held) {
  const size_t train = w->num_bad[VGG_TRAIN], others = w->num_bad[held];
  if (held == VGG_TRAIN && train > 0)
    cli_note("left out, as they cannot be used: %zu training pictures", train);
  else if (train + others > 0)
    cli_note("left out, as they cannot be used: %zu training and %zu %s pictures", train, others,
             vgg_split_name(held));
}

static int run(job *j, const train_args *a) {
  const char *device = vgg_trainer_options(j->trainer)->run.device;
  if (!a->json) printf("training on %s\n", device);
  fflush(stdout);
  watch w = {.json = a->json};
  progress_begin(&w.progress, j->trainer);
  print_trainer_notes(&w);
  vgg_train_state final;
  vgg_error err;
  vgg_status status = vgg_trainer_run(j->trainer, after, &w, &final, &err);
  progress_clear(&w.progress);
  name_bad(&w);
  print_trainer_notes(&w);
  sum_up_bad(&w, j->data.held);
  if (a->json && (status == VGG_OK || status == VGG_STOPPED))
    print_event(status == VGG_OK ? "end" : "stop", &final);
  if (status == VGG_STOPPED) return report_stop(&final, vgg_trainer_dir(j->trainer));
  if (status != VGG_OK) return cli_error(&err);
  if (!a->json) print_results(&final, device);
  print_files(vgg_trainer_dir(j->trainer));
  return test_best(j, a, &final);
}

int cmd_train(int argc, char **argv) {
  train_args a = {.max_bad = .01};
  int code;
  if (!read_args(&a, argc, argv, &code)) return code;
  catch_signals();
  job j = {0};
  vgg_error err;
  vgg_status status = a.resume != NULL ? resume(&j, &a, &err) : start(&j, &a, &err);
  if (status != VGG_OK) {
    code = cli_error(&err);
  } else if (a.seed_given && vgg_trainer_options(j.trainer)->seed != a.chosen.options.seed) {
    code = cli_fail(CLI_USAGE, "--seed: found %" PRIu64 ", but the run has %" PRIu64,
                    a.chosen.options.seed, vgg_trainer_options(j.trainer)->seed);
  } else if (a.no_eval && j.data.held != VGG_TRAIN) {
    code = cli_fail(CLI_USAGE, "--no-eval: the run is evaluated on its %s set and cannot change it",
                    vgg_split_name(j.data.held));
  } else {
    code = run(&j, &a);
  }
  close_run(&j);
  return code;
}
