/* SPDX-License-Identifier: Apache-2.0
 *
 * CIFAR (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009), the binary
 * version: records, one after another, of
 *
 *   1. CIFAR-100 only: the coarse label, below 20
 *   2. the label, below 10 or 100
 *   3. 3072 bytes: red, green, blue, each [32][32]
 */
#ifndef DATA_CIFAR_H
#define DATA_CIFAR_H

#include "vgg/status.h"

#include <stddef.h>
#include <stdint.h>

enum { CIFAR_SIDE = 32, CIFAR_PIXELS = 3 * CIFAR_SIDE * CIFAR_SIDE };

/* Reads the records of a file that lies in memory.
 *   name     of the file, for messages
 *   classes  10 or 100
 *   pixels   [size / record][32][32][3], written
 *   labels   [size / record], written
 * Fails with VGG_BAD_CONTENT (no whole number of records, or none; a label out of range). */
vgg_status cifar_parse(const char *name, const uint8_t *bytes, size_t size, int classes,
                       uint8_t *pixels, int32_t *labels, vgg_error *err);

/* Bytes of a record. */
static inline size_t cifar_record(int classes) { return (classes == 100 ? 2 : 1) + CIFAR_PIXELS; }

#endif
