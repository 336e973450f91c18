/* SPDX-License-Identifier: Apache-2.0 */
#include "op/rule_rows.h"

extern const op_rule_row op_rules_c;
const op_rule_row op_rules_c = {CPU_BASE, updates};
