/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "cli.h"

static const char help[] =
    "vgg diagram: a figure of a net, block by block, or of two side by side\n"
    "\n"
    "  vgg diagram --arch vgg11 --beside alexnet -o fig.svg   the tutorial's figure\n"
    "  vgg diagram --arch 1x16,1x32,2x64 --input 1x96x96 -o small.png\n"
    "\n"
    "  -o FILE           where to: .svg or .png\n"
    "  --arch NET        a name as in describe or a conv_arch [vgg11]\n"
    "  --beside NET      a second net to draw beside it\n"
    "  --ratio N         divide every channel count by N, rounding down [1]\n"
    "  --input CxHxW     the picture [1x224x224]\n"
    "  --classes N       outputs of the last layer [10]\n"
    "  --hidden N        units of the two hidden linear layers [4096]\n"
    "  --dropout P       probability of dropping a unit, 0 for none [0.5]\n"
    "  --bn --lrn --lrn-alpha sum|mean --head flatten|adaptive|dense   as in describe\n"
    "  --help            this page\n"
    "\n"
    "Options of the net hold for both nets.\n";

int cmd_diagram(int argc, char **argv) {
  net_args net = {0};
  const char *beside_text = NULL, *path = NULL;
  opt_list list = {.help = help};
  net_args_options(&net, &list);
  opt_text(&list, "beside", &beside_text);
  opt_text(&list, "o", &path);
  opt_text(&list, "output", &path);
  int code;
  if (!opt_parse(&list, argc, argv, &code)) return code;
  if (path == NULL) return cli_fail(CLI_USAGE, "no -o FILE found, wanted a .svg or .png to write");

  vgg_arch_options options = net_args_get(&net);
  vgg_arch *arch = NULL, *beside = NULL;
  vgg_error err;
  vgg_status status =
      vgg_arch_from_text(net.arch != NULL ? net.arch : "vgg11", &options, &arch, &err);
  if (status == VGG_OK && beside_text != NULL) {
    status = vgg_arch_from_text(beside_text, &options, &beside, &err);
  }
  if (status == VGG_OK) status = vgg_diagram_save(arch, beside, path, &err);
  code = status == VGG_OK ? 0 : cli_error(&err);
  vgg_arch_close(arch);
  vgg_arch_close(beside);
  return code;
}
