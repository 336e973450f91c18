/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "vgg info: this processor, the libraries, the backends, what `auto` chooses\n"
    "\n"
    "  vgg info\n"
    "  vgg info --json\n"
    "\n"
    "  --json    one JSON object\n"
    "  --help    this page\n";

static int print_json(const vgg_fact *facts, int count) {
  json_t *object = json_object();
  for (int i = 0; i < count; i++) {
    json_object_set_new(object, facts[i].name, json_string(facts[i].value));
  }
  return cli_json(object);
}

int cmd_info(int argc, char **argv) {
  bool json = false;
  opt_list list = {.help = help};
  opt_flag(&list, "json", &json);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;

  vgg_fact facts[64];
  int count = vgg_system_facts(facts, 64), width = 0;
  if (count > 64) count = 64;
  if (json) return print_json(facts, count);
  for (int i = 0; i < count; i++) {
    int length = (int)strlen(facts[i].name);
    if (length > width) width = length;
  }
  for (int i = 0; i < count; i++) printf("%-*s  %s\n", width, facts[i].name, facts[i].value);
  return 0;
}
