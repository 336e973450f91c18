/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model file says besides its tensors: one metadata key for each part.
 *
 *   vgg.version     the library that wrote it, "0.1.0"
 *   vgg.arch        {"text":"vgg11","ratio":4,"input":[1,224,224],"classes":10,"hidden":4096,
 *                    "dropout":0.5,"batch_norm":false,"lrn":"none","head":"flatten","window":7};
 *                    text is what vgg_arch_from_text takes, dropout 0 means none
 *   vgg.classes     ["T-shirt/top",...], one name for each class
 *   vgg.preprocess  {"input":[1,224,224],"invert":false,"exif":"apply","resize":...}: how a picture
 *                   becomes input; "channels":"replicate" only where grey may become colour,
 *                   "jpeg":"reduced" where large ones are decoded at a reduced size
 *   vgg.recipe      {...}: how it was trained, the trainer's own
 */
#ifndef FORMAT_MODEL_META_H
#define FORMAT_MODEL_META_H

#include "format/model.h"

enum { MODEL_META_PAIRS = 5 };

typedef struct model_meta {
  st_pair pairs[MODEL_META_PAIRS];   /* lent by the model and this */
  char *arch, *classes, *preprocess; /* owned */
} model_meta;

/* Fails with VGG_NO_MEMORY. */
vgg_status model_meta_make(const vgg_model *model, const char *path, model_meta *out,
                           vgg_error *err);
void model_meta_free(model_meta *meta);

/* Fills a model's arch, classes, preprocess and recipe. What was filled before a failure is the
 * model's, to be freed by vgg_model_close. Fails with VGG_BAD_CONTENT, VGG_NO_MEMORY. */
vgg_status model_meta_read(const char *path, const st_file *file, vgg_model *model, vgg_error *err);

#endif
