/* SPDX-License-Identifier: Apache-2.0
 *
 * vgg: finds the command and makes sure that its results arrived.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct {
  const char *name, *summary;
  cli_command run;
} commands[] = {
#define COMMAND(name, summary) {#name, summary, cmd_##name},
#include "commands.def"
#undef COMMAND
};
enum { NUM_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *to) {
  fprintf(to,
          "vgg: VGG networks described, trained, evaluated and used\n"
          "\n"
          "  vgg describe --arch vgg16                the layers, their cost and memory\n"
          "  vgg train --epochs 10                    the tutorial's run on Fashion-MNIST\n"
          "  vgg predict runs/vgg11-1 shirt.png       what is in the picture?\n"
          "\n"
          "Commands (vgg COMMAND --help shows examples and options):\n");
  for (int i = 0; i < NUM_COMMANDS; i++) {
    fprintf(to, "  %-10s%s\n", commands[i].name, commands[i].summary);
  }
  fprintf(to,
          "\n"
          "  --help     this page\n"
          "  --version  the version\n"
          "\n"
          "Results go to stdout, messages to stderr. Exit codes: 0 success, 64 bad option\n"
          "or value, 65 bad content, 66 input missing, 69 not available here, 70 bug,\n"
          "73 cannot create output, 74 I/O error, 75 out of memory, 130 interrupted.\n");
}

static int unknown(const char *word) {
  const char *names[NUM_COMMANDS];
  for (int i = 0; i < NUM_COMMANDS; i++) names[i] = commands[i].name;
  return cli_fail(CLI_USAGE, "found unknown %s '%s', the closest is %s; see vgg --help",
                  word[0] == '-' ? "option" : "command", word,
                  word[0] == '-' ? "--help" : cli_closest(word, names, NUM_COMMANDS));
}

static int run(int argc, char **argv) {
  if (argc < 2) {
    print_help(stderr);
    return CLI_USAGE;
  }
  const char *word = argv[1];
  if (strcmp(word, "--version") == 0) {
    printf("vgg %s\n", vgg_version());
    return 0;
  }
  bool help = strcmp(word, "help") == 0;
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (help && argc == 2)) {
    print_help(stdout);
    return 0;
  }
  if (help) word = argv[2];
  for (int i = 0; i < NUM_COMMANDS; i++) {
    if (strcmp(word, commands[i].name) != 0) continue;
    cli_name = commands[i].name;
    char *ask[] = {argv[0], "--help", NULL};
    return help ? commands[i].run(2, ask) : commands[i].run(argc - 1, argv + 1);
  }
  return unknown(word);
}

/* Results that did not arrive are a failure; a reader who went away needs no message. */
static int finish(int code) {
  errno = 0;
  bool lost = ferror(stdout) != 0;
  if (fflush(stdout) == 0 && !lost) return code;
  if (errno != EPIPE) {
    cli_fail(VGG_IO, "stdout: writing failed: %s", errno != 0 ? strerror(errno) : "lost output");
  }
  return code != 0 ? code : VGG_IO;
}

int main(int argc, char **argv) {
  if (argc > 0) cli_program = argv[0];
  return finish(run(argc, argv));
}
