/* SPDX-License-Identifier: Apache-2.0
 *
 * Training: the tutorial's train_ch6 as an object that can be stopped and resumed at any step.
 *
 * A run lives in a directory of its own:
 *
 *   config.json            all that was asked for, what auto chose, each stage's kernels
 *   metrics.jsonl, .csv    a record for each point of the curves
 *   curves.svg, .png       replaced whole at every point (.png where the build has cairo)
 *   last.safetensors       model and state: written before the first step, at each epoch's end
 *                          (as far as that takes no more than a tenth of the time), every
 *                          save_seconds and when the run stops
 *   best.safetensors       weights (with ema their average) with the highest accuracy on the
 *                          held-out set, the first on ties; without evaluation, or before the
 *                          first one, the newest that an epoch or the run ended with
 *
 * Model files are replaced atomically: after a crash the old or the new one is there, whole.
 */
#ifndef VGG_TRAIN_H
#define VGG_TRAIN_H

#include <stdbool.h>

#include "vgg/data.h"
#include "vgg/model.h"
#include "vgg/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which pictures a run learns from, and the held-out set, which it is evaluated on after each epoch
 * and which chooses best.safetensors. config.json and the model file keep it. Zero or "" means the
 * default, in brackets. */
typedef struct vgg_run_data {
  char spec[512];       /* as vgg_dataset_open_with has it [fashion-mnist] */
  char class_order[16]; /* as vgg_data_options has it [bytes] */
  bool ignore_exif;     /* [EXIF orientations are applied] */
  size_t limit;         /* the first pictures of the training set, before it is divided [all] */
  size_t test_limit;    /* the first pictures of the held-out set [all] */
  double val_split;     /* this share of the training set is the validation set [none is] */
  uint64_t seed;        /* of that division: the run's own [0] */
  vgg_split held;       /* the held-out set; VGG_TRAIN: there is none */
} vgg_run_data;

/* "fashion-mnist" for "". Lent. */
VGG_API const char *vgg_run_data_spec(const vgg_run_data *data);

/* Chooses the held-out set: the validation set, if val_split or the data give one; else with the
 * tutorial's recipe the test set, as the tutorial does; else val_split becomes .1 and *unasked
 * true.
 *   recipe  of the run; NULL: d2l
 * Fails with VGG_BAD_VALUE (unknown recipe or data; val_split for data with a validation set),
 * VGG_NO_INPUT. */
VGG_API vgg_status vgg_run_data_settle(vgg_run_data *data, const char *recipe, bool *unasked,
                                       vgg_error *err);

/* Opens both sets; *held NULL where there is none. Close both with vgg_dataset_close. Fails as
 * vgg_dataset_open_with and vgg_dataset_divide. */
VGG_API vgg_status vgg_run_data_open(const vgg_run_data *data, vgg_dataset **train,
                                     vgg_dataset **held, vgg_error *err);
/* Opens one split, the first `limit` (0: all) of it: of a divided training set, its parts. */
VGG_API vgg_status vgg_run_data_open_split(const vgg_run_data *data, vgg_split split, size_t limit,
                                           vgg_dataset **out, vgg_error *err);

/* What a model was trained on, as its recipe has it. */
VGG_API void vgg_run_data_of_model(const vgg_model *model, vgg_run_data *out);

/* What to train, and how. Zero or NULL means the recipe's own value for the net, given in brackets
 * for d2l; a negative number means none. Of every recipe: mean cross-entropy, shuffled batches, the
 * short last batch kept. docs/commands.md writes the rules of run.optimizer out. */
typedef struct vgg_train_options {
  const char *recipe; /* see vgg_recipe_at [that of vgg_recipe_default] */
  /* Where the weights are from: a file or run directory as in vgg_model_load [drawn]. Without an
   * architecture the net is that of the file, and its last layer is replaced by a new one where
   * the data's classes are others. With another architecture than the file's, the file's first four
   * convolutions and its linear layers give their weights to the layers of the same names, as
   * Simonyan & Zisserman started their deeper nets. */
  const char *from;
  const char *head;   /* the last layer of `from`: auto, new, keep [auto] */
  const char *init;   /* of drawn weights: xavier, he, torchvision, gauss [xavier] */
  const char *freeze; /* layers up to this one keep their weights: none, features, a name [none] */
  double lr;          /* learning rate, > 0 [.05; AlexNet .01; a tenth of it with momentum, a
                         fiftieth with adamw] */
  double head_lr;     /* that of the last layer [lr] */
  const char *schedule;      /* of the rates: constant, step, cosine, plateau [constant] */
  double warmup;             /* epochs in which the rates rise to their full value [0] */
  int lr_step;               /* step: epochs between two falls [30] */
  double lr_gamma;           /* step, plateau: what a fall multiplies by [.1] */
  int patience;              /* plateau: epochs without a better accuracy before a fall [5] */
  double momentum;           /* below 1; adamw's first beta; not for sgd [.9] */
  double weight_decay;       /* [0] */
  double clip_norm;          /* the norm of all gradients together is cut to this [no limit] */
  const char *class_weights; /* none, balanced, or one number for each class: "1,2,0.5" [none] */
  const char *augment;    /* random changes of training pictures, as vgg_augment_name_at lists them,
                             or none [none] */
  const char *views;      /* how the model is to be evaluated in the end, as vgg_evaluate_views has
                             it; a run's own evaluations are of one view [none] */
  double label_smoothing; /* this share of every target goes to all classes alike; below 1 [none] */
  int micro_batch;     /* a step takes so many images at a time and adds their gradients up; batch
                          norms then have the statistics of so many, which is said [all] */
  double ema;          /* evaluated and saved as best is a moving average of the weights, in which
                          the newest counts 1 - min(ema, (1 + step) / (10 + step)) [none] */
  int epochs;          /* [10] */
  int early_stop;      /* end after so many epochs without a better accuracy [never] */
  uint64_t seed;       /* of weights, order and dropout [0] */
  uint64_t max_steps;  /* end after so many steps from the start of the run [no limit] */
  double save_seconds; /* checkpoint at least so often, beside epochs' ends [600] */
  double max_bad;      /* share of the pictures that may be unusable; negative: none [.01] */
  const char *out;     /* run directory; must hold no run yet [runs/ARCH-N, first free N] */
  /* How the data sets were opened, for whoever resumes the run; borrowed for the call [the spec of
   * the training set, the first pictures of each] */
  const vgg_run_data *data;
  vgg_channels channels; /* the model's for pictures of other channels [luma; that of `from`] */
  bool sum_filters;      /* the net of `from` becomes a grey one first, by vgg_model_sum_filters */
  bool reduced_jpeg;     /* the model's rule for large JPEGs [false; that of `from`] */
  vgg_run_options run;   /* batch is the recipe's batch size [128] */
} vgg_train_options;

/* The name of recipe i and a line about it (may be NULL); NULL after the last. */
VGG_API const char *vgg_recipe_at(size_t i, const char **about);

/* The recipe of a run that names none: d2l for vgg11 at any width and for alexnet, torchvision for
 * every other net; finetune from trained weights.
 *   from  it starts from such; arch may then be NULL */
VGG_API const char *vgg_recipe_default(const vgg_arch *arch, bool from);

/* The net of a recipe that has one of its own, for runs that name none: text for
 * vgg_arch_from_text, static. NULL: it has none, or there is no such recipe.
 *   options  written where there is a net: what goes with the text, 0 for defaults */
VGG_API const char *vgg_recipe_net(const char *name, vgg_arch_options *options);

/* What a recipe stands for in training `arch` (NULL: a VGG net), as options; words are static, and
 * 0 where it says none. Fails with VGG_BAD_VALUE if there is no such recipe. */
VGG_API vgg_status vgg_recipe_options(const char *name, const vgg_arch *arch,
                                      vgg_train_options *out, vgg_error *err);

typedef struct vgg_trainer vgg_trainer;

/* Starts a run: creates the run directory with config.json in it, initialises the weights.
 *   arch         borrowed for the call; NULL: the net of options->from
 *   train, held  borrowed until the trainer is closed; held NULL: no evaluation
 *   out  on success owns the trainer: close with vgg_trainer_close
 * Fails with VGG_BAD_VALUE (a number out of range, data that does not fit the net), VGG_ABSENT, as
 * vgg_model_load of options->from, VGG_NO_OUTPUT (the directory cannot be made or holds a run),
 * VGG_NO_MEMORY. */
VGG_API vgg_status vgg_trainer_create(const vgg_arch *arch, const vgg_dataset *train,
                                      const vgg_dataset *held, const vgg_train_options *options,
                                      vgg_trainer **out, vgg_error *err);

/* Reads from `dir`/config.json what the run's data are, so that they can be opened again. Fails
 * with VGG_NO_INPUT or VGG_BAD_CONTENT. */
VGG_API vgg_status vgg_run_data_read(const char *dir, vgg_run_data *out, vgg_error *err);

/* Goes on with the run in `dir` from its last.safetensors.
 *   options  fields that are set must equal the run's own, except epochs, max_steps, run.threads
 *            and run.device; NULL or zero keeps the run's. No run keeps max_bad: it is taken anew.
 *            `data` is not looked at, for what counts is what the sets hold
 * Fails with VGG_BAD_VALUE if an option or the data differ, VGG_NO_INPUT, VGG_BAD_CONTENT. */
VGG_API vgg_status vgg_trainer_resume(const char *dir, const vgg_dataset *train,
                                      const vgg_dataset *held, const vgg_train_options *options,
                                      vgg_trainer **out, vgg_error *err);
VGG_API void vgg_trainer_close(vgg_trainer *trainer);

/* Line i of what there is to say about the run, lent; NULL behind the last. At its start: which
 * recipe was chosen, where weights are from, what is frozen; after a resume: whether kernels or
 * threads differ from those the run had, so that it is no longer bit for bit the run that was never
 * stopped. Later lines come up in training: that it does not learn, that it ended early. */
VGG_API const char *vgg_trainer_note(const vgg_trainer *trainer, size_t i);

/* A moment of a run, lent to the callback. */
typedef enum vgg_train_when { VGG_AFTER_STEP, VGG_AFTER_EPOCH, VGG_DURING_EVAL } vgg_train_when;

typedef struct vgg_train_state {
  vgg_train_when when;
  int epoch, epochs;            /* 0-based epoch under way (after it: the one that ended) */
  uint64_t step, steps;         /* steps done in the whole run; planned */
  int batch, batches;           /* batches done in this epoch; in an epoch */
  double lr;                    /* of the newest step */
  double train_loss, train_acc; /* running means over this epoch, as train_ch6 */
  vgg_split held;               /* which set is evaluated; VGG_TRAIN: none */
  double held_acc, held_loss;   /* on it, of the newest evaluation; NaN before the first */
  double best_acc;              /* of best.safetensors; NaN before the first evaluation ... */
  int best_epoch;               /* ... and its epoch, from 1 on; 0 before */
  double step_loss;             /* of this batch alone */
  double compute_seconds;       /* the tutorial's timer: steps only, over all parts of the run */
  double data_wait_seconds;     /* waiting for the loader */
  double eval_seconds, wall_seconds;
  uint64_t images;              /* trained in the whole run */
  double examples_per_sec;      /* the tutorial's formula: images / compute_seconds */
  double images_per_sec;        /* end to end: images / wall_seconds */
  double seconds_left;          /* estimate; NaN when unknown */
  size_t eval_done, eval_total; /* VGG_DURING_EVAL only */
} vgg_train_state;

/* Called after steps, epochs and evaluation batches; a true answer saves and stops the run after
 * the step under way. */
typedef bool (*vgg_train_callback)(const vgg_train_state *state, void *user);

/* Trains to the end. callback may be NULL. `final`, if not NULL, is written on VGG_OK and
 * VGG_STOPPED.
 * Returns VGG_OK at the planned end, VGG_STOPPED when the callback asked to stop (all is saved),
 * VGG_BAD_CONTENT when loss or gradients are not finite (the last good files stay), VGG_IO. */
VGG_API vgg_status vgg_trainer_run(vgg_trainer *trainer, vgg_train_callback callback, void *user,
                                   vgg_train_state *final, vgg_error *err);

/* Line i about the pictures of VGG_TRAIN or of the held-out set that could not be used so far, each
 * once; lent until the trainer is closed. NULL behind the last. */
VGG_API const char *vgg_trainer_bad(const vgg_trainer *trainer, vgg_split split, size_t i);

VGG_API const char *vgg_trainer_dir(const vgg_trainer *trainer);            /* lent */
VGG_API const vgg_arch *vgg_trainer_arch(const vgg_trainer *trainer);       /* lent */
VGG_API const vgg_train_options *vgg_trainer_options(const vgg_trainer *t); /* filled in; lent */
VGG_API const vgg_model *vgg_trainer_model(const vgg_trainer *trainer);     /* lent, as it stands */

/* A curve's point, as the run directory records it. */
typedef struct vgg_curve_point {
  double x;                               /* in epochs, from 0 */
  double train_loss, train_acc, held_acc; /* NaN where not measured at this x */
} vgg_curve_point;

/* The points so far; lent until the next call that trains. Returns their number. */
VGG_API size_t vgg_trainer_curve(const vgg_trainer *trainer, const vgg_curve_point **points);

#ifdef __cplusplus
}
#endif
#endif
