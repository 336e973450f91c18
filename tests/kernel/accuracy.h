/* SPDX-License-Identifier: Apache-2.0
 *
 * Accuracy as a contract: on N(0, 1) data, from 32 channels up, a row's rms error is at most 3
 * times (forward, backward-data) or 5 times (backward-weights) that of oneDNN's fp32 convolution.
 */
#ifndef TESTS_KERNEL_ACCURACY_H
#define TESTS_KERNEL_ACCURACY_H

#include "checkkernel.h"
#include "rows.h"

/* Prints both errors; ends the program when the contract does not hold. */
void check_accuracy(const kernel_row *row, const check_options *o);

#endif
