/* SPDX-License-Identifier: Apache-2.0
 *
 * cifar.h - the binary files of CIFAR-10 and CIFAR-100 (data_batch_1.bin, train.bin, ...).
 *
 * A file is records of n_label_bytes labels (CIFAR-100: coarse, then fine; the last one is used) and
 * 3072 bytes, the red, green and blue planes of a 32 x 32 image. The records of one file are added
 * to raw, as [32, 32, 3]; raw->path names the file in messages. */
#ifndef TASK_CIFAR_H
#define TASK_CIFAR_H

#include "data/raw.h"

int task_cifar_parse(const unsigned char *bytes, size_t n_bytes, int n_label_bytes, task_raw *raw, lopt_error *err);

#endif
