/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands share: options, messages, results.
 *
 * Results go to stdout, everything else to stderr. A command returns its exit code.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgg/vgg.h"

/* BSD's sysexits for what the program itself finds wrong. */
enum { CLI_USAGE = VGG_BAD_VALUE };

/* One command per row of commands.def. argv[0] is the command's name. */
typedef int (*cli_command)(int argc, char **argv);
#define COMMAND(name, summary) int cmd_##name(int argc, char **argv);
#include "commands.def"
#undef COMMAND

/* ---- messages ------------------------------------------------------------------------------- */

/* The program as it was called (argv[0]) and the command under way; set once by main. */
extern const char *cli_program, *cli_name;

/* One line on stderr. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One line on stderr that starts with "vgg COMMAND: ". Returns `code`. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for what the library reports; returns the error's exit code. */
int cli_error(const vgg_error *err);

/* ---- options -------------------------------------------------------------------------------- */

typedef enum opt_type { OPT_FLAG, OPT_TEXT, OPT_CHOICE, OPT_WHOLE, OPT_REAL, OPT_SHAPE } opt_type;

typedef struct opt {
  const char *name; /* without its dashes; one letter makes a short option */
  opt_type type;
  void *value;         /* bool, const char *, const char *, uint64_t, double, vgg_shape */
  const char *choices; /* "table|tutorial" */
  uint64_t min, max;   /* OPT_WHOLE */
  bool zero;           /* OPT_REAL: 0 is allowed */
  double below;
  bool *given; /* set when the option occurs; may be NULL */
} opt;

/* What a command takes, and after opt_parse its operands. */
typedef struct opt_list {
  opt rows[64];
  int count;
  const char *help;               /* the page that --help prints */
  const char *operand;            /* "MODEL"; NULL when the command takes none */
  int min_operands, max_operands; /* without `operand` both are 0 */
  char **operands;
  int num_operands;
} opt_list;

void opt_flag(opt_list *list, const char *name, bool *value);
void opt_text(opt_list *list, const char *name, const char **value);
void opt_choice(opt_list *list, const char *name, const char *choices, const char **value);
/* A whole number from min to max. */
void opt_whole(opt_list *list, const char *name, uint64_t min, uint64_t max, uint64_t *value);
/* A number above 0, or 0 itself when `zero`, and below `below`. */
void opt_real(opt_list *list, const char *name, bool zero, double below, double *value);
/* CxHxW, each at least 1. */
void opt_shape(opt_list *list, const char *name, vgg_shape *value);
/* `*given` becomes true when the option that was added last occurs. */
void opt_given(opt_list *list, bool *given);

/* Reads the command line. "--name value" and "--name=value" mean the same, the last of several
 * wins, "--" ends the options. Returns true when the command shall go on; otherwise all was said
 * (a message or the help page) and *code is the exit code. */
bool opt_parse(opt_list *list, int argc, char **argv, int *code);

/* Strict numbers: the whole of `s`, no blanks, no sign but a leading '-' for cli_real. */
bool cli_whole(const char *s, uint64_t min, uint64_t max, uint64_t *value);
bool cli_real(const char *s, double *value);

/* The one of `names` that is spelled most like `word`. */
const char *cli_closest(const char *word, const char *const *names, int count);

/* ---- options that several commands take ----------------------------------------------------- */

/* --arch --ratio --input --classes --hidden --dropout --bn --lrn --lrn-alpha --head */
typedef struct net_args {
  const char *arch;
  uint64_t ratio, classes, hidden; /* 0: not given */
  vgg_shape input;
  double dropout; /* NaN: not given */
  bool batch_norm, lrn;
  const char *lrn_alpha, *head; /* NULL: not given */
  bool any_given;
} net_args;
void net_args_options(net_args *net, opt_list *list);
/* "flatten", "adaptive" or "dense"; NULL: the default */
vgg_head cli_head(const char *name);
/* Where no net was named, that of the recipe (NULL: none), if it has one; options that were given
 * change it. */
void net_args_of_recipe(net_args *net, const char *recipe);
/* The options as the library takes them. */
vgg_arch_options net_args_get(const net_args *net);

/* --data --class-order --exif --limit --test-limit --val-split */
typedef struct data_args {
  const char *data, *class_order, *exif;
  uint64_t limit, test_limit;
  double val_split; /* 0: not given */
} data_args;
void data_args_options(data_args *data, opt_list *list);
/* Puts what was given into `out`, over what is there. Fails with VGG_BAD_VALUE. */
vgg_status data_args_get(const data_args *data, vgg_run_data *out, vgg_error *err);

/* Chooses the held-out set and says so when nobody asked for it; with `no_eval` there is none. */
vgg_status cli_settle(vgg_run_data *data, bool no_eval, const char *recipe, vgg_error *err);

/* "train", "test" or "val" */
vgg_split cli_split(const char *name);

/* --device --backend --precision --winograd --isa --threads --batch */
typedef struct run_args {
  const char *device, *backend, *precision, *winograd, *isa;
  uint64_t threads, batch;
} run_args;
void run_args_options(run_args *run, opt_list *list);
vgg_run_options run_args_get(const run_args *run);

/* Where a run starts and what a recipe settles, as `vgg recipe --help` lists it; --seed last. */
typedef struct recipe_args {
  vgg_train_options options; /* as given; 0 or NULL: not given */
  /* As read; NaN: not given. */
  double head_lr, weight_decay, clip_norm, warmup, ema, label_smoothing;
  uint64_t epochs, micro_batch, lr_step, patience, early_stop;
} recipe_args;
void recipe_args_options(recipe_args *recipe, opt_list *list);
/* The options as the library takes them: there 0 is not given, and none is negative. */
vgg_train_options recipe_args_get(const recipe_args *recipe);

/* Opens the data of `eval` and `predict`: what was given, else what the model was trained on.
 *   *split  "train", "test", "val", or NULL: then the first that there is of test, val, train,
 *           which is written
 *   limit   the first pictures; 0: all */
vgg_status cli_open_for_model(const vgg_model *model, const data_args *given, const char **split,
                              vgg_dataset **out, vgg_error *err);

/* Changes the model's rule if a word, luma or replicate, was given. */
void cli_set_channels(vgg_model *model, const char *word);

/* Says when the data's pictures lose their colours. */
void cli_note_luma(const vgg_model *model, const vgg_dataset *data);

/* ---- results -------------------------------------------------------------------------------- */

/* Prints a JSON document (a jansson value, which is freed) on one line. Returns the exit code;
 * NULL means that memory ran out while it was built. */
struct json_t;
int cli_json(struct json_t *document);
/* A string as JSON, bytes that are not UTF-8 replaced by '?'. */
struct json_t *cli_json_text(const char *s);
/* A number as JSON; null when it is not finite. */
struct json_t *cli_json_real(double x);

/* A run of layers, "conv1_1-pool1", in one of a few static buffers that are used in turn. */
const char *cli_layers(const vgg_arch *arch, int first, int count);
/* "12,345,678" in one of a few static buffers that are used in turn. */
const char *cli_grouped(uint64_t n);
/* "1.23 GiB" likewise. */
const char *cli_bytes(uint64_t n);
/* "1m05s" likewise; "?" when it is not finite. */
const char *cli_duration(double seconds);

#endif
