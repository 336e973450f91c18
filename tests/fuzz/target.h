/* SPDX-License-Identifier: Apache-2.0
 *
 * What every fuzz target defines. libFuzzer or replay.c calls it with one input after the other; it
 * hands them to a parser and frees what it gets. It must not crash, leak or hang. Returns 0.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
