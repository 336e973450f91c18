/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of a run: what it was asked to be and what that came to on this machine.
 */
#ifndef TRAIN_CONFIG_H
#define TRAIN_CONFIG_H

#include <jansson.h>

#include "net/plan.h"
#include "train/settings.h"

/* A choice that may be left to `auto`. */
typedef struct run_choice {
  char asked[16], used[16];
} run_choice;

/* What tells a data set from others. */
typedef struct data_mark {
  size_t count; /* 0: none */
  uint64_t digest;
} data_mark;

typedef struct run_config {
  char recipe[16];
  char from[512]; /* where the weights are from, for the record; "" if they were drawn */
  settings settings;
  uint64_t seed, max_steps; /* max_steps 0: no limit */
  double save_seconds;
  run_choice device, backend, precision, winograd, isa;
  int threads;
  vgg_run_data data;
  data_mark train, held;
} run_config;

/* A new run's configuration: `options` (may be NULL) with the recipe's settings filled in.
 * Fails with VGG_BAD_VALUE when a number is out of range. */
vgg_status config_from_options(const vgg_train_options *options, const vgg_arch *arch,
                               run_config *out, vgg_error *err);

/* Changes a recorded configuration by the options of a resume: epochs, max_steps, threads and
 * device are taken over; VGG_BAD_VALUE if anything else is set and differs, with both values. */
vgg_status config_resume(run_config *config, const vgg_train_options *options, vgg_error *err);

/* Records which data the run learns from, and how they were opened (NULL: not known); held NULL: no
 * evaluation. Fails with VGG_BAD_VALUE if the data's spec is too long. */
vgg_status config_note_data(run_config *config, const vgg_run_data *opened,
                            const vgg_dataset *train, const vgg_dataset *held, vgg_error *err);

/* Are these the run's data? VGG_BAD_VALUE, with both values, if not. */
vgg_status config_check_data(const run_config *config, const vgg_dataset *train,
                             const vgg_dataset *held, vgg_error *err);

/* The recipe as JSON, name, seed and settings; NULL without memory. */
json_t *config_recipe_json(const run_config *config);

/* The data as JSON, for config.json and for the checkpoint; NULL without memory. */
json_t *config_data_json(const run_config *config);

/* What the plan chose for device, precision, instruction set and threads becomes `used`. */
void config_note_plan(run_config *config, const plan *p);

/* The stages of both plans with the backend and the kernels of each; NULL without memory.
 *   frozen  that of the frozen layers; NULL: none */
json_t *config_stages(const plan *frozen, const plan *p);

/* The whole of config.json; NULL without memory. */
json_t *config_to_json(const run_config *config, const plan *frozen, const plan *p);

/* Reads `dir`/config.json. *stages (may be NULL) gets the recorded stages: json_decref.
 * Fails with VGG_NO_INPUT, VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status config_read(const char *dir, run_config *out, json_t **stages, vgg_error *err);

/* The recipe as one line of JSON for the model file (free with free()); NULL without memory. */
char *config_recipe_line(const run_config *config);

#endif
