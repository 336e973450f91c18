/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures about nets and runs: SVG always, PNG where the build has cairo.
 */
#ifndef VGG_REPORT_H
#define VGG_REPORT_H

#include "vgg/arch.h"
#include "vgg/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Draws one net, or two side by side, block by block from the input at the bottom to the softmax
 * at the top, with shapes on the arrows.
 *   arch, beside  borrowed; beside may be NULL
 *   path          ends in .svg or .png; replaced atomically
 * Fails with VGG_BAD_VALUE (another suffix), VGG_ABSENT (.png without cairo), VGG_NO_OUTPUT,
 * VGG_IO. */
VGG_API vgg_status vgg_diagram_save(const vgg_arch *arch, const vgg_arch *beside, const char *path,
                                    vgg_error *err);

/* Draws train loss, train accuracy and held-out accuracy against the epoch, x from 0 to `epochs`.
 * Held-out points carry a marker; what is not finite or not in 0 .. epochs is left out. Otherwise
 * as vgg_diagram_save, and VGG_BAD_VALUE if epochs is below 1.
 *   points  [num_points], x ascending, borrowed
 *   held    the set that the legend names: "val acc", or "test acc" for any other */
VGG_API vgg_status vgg_curves_save(const vgg_curve_point *points, size_t num_points, int epochs,
                                   vgg_split held, const char *path, vgg_error *err);

/* The same curves for a terminal, in UTF-8 with Braille dots: `height` lines of at most `width`
 * characters, each with a newline, the legend last.
 *   width   54 to 1000; from 75 on the legend holds the newest values
 *   height  5 to 1000
 *   text    on success fresh memory: free with free()
 * Fails with VGG_BAD_VALUE or VGG_NO_MEMORY. */
VGG_API vgg_status vgg_curves_text(const vgg_curve_point *points, size_t num_points, int epochs,
                                   vgg_split held, int width, int height, char **text,
                                   vgg_error *err);

#ifdef __cplusplus
}
#endif
#endif
