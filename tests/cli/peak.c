/* SPDX-License-Identifier: Apache-2.0
 *
 * peak VGG DIR: what `vgg describe` says that training takes, against the largest resident size
 * of 50 steps on the real data. Wanted: .9 to 1.1 of it, in each precision.
 *
 * Exits 77 (skipped) where Fashion-MNIST is not installed.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, NO_INPUT = 66 };

static double described(const char *vgg, const char *precision) {
  char command[1024];
  snprintf(command, sizeof command,
           "'%s' describe --arch vgg11 --ratio 4 --data fashion-mnist --json --precision %s", vgg,
           precision);
  FILE *f = popen(command, "r");
  json_t *root = f ? json_loadf(f, 0, NULL) : NULL;
  const int status = f ? pclose(f) : -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == NO_INPUT) exit(SKIPPED);
  const json_t *training = json_object_get(json_object_get(root, "memory"), "training");
  const double total = json_number_value(json_object_get(training, "total"));
  json_decref(root);
  return total;
}

/* Bytes at most resident; a negative number when the run failed. */
static double measured(const char *vgg, const char *precision, const char *dir) {
  char out[1024];
  snprintf(out, sizeof out, "%s/peak-%s-%ld", dir, precision, (long)getpid());
  const pid_t pid = fork();
  if (pid == 0) {
    execl(vgg, vgg, "train", "--max-steps", "50", "--no-eval", "--precision", precision, "--out",
          out, (char *)NULL);
    _exit(127);
  }
  int status;
  struct rusage usage;
  const bool ended = pid > 0 && wait4(pid, &status, 0, &usage) == pid;
  char remove[1100];
  snprintf(remove, sizeof remove, "rm -rf '%s'", out);
  if (system(remove) != 0) fprintf(stderr, "peak: %s stays\n", out);
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return -1;
  return (double)usage.ru_maxrss * 1024;
}

int main(int argc, char **argv) {
  if (argc != 3) return 64;
  const char *precisions[] = {"bf16", "fp32"};
  int bad = 0;
  for (int i = 0; i < 2; i++) {
    const double said = described(argv[1], precisions[i]);
    const double was = measured(argv[1], precisions[i], argv[2]);
    printf("%s: described %.0f bytes, resident %.0f, ratio %.3f\n", precisions[i], said, was,
           was / said);
    if (!(was >= .9 * said && was <= 1.1 * said)) bad = 1;
  }
  return bad;
}
