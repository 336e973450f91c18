/* SPDX-License-Identifier: Apache-2.0
 *
 * Nets drawn as stacks of boxes, from the picture at the bottom to the softmax at the top:
 *
 *            vgg11                  title, what it costs
 *     128,806,154 parameters
 *         [ Softmax ]
 *              ^ 10                 the shape of what flows there
 *         [ FC (10) ]
 *            . . .
 *              ^ 64 x 112 x 112
 *     +--------|--------+
 *     |  [ 2x2 MaxPool ]|           a block of the net, framed
 *     |        |        |
 *     |  [ 3x3 Conv   ] |
 *     +--------|--------+
 *              ^ 1 x 224 x 224
 *         [  input  ]
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "report/canvas.h"
#include "vgg/report.h"

enum {
  BOX_WIDTH = 220,
  BOX_HEIGHT = 26,
  STACK_WIDTH = BOX_WIDTH + 96, /* with frames and shapes */
  ARROW = 26,
  FRAME_PAD = 10,
  MARGIN = 24,
  TITLE_LINE = 17,
  TITLE_CHARACTERS = 36, /* of a line in the small font */
  TITLE_LARGE = 22,      /* up to so many stand in the large one */
  TITLE_LINES = 6,
  LEGEND_HEIGHT = 88
};

static const int ink = 0x2b2b2b, pale_ink = 0x666666, arrow_color = 0x555555;

/* How a kind of layer looks; kinds without a row (ReLU, dropout) are told in words. */
typedef struct look {
  vgg_layer_type type;
  int fill, stroke;
  const char *meaning;
} look;

static const look looks[] = {
    {VGG_LAYER_CONV, 0xcfe2f7, 0x4a7db3, "convolution"},
    {VGG_LAYER_MAXPOOL, 0xf9d9c5, 0xc5763f, "max-pool"},
    {VGG_LAYER_FLATTEN, 0xeeeeee, 0x9a9a9a, NULL},
    {VGG_LAYER_LRN, 0xf6ecc2, 0xa8923a, NULL},
    {VGG_LAYER_AVGPOOL, 0xf9e4d9, 0xc5763f, NULL},
    {VGG_LAYER_LINEAR, 0xd7ecd0, 0x5c9a4a, "fully connected"},
    {VGG_LAYER_SOFTMAX, 0xe6d9f2, 0x8660ad, "softmax"},
};
enum { NUM_LOOKS = sizeof looks / sizeof looks[0] };

static const look *look_of(vgg_layer_type type) {
  for (int i = 0; i < NUM_LOOKS; i++)
    if (looks[i].type == type) return &looks[i];
  return NULL;
}

/* One box; the first one is the input. */
typedef struct box {
  const vgg_layer *layer; /* NULL for the input */
  int module;             /* of the walk; -1 for the input and the softmax */
  vgg_shape out;
  double bottom; /* above the stack's foot */
} box;

typedef struct stack {
  const vgg_arch *arch;
  int count;
  box *boxes;    /* owned */
  double height; /* of the boxes */
  char title[TITLE_LINES][TITLE_CHARACTERS + 1];
  int title_lines;
  double center, foot; /* on the canvas */
} stack;

static bool is_framed(const stack *s, int module) {
  return module >= 0 && strcmp(vgg_arch_module(s->arch, module).class_name, "Sequential") == 0;
}

static int module_of(const vgg_arch *arch, int layer) {
  for (int m = 0; m < vgg_arch_num_modules(arch); m++) {
    const vgg_module module = vgg_arch_module(arch, m);
    if (layer >= module.first_layer && layer < module.first_layer + module.num_layers) return m;
  }
  return -1;
}

/* The arrow from box i to the next. */
static double arrow_length(const stack *s, int i) {
  const box *here = &s->boxes[i], *next = here + 1;
  if (here->module == next->module) return ARROW;
  return ARROW + FRAME_PAD * (is_framed(s, here->module) + is_framed(s, next->module));
}

/* The title and the ratio, broken at commas; what does not fit is left out with dots. */
static void set_title(stack *s) {
  const int ratio = vgg_arch_get_options(s->arch)->ratio;
  char whole[300];
  snprintf(whole, sizeof whole, "%.255s", vgg_arch_title(s->arch));
  if (ratio > 1) snprintf(whole + strlen(whole), 32, ", ratio %d", ratio);
  const char *title = whole;
  while (*title && s->title_lines < TITLE_LINES) {
    size_t length = strlen(title);
    if (length > TITLE_CHARACTERS) {
      length = TITLE_CHARACTERS;
      while (length > 1 && title[length - 1] != ',') length--;
      if (length == 1) length = TITLE_CHARACTERS;
    }
    snprintf(s->title[s->title_lines++], sizeof s->title[0], "%.*s", (int)length, title);
    title += length;
    while (*title == ' ') title++;
  }
  if (*title) memcpy(s->title[TITLE_LINES - 1] + TITLE_CHARACTERS - 3, "...", 4);
}

static vgg_status stack_layout(const vgg_arch *arch, stack *s, vgg_error *err) {
  *s = (stack){.arch = arch};
  const int layers = vgg_arch_num_layers(arch);
  const vgg_arch_options *options = vgg_arch_get_options(arch);
  s->boxes = calloc((size_t)layers + 1, sizeof *s->boxes);
  if (!s->boxes) return err_no_memory(err, "diagram", ((size_t)layers + 1) * sizeof *s->boxes);
  s->boxes[s->count++] = (box){NULL, -1, options->input, 0};
  for (int i = 0; i < layers; i++) {
    const vgg_layer *layer = vgg_arch_layer(arch, i);
    if (look_of(layer->type))
      s->boxes[s->count++] = (box){layer, module_of(arch, i), layer->out, 0};
  }
  for (int i = 1; i < s->count; i++)
    s->boxes[i].bottom = s->boxes[i - 1].bottom + BOX_HEIGHT + arrow_length(s, i - 1);
  s->height = s->boxes[s->count - 1].bottom + BOX_HEIGHT;
  set_title(s);
  return VGG_OK;
}

static double heading_height(const stack *s) { return TITLE_LINE * (s->title_lines + 2) + 10; }

static void box_label(const vgg_layer *l, char *text, size_t size) {
  char stride[24] = "", pad[24] = "";
  switch (l->type) {
    case VGG_LAYER_CONV:
      if (l->stride != 1) snprintf(stride, sizeof stride, ", stride %d", l->stride);
      if (l->pad != 0) snprintf(pad, sizeof pad, ", pad %d", l->pad);
      snprintf(text, size, "%d×%d Conv (%d)%s%s", l->kernel, l->kernel, l->out.c, stride, pad);
      break;
    case VGG_LAYER_MAXPOOL:
      snprintf(text, size, "%d×%d MaxPool, stride %d", l->kernel, l->kernel, l->stride);
      break;
    case VGG_LAYER_LRN:
      snprintf(text, size, "LRN");
      break;
    case VGG_LAYER_AVGPOOL:
      snprintf(text, size, "Average to %d×%d", l->out.h, l->out.w);
      break;
    case VGG_LAYER_LINEAR:
      snprintf(text, size, "FC (%d)", l->out.c);
      break;
    case VGG_LAYER_SOFTMAX:
      snprintf(text, size, "Softmax");
      break;
    default:
      snprintf(text, size, "Flatten");
  }
}

static void draw_box(canvas *c, const stack *s, const box *b) {
  const double x = s->center - BOX_WIDTH / 2.0, y = s->foot - b->bottom - BOX_HEIGHT;
  const canvas_font font = {12.5, ink, CANVAS_MIDDLE, false, false};
  char label[96] = "input";
  canvas_pen pen = {0x888888, 1.2, CANVAS_SOLID, 0xffffff};
  if (b->layer) {
    const look *l = look_of(b->layer->type);
    pen = (canvas_pen){l->stroke, 1.2, CANVAS_SOLID, l->fill};
    box_label(b->layer, label, sizeof label);
  }
  canvas_rect(c, x, y, BOX_WIDTH, BOX_HEIGHT, 5, pen);
  canvas_text(c, s->center, y + BOX_HEIGHT / 2.0 + 4.5, font, "%s", label);
}

static void draw_arrow(canvas *c, const stack *s, int i) {
  const box *here = &s->boxes[i];
  const double from = s->foot - here->bottom - BOX_HEIGHT, to = s->foot - here[1].bottom;
  const double x = s->center;
  canvas_line(c, x, from, x, to + 5, (canvas_pen){arrow_color, 1.3, CANVAS_SOLID, CANVAS_NONE});
  canvas_polyline(c, (double[]){x, to + 0.5, x - 3.5, to + 7, x + 3.5, to + 7}, 3, true,
                  (canvas_pen){CANVAS_NONE, 0, CANVAS_SOLID, arrow_color});
  const canvas_font font = {11, pale_ink, CANVAS_START, false, false};
  double y = (from + to) / 2 + 4; /* in the middle of what lies outside the frames */
  if (here->module != here[1].module)
    y += FRAME_PAD / 2.0 * (is_framed(s, here[1].module) - is_framed(s, here->module));
  if (here->out.h == 1 && here->out.w == 1)
    canvas_text(c, x + 9, y, font, "%d", here->out.c);
  else
    canvas_text(c, x + 9, y, font, "%d×%d×%d", here->out.c, here->out.h, here->out.w);
}

/* Frames lie under the boxes. */
static void draw_frames(canvas *c, const stack *s) {
  for (int i = 0; i < s->count;) {
    int end = i + 1;
    while (end < s->count && s->boxes[end].module == s->boxes[i].module) end++;
    if (is_framed(s, s->boxes[i].module)) {
      const double x = s->center - BOX_WIDTH / 2.0 - FRAME_PAD - 16;
      const double bottom = s->foot - s->boxes[i].bottom + FRAME_PAD;
      const double top = s->foot - s->boxes[end - 1].bottom - BOX_HEIGHT - FRAME_PAD;
      canvas_rect(c, x, top, BOX_WIDTH + 2 * FRAME_PAD + 16, bottom - top, 8,
                  (canvas_pen){0xb8bec6, 1, CANVAS_DASHED, 0xf6f8fa});
      canvas_text(c, x + 16, (top + bottom) / 2,
                  (canvas_font){10.5, pale_ink, CANVAS_MIDDLE, false, true}, "block %d",
                  s->boxes[i].layer->block);
    }
    i = end;
  }
}

/* 128806154 -> "128,806,154" */
static void group_digits(uint64_t value, char *text, size_t size) {
  char digits[24];
  const int count = snprintf(digits, sizeof digits, "%" PRIu64, value);
  size_t at = 0;
  for (int i = 0; i < count && at + 2 < size; i++) {
    if (i > 0 && (count - i) % 3 == 0) text[at++] = ',';
    text[at++] = digits[i];
  }
  text[at] = 0;
}

static void draw_heading(canvas *c, const stack *s) {
  char params[40];
  const double macs = (double)vgg_arch_macs(s->arch);
  const bool is_short = s->title_lines == 1 && strlen(s->title[0]) <= TITLE_LARGE;
  const canvas_font bold = {is_short ? 16 : 12, ink, CANVAS_MIDDLE, true, false};
  double y = s->foot - s->height - heading_height(s) + TITLE_LINE - 4;
  for (int i = 0; i < s->title_lines; i++, y += TITLE_LINE)
    canvas_text(c, s->center, y, bold, "%s", s->title[i]);
  const canvas_font font = {11.5, pale_ink, CANVAS_MIDDLE, false, false};
  group_digits(vgg_arch_params(s->arch), params, sizeof params);
  canvas_text(c, s->center, y, font, "%s parameters", params);
  const bool giga = macs >= 1e9;
  canvas_text(c, s->center, y + TITLE_LINE - 1, font, "%.*f %s multiply-adds an image",
              giga ? 2 : 1, macs / (giga ? 1e9 : 1e6), giga ? "G" : "M");
}

static void draw_stack(canvas *c, const stack *s) {
  draw_heading(c, s);
  draw_frames(c, s);
  for (int i = 0; i + 1 < s->count; i++) draw_arrow(c, s, i);
  for (int i = 0; i < s->count; i++) draw_box(c, s, &s->boxes[i]);
}

/* What the colours mean, and in words what has no box. */
static void draw_legend(canvas *c, const vgg_arch_options *net) {
  canvas_font font = {11, pale_ink, CANVAS_START, false, false};
  const double columns[2] = {c->width / 2 - 112, c->width / 2 + 20};
  double y = c->height - LEGEND_HEIGHT;
  int shown = 0;
  for (int i = 0; i < NUM_LOOKS; i++) {
    if (!looks[i].meaning) continue;
    const double x = columns[shown % 2];
    canvas_rect(c, x, y, 12, 12, 3, (canvas_pen){looks[i].stroke, 1, CANVAS_SOLID, looks[i].fill});
    canvas_text(c, x + 18, y + 10, font, "%s", looks[i].meaning);
    if (shown++ % 2 == 1) y += 18;
  }
  font.anchor = CANVAS_MIDDLE;
  canvas_text(c, c->width / 2, y + 16, font,
              net->batch_norm ? "batch norm after every convolution, ReLU after that and hidden FC"
                              : "ReLU after every convolution and every hidden FC");
  if (net->dropout > 0)
    canvas_text(c, c->width / 2, y + 32, font, "dropout %g after every hidden FC", net->dropout);
}

vgg_status vgg_diagram_save(const vgg_arch *arch, const vgg_arch *beside, const char *path,
                            vgg_error *err) {
  const vgg_arch *archs[2] = {arch, beside};
  const int count = beside ? 2 : 1;
  stack stacks[2] = {{0}};
  canvas c = {0};
  vgg_status status = VGG_OK;
  double tallest = 0;
  for (int i = 0; i < count && status == VGG_OK; i++) {
    status = stack_layout(archs[i], &stacks[i], err);
    tallest = fmax(tallest, stacks[i].height + heading_height(&stacks[i]));
  }
  if (status != VGG_OK) goto done;
  canvas_init(&c, 2 * MARGIN + count * STACK_WIDTH, tallest + 2 * MARGIN + LEGEND_HEIGHT);
  for (int i = 0; i < count; i++) {
    stacks[i].center = MARGIN + (i + 0.5) * STACK_WIDTH;
    stacks[i].foot = MARGIN + tallest;
    draw_stack(&c, &stacks[i]);
  }
  draw_legend(&c, vgg_arch_get_options(arch));
  status = canvas_save(&c, path, err);
done:
  canvas_free(&c);
  for (int i = 0; i < count; i++) free(stacks[i].boxes);
  return status;
}
