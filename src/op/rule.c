/* SPDX-License-Identifier: Apache-2.0 */
#include "op/rule.h"

#include <math.h>
#include <string.h>

#define RULES(row) extern const op_rule_row row;
#include "op/rule_rows.def"
#undef RULES

static const op_rule_row *const rows[] = {
#define RULES(row) &row,
#include "op/rule_rows.def"
#undef RULES
};

static const op_rule rules[] = {
#define RULE(name, states, lr) {#name, states, lr},
#include "op/rules.def"
#undef RULE
};

const op_rule *op_rule_at(size_t i) { return i < sizeof rules / sizeof *rules ? &rules[i] : NULL; }

const op_rule *op_rule_find(const char *name) {
  for (size_t i = 0; op_rule_at(i); i++)
    if (strcmp(name, rules[i].name) == 0) return &rules[i];
  return NULL;
}

op_rule_update *op_rule_fastest(const op_rule *rule, cpu_isa isa) {
  size_t i = 0;
  while (rows[i]->isa > isa) i++;
  return rows[i]->update[rule - rules];
}

#define RULE(name, states, lr) " " #name
static const char names[] =
#include "op/rules.def"
    ;
#undef RULE

const char *op_rule_names(void) { return names; }

op_rule_args op_rule_args_at(double lr, double momentum, double weight_decay, double scale,
                             int64_t step) {
  const double beta2 = 0.999;
  return (op_rule_args){.lr = (float)lr,
                        .momentum = (float)momentum,
                        .beta2 = (float)beta2,
                        .eps = 1e-8f,
                        .weight_decay = (float)weight_decay,
                        .scale = (float)scale,
                        .rest1 = (float)(1 - momentum),
                        .rest2 = (float)(1 - beta2),
                        .c1 = (float)(1 - pow(momentum, (double)step)),
                        .root_of_c2 = (float)sqrt(1 - pow(beta2, (double)step))};
}
