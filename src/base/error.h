/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing errors. Every failing function ends in `return err_set(err, STATUS, "file: found,
 * wanted")`.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

#include "vgg/status.h"

/* Writes a one-line message (control characters become '?') and returns `status`.
 * err may be NULL. */
vgg_status err_set(vgg_error *err, vgg_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before a message that a callee has set; returns the error's status. */
vgg_status err_prefix(vgg_error *err, vgg_status status, const char *prefix);

vgg_status err_no_memory(vgg_error *err, const char *what, size_t bytes);

#endif
