/* SPDX-License-Identifier: Apache-2.0 */
#include "op/rule_rows.h"

extern const op_rule_row op_rules_avx2;
const op_rule_row op_rules_avx2 = {CPU_AVX2, updates};
