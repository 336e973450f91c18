/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes that make new training pictures of old ones. None draws a random number: what is random
 * is an argument. Those that Pillow has give its bytes. (Random crops that are resized are
 * resizer_create_box and resizer_create_window in resize.h.)
 *
 * Pictures are [height][width][channels] with 1 or 3 channels, changed in place unless there is an
 * `out`; none of them can fail.
 */
#ifndef IMAGE_AUGMENT_H
#define IMAGE_AUGMENT_H

#include "vgg/image.h"

/* Mirrors left and right. */
void augment_flip(vgg_image *image);

/* Away from (factor > 1) or towards (factor < 1) something without it, as Pillow's ImageEnhance:
 * 1 changes nothing, samples stay in 0 .. 255. Factors are finite and at least 0. */
void augment_brightness(vgg_image *image, float factor); /* black */
void augment_contrast(vgg_image *image, float factor);   /* the mean grey */
void augment_saturation(vgg_image *image,
                        float factor); /* each pixel's grey; grey stays as it is */

/* What to add to red, green and blue, in 255ths, for three draws of a normal distribution of
 * standard deviation 0.1: along the principal components of ImageNet's colours, by their
 * eigenvalues (Krizhevsky et al. 2012, 4.1). */
void augment_pca(const float draws[3], float shift[3]);
/* Adds shift[channels] to every pixel, rounded to nearest, kept in 0 .. 255. */
void augment_shift(vgg_image *image, const float *shift);

/* Pad and crop: out [out->height][out->width] is the window whose corner lies at row `top` and
 * column `left` of `image`, either of which may be negative; outside the picture it is black.
 *   out  its sizes, the picture's channels and its pixels are the caller's; pixels written */
void augment_window(const vgg_image *image, int top, int left, vgg_image *out);

/* Cutout (DeVries, Taylor 2017): a square of `side` around a row and a column becomes `fill`; what
 * of it lies outside the picture is left away. Its middle, or the pixel after it when the side is
 * even, is (row, column). */
void augment_cutout(vgg_image *image, int row, int column, int side, uint8_t fill);

#endif
