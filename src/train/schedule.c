/* SPDX-License-Identifier: Apache-2.0 */
#include "train/schedule.h"

#include <math.h>
#include <string.h>

static double schedule_constant(const settings *s, const schedule_place *at) {
  (void)s, (void)at;
  return 1;
}

static double schedule_step(const settings *s, const schedule_place *at) {
  const int64_t epochs = at->step / at->batches;
  return pow(s->lr_gamma, (double)(epochs / s->lr_step));
}

static double schedule_cosine(const settings *s, const schedule_place *at) {
  const double pi = 3.14159265358979323846, done = (double)at->step / at->batches;
  const double share = (done - s->warmup) / (s->epochs - s->warmup);
  return share > 0 && share <= 1 ? (1 + cos(pi * share)) / 2 : share > 1 ? 0 : 1;
}

static double schedule_plateau(const settings *s, const schedule_place *at) {
  return pow(s->lr_gamma, (double)at->drops);
}

static const struct {
  const char *name;
  double (*factor)(const settings *s, const schedule_place *at);
} schedules[] = {
#define SCHEDULE(name, about) {#name, schedule_##name},
#include "train/schedules.def"
#undef SCHEDULE
};
enum { NUM_SCHEDULES = sizeof schedules / sizeof *schedules };

static int find(const char *name) {
  for (int i = 0; i < NUM_SCHEDULES; i++)
    if (strcmp(schedules[i].name, name) == 0) return i;
  return -1;
}

bool schedule_known(const char *name) { return find(name) >= 0; }

#define SCHEDULE(name, about) " " #name
static const char names[] =
#include "train/schedules.def"
    ;
#undef SCHEDULE

const char *schedule_names(void) { return names; }

double schedule_factor(const settings *s, const schedule_place *at) {
  const double ramp = s->warmup * at->batches, step = (double)at->step + 1;
  const double warm = step < ramp ? step / ramp : 1;
  return warm * schedules[find(s->schedule)].factor(s, at);
}
