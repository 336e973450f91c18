/* SPDX-License-Identifier: Apache-2.0
 *
 * Where MNIST and its kin lie.
 */
#ifndef DATA_MNIST_H
#define DATA_MNIST_H

#include "data/dataset.h"

/* The folder of the files: q->path, or below it the one where torchvision keeps them. Free with
 * free(). Fails with VGG_NO_INPUT for a validation set, which none of them has; VGG_NO_MEMORY. */
vgg_status mnist_folder(const dataset_query *q, const char *below, char **out, vgg_error *err);

/* The splits in such a folder, by the names of MNIST's files. */
unsigned mnist_holds_in(const char *path, const char *below);

#endif
