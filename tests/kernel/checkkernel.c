/* SPDX-License-Identifier: Apache-2.0 */
#include "checkkernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "checkkernel: our own kernels against plain definitions in double\n"
    "\n"
    "  checkkernel                                   every family, every row\n"
    "  checkkernel --family winograd --row winograd_f4x4_fp32_avx2\n"
    "  checkkernel --bench --net vgg16               the net's layers beside oneDNN\n"
    "\n"
    "  --family winograd|first|linear|passes|repack\n"
    "  --row NAME        this row alone\n"
    "  --seed N          of all numbers; printed first [1]\n"
    "  --isa avx2|avx512|avx512bf16|amx     rows not beyond this, oneDNN neither\n"
    "  --threads N       [the processors this process may use]\n"
    "  --bench           time instead of check; the exit code is 1 if native is slower than\n"
    "                    oneDNN's convolution with its separate ReLU and pool anywhere\n"
    "  --net small|ratio8|ratio16|cifar|vgg11|vgg16     [all]\n"
    "  --layer NAME      those whose names begin so: conv4, fc [all]\n"
    "  --batch N         images [16]\n"
    "  --seconds S       a layer and direction [0.3]\n";

static const struct {
  const char *name;
  void (*check)(const check_options *o);
} families[] = {{"winograd", check_winograd},
                {"first", check_first},
                {"linear", check_linear},
                {"passes", check_passes},
                {"repack", check_repack}};

enum { FAMILIES = sizeof families / sizeof *families, USAGE = 64 };

bool check_wants(const check_options *o, const char *row, cpu_isa isa) {
  if (o->row && strcmp(o->row, row) != 0) return false;
  if (isa <= o->isa) return true;
  printf("%s: not run: needs %s, here %s\n", row, cpu_isa_name(isa), cpu_isa_name(o->isa));
  return false;
}

typedef struct command {
  check_options options;
  const char *family, *isa;
  bool bench, help;
} command;

static bool set(command *c, const char *name, const char *value) {
  check_options *o = &c->options;
  if (!strcmp(name, "--family"))
    c->family = value;
  else if (!strcmp(name, "--row"))
    o->row = value;
  else if (!strcmp(name, "--seed"))
    o->seed = strtoull(value, NULL, 10);
  else if (!strcmp(name, "--isa"))
    c->isa = value;
  else if (!strcmp(name, "--threads"))
    o->threads = atoi(value);
  else if (!strcmp(name, "--net"))
    o->net = value;
  else if (!strcmp(name, "--layer"))
    o->layer = value;
  else if (!strcmp(name, "--batch"))
    o->batch = atoi(value);
  else if (!strcmp(name, "--seconds"))
    o->seconds = atof(value);
  else
    return false;
  return true;
}

static bool parse(command *c, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--bench"))
      c->bench = true;
    else if (!strcmp(argv[i], "--help"))
      c->help = true;
    else if (i + 1 == argc || !set(c, argv[i], argv[i + 1]))
      return false;
    else
      i++;
  }
  return c->options.threads > 0 && c->options.batch > 0;
}

static bool check(const command *c) {
  bool found = false;
  for (int i = 0; i < FAMILIES; i++) {
    if (c->family && strcmp(c->family, families[i].name) != 0) continue;
    found = true;
    families[i].check(&c->options);
  }
  return found;
}

int main(int argc, char **argv) {
  command c = {.options = {.seed = 1, .threads = cpu_threads(), .batch = 16, .seconds = 0.3}};
  setvbuf(stdout, NULL, _IOLBF, 0); /* what was under way shows in front of what was wrong */
  vgg_error err;
  if (!parse(&c, argc, argv) || c.help) {
    fputs(help, c.help ? stdout : stderr);
    return c.help ? 0 : USAGE;
  }
  if (cpu_isa_from_name(c.isa, &c.options.isa, &err) != VGG_OK) {
    fprintf(stderr, "checkkernel: %s\n", err.message);
    return (int)err.status;
  }
  if (c.bench) {
    const int code = bench_layers(&c.options);
    if (!c.options.net && !c.options.row) bench_passes(&c.options);
    return code;
  }
  printf("seed %llu\n", (unsigned long long)c.options.seed);
  if (check(&c)) return 0;
  fprintf(stderr, "checkkernel: --family %s: there is none\n", c.family);
  return USAGE;
}
