/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/pass/pass_rows.h"

extern const pass_kernels pass_c;
PASS_ROW(pass_c, "c", CPU_BASE);
