/* SPDX-License-Identifier: Apache-2.0 */
#include "op/rule_rows.h"

extern const op_rule_row op_rules_avx512;
const op_rule_row op_rules_avx512 = {CPU_AVX512, updates};
