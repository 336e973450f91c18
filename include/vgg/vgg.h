/* SPDX-License-Identifier: Apache-2.0
 *
 * All of libvgg. What opens, creates or loads gives an object to close; what is called at, view or
 * name lends; close and free accept NULL. In an option struct zero or NULL means the default. One
 * object serves one thread at a time; different objects are independent.
 */
#ifndef VGG_VGG_H
#define VGG_VGG_H

#include "vgg/arch.h"
#include "vgg/bench.h"
#include "vgg/data.h"
#include "vgg/image.h"
#include "vgg/infer.h"
#include "vgg/model.h"
#include "vgg/plan.h"
#include "vgg/report.h"
#include "vgg/status.h"
#include "vgg/train.h"

#endif
