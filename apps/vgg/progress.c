/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int terminal_columns(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_begin(progress *p, const vgg_trainer *trainer) {
  *p = (progress){.trainer = trainer, .live = isatty(STDERR_FILENO) == 1};
}

/* Overwrites the line with blanks, which every terminal understands. */
void progress_clear(progress *p) {
  if (p->shown > 0) fprintf(stderr, "\r%*s\r", p->shown, "");
  p->shown = 0;
}

/* Blanks cover what is left of a longer line before. */
static void live_line(progress *p, const char *line) {
  int columns = terminal_columns() - 1; /* the last column would wrap */
  int length = (int)strnlen(line, (size_t)columns);
  int width = p->shown > length ? p->shown : length;
  if (width > columns) width = columns; /* the window became narrower */
  fprintf(stderr, "\r%-*.*s", width, length, line);
  fflush(stderr);
  p->shown = length;
}

static void show_step(progress *p, const vgg_train_state *s) {
  if (now() - p->last < 0.1 && s->batch < s->batches) return;
  p->last = now();
  char line[256];
  if (s->when == VGG_DURING_EVAL) {
    snprintf(line, sizeof line, "epoch %d/%d  evaluating %zu/%zu", s->epoch + 1, s->epochs,
             s->eval_done, s->eval_total);
  } else {
    snprintf(line, sizeof line,
             "epoch %d/%d  step %" PRIu64 "/%" PRIu64
             "  loss %.3f  acc %.3f  %.0f images/s  %s left",
             s->epoch + 1, s->epochs, s->step, s->steps, s->train_loss, s->train_acc,
             s->images_per_sec, cli_duration(s->seconds_left));
  }
  live_line(p, line);
}

/* The curves so far, if the window is wide enough for them. */
static void show_curve(const vgg_trainer *trainer, const vgg_train_state *s) {
  int columns = terminal_columns() - 1;
  const vgg_curve_point *points;
  size_t count = vgg_trainer_curve(trainer, &points);
  char *drawing = NULL;
  if (vgg_curves_text(points, count, s->epochs, s->held, columns < 79 ? columns : 79, 10, &drawing,
                      NULL) == VGG_OK) {
    fputs(drawing, stderr);
  }
  free(drawing);
}

static void show_epoch(progress *p, const vgg_train_state *s) {
  progress_clear(p);
  char held[40] = "";
  if (isfinite(s->held_acc))
    snprintf(held, sizeof held, "  %s acc %.3f", vgg_split_name(s->held), s->held_acc);
  cli_note("epoch %d/%d  loss %.3f  train acc %.3f%s  %.1f examples/sec  %s", s->epoch + 1,
           s->epochs, s->train_loss, s->train_acc, held, s->examples_per_sec,
           cli_duration(s->wall_seconds));
  if (p->live) show_curve(p->trainer, s);
}

void progress_show(progress *p, const vgg_train_state *state) {
  if (state->when == VGG_AFTER_EPOCH) {
    show_epoch(p, state);
  } else if (p->live) {
    show_step(p, state);
  }
}
