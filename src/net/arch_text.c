/* SPDX-License-Identifier: Apache-2.0
 *
 * A conv_arch in text:
 *
 *   text   = list | open list close          brackets round or square, in pairs
 *   list   = block { "," block } [ "," ]
 *   block  = number "x" number [ "x" number ]
 *          | open number "," number [ "," number ] [ "," ] close
 *
 * White space may stand between any two of these.
 */
#include <ctype.h>

#include "base/error.h"
#include "net/arch_build.h"

typedef struct scanner {
  const char *start, *at;
  vgg_error *err;
} scanner;

static void skip_space(scanner *s) {
  while (isspace((unsigned char)*s->at)) s->at++;
}

static bool is_open(char c) { return c == '(' || c == '['; }
static char close_of(char open) { return open == '(' ? ')' : ']'; }

static vgg_status fail(const scanner *s, const char *wanted) {
  const int place = (int)(s->at - s->start) + 1;
  if (!*s->at)
    return err_set(s->err, VGG_BAD_VALUE, "conv_arch: ends at character %d, wanted %s", place,
                   wanted);
  if (!isprint((unsigned char)*s->at)) /* also a piece of a UTF-8 character */
    return err_set(s->err, VGG_BAD_VALUE, "conv_arch: found byte 0x%02x at character %d, wanted %s",
                   (unsigned char)*s->at, place, wanted);
  return err_set(s->err, VGG_BAD_VALUE, "conv_arch: found '%c' at character %d, wanted %s", *s->at,
                 place, wanted);
}

static char peek(scanner *s) {
  skip_space(s);
  return *s->at;
}

/* Takes `c` if it comes next. */
static bool take(scanner *s, char c) {
  if (peek(s) != c) return false;
  s->at++;
  return true;
}

/* Takes the bracket that closes `open`. */
static vgg_status take_close(scanner *s, char open) {
  if (take(s, close_of(open))) return VGG_OK;
  return fail(s, open == '(' ? "',' or ')'" : "',' or ']'");
}

static vgg_status scan_number(scanner *s, int *out) {
  skip_space(s);
  if (!isdigit((unsigned char)*s->at)) return fail(s, "a number");
  int value = 0;
  for (; isdigit((unsigned char)*s->at); s->at++) {
    value = 10 * value + (*s->at - '0');
    if (value > ARCH_MAX_SIDE) return fail(s, "a number of at most 65536");
  }
  *out = value;
  return VGG_OK;
}

/* Two or three numbers; `open` is the block's bracket, or 0 for the form with "x". */
static vgg_status scan_block(scanner *s, char open, vgg_block_spec *out) {
  int numbers[3], count = 0;
  for (bool more = true; more;) {
    if (count == 3) return fail(s, "two or three numbers in a block");
    const vgg_status status = scan_number(s, &numbers[count]);
    if (status != VGG_OK) return status;
    count++;
    more = take(s, open ? ',' : 'x');
    if (open && count >= 2 && peek(s) == close_of(open)) more = false; /* a trailing comma */
  }
  if (count == 1) return fail(s, open ? "','" : "'x'");
  if (count == 3 && numbers[1] == 0) /* in a block's spec 0 would mean "not said" */
    return err_set(s->err, VGG_BAD_VALUE, "conv_arch: a block takes 0 channels, wanted at least 1");
  *out = vgg_block(numbers[0], count == 3 ? numbers[1] : 0, numbers[count - 1]);
  return open ? take_close(s, open) : VGG_OK;
}

/* The bracket around the whole list, taken; 0 when there is none. Only two brackets in a row say
 * so: "(1, 64)" is a list of one block. */
static char take_outer(scanner *s) {
  scanner ahead = *s;
  const char open = peek(&ahead);
  if (!is_open(open)) return 0;
  ahead.at++;
  if (!is_open(peek(&ahead))) return 0;
  *s = ahead;
  return open;
}

vgg_status arch_parse(const char *text, vgg_block_spec blocks[ARCH_MAX_BLOCKS], int *num_blocks,
                      vgg_error *err) {
  scanner s = {text, text, err};
  const char outer = take_outer(&s);
  int count = 0;
  do {
    const char next = peek(&s);
    if (count > 0 && (!next || (outer && next == close_of(outer)))) break; /* a trailing comma */
    if (count == ARCH_MAX_BLOCKS) return fail(&s, "at most 16 blocks");
    const char open = is_open(next) ? *s.at++ : 0;
    const vgg_status status = scan_block(&s, open, &blocks[count]);
    if (status != VGG_OK) return status;
    count++;
  } while (take(&s, ','));
  const vgg_status status = outer ? take_close(&s, outer) : VGG_OK;
  if (status != VGG_OK) return status;
  if (peek(&s)) return fail(&s, "',' or the end");
  *num_blocks = count;
  return VGG_OK;
}
