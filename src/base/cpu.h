/* SPDX-License-Identifier: Apache-2.0
 *
 * What this processor, and the kernel under us, let a program use.
 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stdbool.h>

#include "vgg/status.h"

/* Ordered: each level includes the ones before it. BASE is what every x86-64 (or any other
 * processor) runs. */
typedef enum cpu_isa {
  CPU_BASE,
  CPU_AVX2,       /* AVX2, FMA */
  CPU_AVX512,     /* F, BW, DQ, VL */
  CPU_AVX512BF16, /* AVX512 and vdpbf16ps */
  CPU_AMX,        /* AVX512BF16 and AMX tiles in bf16, permitted by the kernel */
} cpu_isa;

/* The best level here: CPUID, XCR0 and, for AMX, the kernel's permission (asked for once). */
cpu_isa cpu_best_isa(void);
const char *cpu_isa_name(cpu_isa isa); /* "base", "avx2", "avx512", "avx512bf16", "amx" */

/* NULL or "auto" gives the best; a name narrows. Fails with VGG_BAD_VALUE (unknown word) or
 * VGG_ABSENT (beyond this processor). */
vgg_status cpu_isa_from_name(const char *name, cpu_isa *out, vgg_error *err);

/* The processor's name into text[size]. */
void cpu_model_name(char *text, int size);

/* Processors this process may use, at least 1. */
int cpu_threads(void);

#endif
