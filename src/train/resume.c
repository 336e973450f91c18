/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/trainer.h"

/* The state must fit the data: a loader starts at its batch. */
static vgg_status check_state(const vgg_trainer *t, vgg_error *err) {
  const run_state *s = &t->state;
  const bool placed = s->epoch <= INT32_MAX && s->batch <= t->batches;
  if (placed && s->step == s->epoch * t->batches + s->batch) return VGG_OK;
  return err_set(err, VGG_BAD_CONTENT,
                 "%s/last.safetensors: epoch %" PRId64 ", batch %" PRId64 " of %d, step %" PRId64
                 " do not fit together",
                 t->dir, s->epoch, s->batch, t->batches, s->step);
}

/* Other kernels or another number of threads add in another order: the run goes on, with a line
 * about it. */
static void compare_kernels(vgg_trainer *t, json_t *recorded, int recorded_threads,
                            const char *recorded_isa) {
  json_t *now = config_stages(t->below ? engine_plan(t->below) : NULL, engine_plan(t->engine));
  const bool same_kernels = now && json_equal(now, recorded);
  json_decref(now);
  if (!same_kernels)
    trainer_say(t,
                "other kernels than before (isa %s, was %s): no longer bit for bit the run that "
                "was never stopped",
                t->config.isa.used, recorded_isa);
  else if (t->config.threads != recorded_threads)
    trainer_say(t,
                "%d threads, had %d: may no longer be bit for bit the run that was never stopped",
                t->config.threads, recorded_threads);
}

static vgg_status go_on(vgg_trainer *t, const char *dir, const vgg_train_options *options,
                        vgg_error *err) {
  json_t *stages = NULL;
  metrics_record *records = NULL;
  size_t count = 0;
  vgg_status status = rundir_lock(t, dir, err);
  if (status == VGG_OK) status = config_read(dir, &t->config, &stages, err);
  const int threads = t->config.threads;
  const run_choice isa = t->config.isa;
  if (status == VGG_OK && options && options->out && strcmp(options->out, dir) != 0)
    status =
        err_set(err, VGG_BAD_VALUE, "out %s: the run is in %s and stays there", options->out, dir);
  if (status == VGG_OK) status = config_resume(&t->config, options, err);
  if (status == VGG_OK) status = config_check_data(&t->config, t->train_data, t->held_data, err);
  if (status == VGG_OK) status = checkpoint_load(t, dir, &records, &count, err);
  if (status == VGG_OK && options && options->channels > t->model->preprocess.channels)
    status = err_set(err, VGG_BAD_VALUE, "channels replicate: the run has luma and keeps it");
  if (status == VGG_OK) status = trainer_prepare(t, err);
  if (status == VGG_OK) status = check_state(t, err);
  if (status == VGG_OK) {
    rundir_sweep(t);
    compare_kernels(t, stages, threads, isa.used);
    trainer_fill_options(t);
    status = trainer_save_config(t, err);
  }
  if (status == VGG_OK)
    status = metrics_open(&t->metrics, t->dir, t->config.settings.epochs, t->config.data.held,
                          records, count, err);
  json_decref(stages);
  free(records);
  return status;
}

vgg_status vgg_trainer_resume(const char *dir, const vgg_dataset *train, const vgg_dataset *held,
                              const vgg_train_options *options, vgg_trainer **out, vgg_error *err) {
  vgg_trainer *t = trainer_new(train, held, options);
  if (!t) return err_no_memory(err, "trainer", sizeof *t);
  const vgg_status status = go_on(t, dir, options, err);
  if (status != VGG_OK) {
    vgg_trainer_close(t);
    return status;
  }
  *out = t;
  return VGG_OK;
}
