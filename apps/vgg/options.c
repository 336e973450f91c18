/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- numbers -------------------------------------------------------------------------------- */

bool cli_whole(const char *s, uint64_t min, uint64_t max, uint64_t *value) {
  if (*s < '0' || *s > '9') return false;
  char *end;
  errno = 0;
  unsigned long long n = strtoull(s, &end, 10);
  if (errno != 0 || *end != '\0' || n < min || n > max) return false;
  *value = n;
  return true;
}

bool cli_real(const char *s, double *value) {
  /* strtod also takes blanks, hexadecimal, "inf" and "nan", which are typing errors here. */
  if (*s == '\0' || s[strspn(s, "0123456789.eE+-")] != '\0' || *s == '+') return false;
  char *end;
  double x = strtod(s, &end);
  if (*end != '\0' || !isfinite(x)) return false;
  *value = x;
  return true;
}

static bool read_shape(const char *s, vgg_shape *shape) {
  int *dims[] = {&shape->c, &shape->h, &shape->w};
  for (int i = 0; i < 3; i++) {
    if (*s < '0' || *s > '9') return false;
    char *end;
    errno = 0;
    long n = strtol(s, &end, 10);
    if (errno != 0 || n < 1 || n > 1 << 20 || *end != (i < 2 ? 'x' : '\0')) return false;
    *dims[i] = (int)n;
    s = end + 1;
  }
  return true;
}

/* ---- the table ------------------------------------------------------------------------------ */

static opt *add(opt_list *list, const char *name, opt_type type, void *value) {
  opt *row = &list->rows[list->count++];
  *row = (opt){.name = name, .type = type, .value = value};
  return row;
}

void opt_flag(opt_list *list, const char *name, bool *value) { add(list, name, OPT_FLAG, value); }

void opt_text(opt_list *list, const char *name, const char **value) {
  add(list, name, OPT_TEXT, value);
}

void opt_choice(opt_list *list, const char *name, const char *choices, const char **value) {
  add(list, name, OPT_CHOICE, value)->choices = choices;
}

void opt_whole(opt_list *list, const char *name, uint64_t min, uint64_t max, uint64_t *value) {
  opt *row = add(list, name, OPT_WHOLE, value);
  row->min = min;
  row->max = max;
}

void opt_real(opt_list *list, const char *name, bool zero, double below, double *value) {
  opt *row = add(list, name, OPT_REAL, value);
  row->zero = zero;
  row->below = below;
}

void opt_shape(opt_list *list, const char *name, vgg_shape *value) {
  add(list, name, OPT_SHAPE, value);
}

void opt_given(opt_list *list, bool *given) { list->rows[list->count - 1].given = given; }

/* ---- what was meant ------------------------------------------------------------------------- */

static size_t min3(size_t a, size_t b, size_t c) {
  size_t m = a < b ? a : b;
  return m < c ? m : c;
}

/* Levenshtein's distance, for words shorter than 32 letters. */
static size_t distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b), row[32];
  if (n >= 32 || m >= 32) return 32;
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t above = row[j];
      row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
      diagonal = above;
    }
  }
  return row[m];
}

const char *cli_closest(const char *word, const char *const *names, int count) {
  const char *best = names[0];
  for (int i = 1; i < count; i++) {
    if (distance(word, names[i]) < distance(word, best)) best = names[i];
  }
  return best;
}

/* ---- the command line ----------------------------------------------------------------------- */

static bool is_choice(const char *choices, const char *value) {
  size_t n = strlen(value);
  for (const char *p = choices; n != 0 && p != NULL; p = strchr(p, '|')) {
    if (*p == '|') p++;
    if (strncmp(p, value, n) == 0 && (p[n] == '|' || p[n] == '\0')) return true;
  }
  return false;
}

static const char *dashes(const char *name) { return name[1] == '\0' ? "-" : "--"; }

static bool refuse_value(const opt *row, const char *value) {
  char wanted[96];
  switch (row->type) {
    case OPT_CHOICE:
      snprintf(wanted, sizeof wanted, "one of %s", row->choices);
      break;
    case OPT_WHOLE:
      snprintf(wanted, sizeof wanted, "a whole number from %" PRIu64 " to %" PRIu64, row->min,
               row->max);
      break;
    case OPT_REAL: {
      int n = snprintf(wanted, sizeof wanted, "a number %s 0", row->zero ? "of at least" : "above");
      if (isfinite(row->below)) {
        snprintf(wanted + n, sizeof wanted - n, " and below %g", row->below);
      }
      break;
    }
    default:
      snprintf(wanted, sizeof wanted, "CxHxW, for instance 1x224x224");
      break;
  }
  cli_fail(CLI_USAGE, "%s%s: found '%s', wanted %s", dashes(row->name), row->name, value, wanted);
  return false;
}

static bool set_value(const opt *row, const char *value) {
  if (row->given != NULL) *row->given = true;
  double x;
  switch (row->type) {
    case OPT_FLAG:
      *(bool *)row->value = true;
      return true;
    case OPT_TEXT:
      *(const char **)row->value = value;
      return true;
    case OPT_CHOICE:
      *(const char **)row->value = value;
      return is_choice(row->choices, value) || refuse_value(row, value);
    case OPT_WHOLE:
      return cli_whole(value, row->min, row->max, row->value) || refuse_value(row, value);
    case OPT_REAL:
      if (!cli_real(value, &x) || x < 0 || (x == 0 && !row->zero) || x >= row->below) {
        return refuse_value(row, value);
      }
      *(double *)row->value = x;
      return true;
    default:
      return read_shape(value, row->value) || refuse_value(row, value);
  }
}

static bool refuse_option(const opt_list *list, const char *word, const char *bare) {
  const char *names[sizeof list->rows / sizeof list->rows[0]] = {"help"};
  int count = 1;
  for (int i = 0; i < list->count; i++) {
    if (list->rows[i].name[1] != '\0') names[count++] = list->rows[i].name;
  }
  const char *meant = word[1] == '-' ? cli_closest(bare, names, count) : "help";
  cli_fail(CLI_USAGE, "found unknown option '%s', the closest is --%s; see vgg %s --help", word,
           meant, cli_name);
  return false;
}

/* Reads the option at argv[*i] and the value that may follow it. */
static bool read_option(const opt_list *list, int argc, char **argv, int *i) {
  const char *word = argv[*i], *name = word + (word[1] == '-' ? 2 : 1);
  const char *equals = word[1] == '-' ? strchr(name, '=') : NULL;
  char bare[64];
  snprintf(bare, sizeof bare, "%.*s", (int)(equals != NULL ? equals - name : 63), name);
  const opt *row = NULL;
  for (int k = 0; k < list->count && row == NULL; k++) {
    const char *known = list->rows[k].name;
    if ((known[1] == '\0') == (word[1] != '-') && strcmp(known, bare) == 0) row = &list->rows[k];
  }
  if (row == NULL) return refuse_option(list, word, bare);
  if (row->type == OPT_FLAG) {
    if (equals == NULL) return set_value(row, NULL);
    cli_fail(CLI_USAGE, "--%s: found a value, wanted none", row->name);
    return false;
  }
  const char *value = equals != NULL ? equals + 1 : *i + 1 < argc ? argv[*i + 1] : NULL;
  if (value == NULL || (equals == NULL && strncmp(value, "--", 2) == 0)) {
    cli_fail(CLI_USAGE, "%s%s: no value found, wanted one after it", dashes(row->name), row->name);
    return false;
  }
  if (equals == NULL) ++*i;
  return set_value(row, value);
}

static bool check_operands(const opt_list *list) {
  const char *unit = list->operand != NULL ? list->operand : "operand";
  if (list->num_operands < list->min_operands) {
    if (list->num_operands == 0)
      cli_fail(CLI_USAGE, "found nothing, wanted %s; see vgg %s --help", unit, cli_name);
    else
      cli_fail(CLI_USAGE, "found '%s' alone, wanted %s; see vgg %s --help", list->operands[0], unit,
               cli_name);
    return false;
  }
  if (list->num_operands > list->max_operands) {
    cli_fail(CLI_USAGE, "found '%s', wanted nothing there; see vgg %s --help",
             list->operands[list->max_operands], cli_name);
    return false;
  }
  return true;
}

bool opt_parse(opt_list *list, int argc, char **argv, int *code) {
  bool help = false, ended = false;
  opt_flag(list, "help", &help);
  opt_flag(list, "h", &help);
  list->operands = argv + 1; /* moved to the front as they are met */
  *code = CLI_USAGE;
  for (int i = 1; i < argc; i++) {
    if (!ended && strcmp(argv[i], "--") == 0) {
      ended = true;
    } else if (!ended && argv[i][0] == '-' && argv[i][1] != '\0') {
      if (!read_option(list, argc, argv, &i)) return false;
    } else {
      list->operands[list->num_operands++] = argv[i];
    }
    if (help) {
      fputs(list->help, stdout);
      *code = 0;
      return false;
    }
  }
  return check_operands(list);
}
