/* SPDX-License-Identifier: Apache-2.0
 *
 * images.h - what all models of images share: the data set, the batch as values of a model, and the end of a
 * classifier.
 *
 *     static int create(task *t, const task_spec *spec, lopt_error *err) {
 *         task_images *self = task_images_open(t, spec, err);
 *         if (!self) return 0;
 *         int x = ... layers on self->images, [batch, rows, cols, channels], or self->pixels, [batch, pixels] ...
 *         task_images_name(t, self, spec, "image_mlp");
 *         return task_images_classify(t, self, x, spec, err);
 *     }
 *     const task_kind task_kind_x = {..., TASK_IMAGES_FUNCTIONS, .create = create, .accuracy = task_images_accuracy};
 *
 * task_images is t->self, or begins it. */
#ifndef TASK_IMAGES_H
#define TASK_IMAGES_H

#include "base/setting.h"
#include "data/dataset.h"
#include "model/model.h"

typedef struct task_images {
    const task_dataset *data;
    int batch, n_classes, images, pixels, logits; /* values of the model; logits: [batch, n_classes] */
    size_t labels;
} task_images;

/* Opens the data set and begins the model; returns t->self, or NULL and *err. */
task_images *task_images_open(task *t, const task_spec *spec, lopt_error *err);
/* Loss (spec->loss), normaliser and the end of the model; clip is the normaliser of cross-entropy. */
int task_images_classify(task *t, task_images *self, int logits, const task_spec *spec, task_normaliser_kind clip,
                         lopt_error *err);
/* t->name is "KIND fashion_mnist 8x8"; returns its length, never beyond room for more. */
size_t task_images_name(task *t, const task_images *self, const task_spec *spec, const char *kind);

void task_images_destroy(task *t);
void task_images_draw(const task *t, const real *tau, task_split split, lopt_rng_stream *r, void *work);
real task_images_accuracy(const task *t, const real *tau, void *work, const real *params);

// clang-format off
#define TASK_IMAGE_SETTINGS                                                                                            \
    {"image_size", TASK_INTEGER(image_size), "[0, 1024]", "8", "pixels",                                               \
     "images are resized to this many pixels a side; 0: left as they are"},                                            \
    {"grey", TASK_CHOICE(grey), "no|yes", "no", NULL, "yes: images in colour become the mean of their channels"},      \
    {"data_split", TASK_CHOICE(data_split), TASK_WORDS(TASK_DATA_SPLITS), "clean", NULL,                               \
     "clean: 80 % of the training images are trained on; published: 1 % of cifar100, svhn_cropped and food101, as "    \
     "published results have it"}
#define TASK_LOSS_SETTING                                                                                              \
    {"loss", TASK_CHOICE(loss), TASK_WORDS(TASK_LOSSES), "cross_entropy", NULL,                                        \
     "of classification; the squared error is that of one-hot labels"}
// clang-format on

#define TASK_IMAGES_FUNCTIONS                                                                                          \
    .self_size = sizeof(task_images), .destroy = task_images_destroy, .draw_batch = task_images_draw

#endif
