/* SPDX-License-Identifier: Apache-2.0
 *
 * Killed at random moments and resumed = never killed. Every run is a process of its own, so that
 * none inherits threads.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/philox.h"
#include "tiny.h"

/* Saves after every step, so that many a kill falls into a save. */
static vgg_train_options options(void) {
  vgg_train_options o = tiny_options(NULL);
  o.save_seconds = 1e-9;
  o.epochs = 3;
  return o;
}

static pid_t begin(const tiny *t, const char *run) {
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid > 0) return pid;
  char last[96];
  snprintf(last, sizeof last, "%s/last.safetensors", run);
  const bool exists = path_exists(tiny_path(t, last));
  tiny_train(exists ? tiny_resume(t, run, NULL) : tiny_create(t, run, options()), UINT64_MAX);
  _exit(0);
}

/* True when it ended by itself. */
static bool finished(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (WIFSIGNALED(status)) return false;
  assert_int_equal(WEXITSTATUS(status), 0);
  return true;
}

static void remove_claim(const tiny *t, const char *run) {
  static const char *const files[] = {"config.json", "metrics.jsonl", "metrics.csv"};
  char path[96];
  snprintf(path, sizeof path, "%s/last.safetensors", run);
  if (path_exists(tiny_path(t, path))) return;
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", run, files[i]);
    unlink(tiny_path(t, path));
  }
}

static uint32_t runs = 1; /* the argument */

static void killed_at_random(void **state) {
  (void)state;
  tiny t;
  tiny_open(&t, 19, 9);
  const double start = clock_seconds();
  assert_true(finished(begin(&t, "straight")));
  const double whole = clock_seconds() - start;
  int kills = 0;
  for (uint32_t run = 0; run < runs; run++) {
    char name[24];
    snprintf(name, sizeof name, "killed-%u", run);
    for (uint32_t part = 0;; part++) {
      const pid_t pid = begin(&t, name);
      uint32_t draw[4];
      philox(3, PHILOX_ORDER, run, part, 0, draw);
      const double wait = part < 4 ? whole * .5 * philox_unit(draw[0]) : 60;
      if (part < 4) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * (wait < .9 ? wait : .9))}, NULL);
        kill(pid, SIGKILL);
      }
      if (finished(pid)) break;
      kills++;
      remove_claim(&t, name); /* killed before its first checkpoint: a new run begins */
    }
    assert_same_run(&t, "straight", name);
  }
  assert_in_range(kills, runs, 4 * runs);
  tiny_close(&t);
}

int main(int argc, char **argv) {
  if (argc > 1) runs = (uint32_t)atoi(argv[1]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_random)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
