/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t read_xcr0(void) {
  uint32_t lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t)hi << 32 | lo;
}

/* Linux keeps AMX state switched off until a process asks (arch/x86: ARCH_REQ_XCOMP_PERM). */
static bool amx_permitted(void) {
  enum { REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XTILEDATA) == 0;
}

cpu_isa cpu_best_isa(void) {
  enum { YMM = 6, ZMM = 0xe6, TILES = 0x60000 }; /* bits of XCR0 that the system must save */
  unsigned a, b, c, d, a7, b7, c7, d7;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return CPU_BASE; /* no XSAVE */
  const uint64_t saved = read_xcr0();
  if (!__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7)) return CPU_BASE;
  const bool fma = c >> 12 & 1, avx2 = b7 >> 5 & 1;
  if (!fma || !avx2 || (saved & YMM) != YMM) return CPU_BASE;
  const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
  if ((b7 & avx512) != avx512 || (saved & ZMM) != ZMM) return CPU_AVX2;
  unsigned a71, b71, c71, d71;
  if (!__get_cpuid_count(7, 1, &a71, &b71, &c71, &d71) || !(a71 >> 5 & 1)) return CPU_AVX512;
  const bool amx = (d7 >> 22 & 1) && (d7 >> 24 & 1) && (saved & TILES) == TILES;
  return amx && amx_permitted() ? CPU_AMX : CPU_AVX512BF16;
}
#else
cpu_isa cpu_best_isa(void) { return CPU_BASE; }
#endif

static const char *const isa_names[] = {"base", "avx2", "avx512", "avx512bf16", "amx"};

const char *cpu_isa_name(cpu_isa isa) { return isa_names[isa]; }

vgg_status cpu_isa_from_name(const char *name, cpu_isa *out, vgg_error *err) {
  const cpu_isa best = cpu_best_isa();
  *out = best;
  if (!name || strcmp(name, "auto") == 0) return VGG_OK;
  for (int i = CPU_AVX2; i <= CPU_AMX; i++) {
    if (strcmp(name, isa_names[i]) != 0) continue;
    if (i > (int)best)
      return err_set(err, VGG_ABSENT, "--isa %s: this processor has %s", name, isa_names[best]);
    *out = (cpu_isa)i;
    return VGG_OK;
  }
  return err_set(err, VGG_BAD_VALUE,
                 "--isa %s: unknown, wanted auto, avx2, avx512, avx512bf16 or amx", name);
}

void cpu_model_name(char *text, int size) {
  snprintf(text, (size_t)size, "unknown");
  FILE *f = fopen("/proc/cpuinfo", "r");
  if (!f) return;
  char line[256];
  while (fgets(line, sizeof line, f)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    snprintf(text, (size_t)size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    break;
  }
  fclose(f);
}

int cpu_threads(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  const long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (int)n : 1;
}
