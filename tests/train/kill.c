/* SPDX-License-Identifier: Apache-2.0
 *
 * Killed at random moments and resumed = never killed. Every run is a process of its own, so that
 * none inherits threads.
 */
#include <dirent.h>
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

static int count_files(const tiny *t, const char *run) {
  DIR *d = opendir(tiny_path(t, run));
  assert_non_null(d);
  int count = 0;
  while (readdir(d)) count++;
  closedir(d);
  return count;
}

static void sleep_for(double seconds) {
  const struct timespec t = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
  nanosleep(&t, NULL);
}

/* The first kill comes as soon as there is a checkpoint, so that one at least is sure to hit; the
 * next ones at moments within half of a whole run's time. */
static void kill_part(const tiny *t, const char *run, pid_t pid, uint32_t seed, uint32_t part,
                      double whole) {
  if (part == 0) {
    char last[96];
    snprintf(last, sizeof last, "%s/last.safetensors", run);
    for (int i = 0; i < 60000 && !path_exists(tiny_path(t, last)); i++) sleep_for(.001);
  } else {
    uint32_t draw[4];
    philox(3, PHILOX_ORDER, seed, part, 0, draw);
    sleep_for(whole * .5 * philox_unit(draw[0]));
  }
  kill(pid, SIGKILL);
}

static uint32_t runs = 1; /* the argument */

static void killed_at_random(void **state) {
  (void)state;
  enum { KILLS = 4 };
  tiny t;
  tiny_open(&t, 19, 9);
  const double start = clock_seconds();
  assert_true(finished(begin(&t, "straight")));
  const double whole = clock_seconds() - start;
  uint32_t kills = 0;
  for (uint32_t run = 0; run < runs; run++) {
    char name[24];
    snprintf(name, sizeof name, "killed-%u", run);
    for (uint32_t part = 0;; part++) {
      const pid_t pid = begin(&t, name);
      if (part < KILLS) kill_part(&t, name, pid, run, part, whole);
      if (finished(pid)) break;
      kills++;
    }
    assert_same_run(&t, "straight", name);
    assert_int_equal(count_files(&t, name), count_files(&t, "straight")); /* no half-written one */
  }
  assert_in_range(kills, runs, KILLS * runs);
  tiny_close(&t);
}

int main(int argc, char **argv) {
  if (argc > 1) runs = (uint32_t)atoi(argv[1]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_random)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
