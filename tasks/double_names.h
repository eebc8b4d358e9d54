/* SPDX-License-Identifier: Apache-2.0
 *
 * double_names.h - names of this folder's functions when it is compiled with -DTASK_REAL_DOUBLE.
 *
 * The float and the double build link into one program, so that a test can compare them. Every
 * symbol that is not static has a line here; tests/test_double_names.sh names a missing one. */
#ifndef TASK_DOUBLE_NAMES_H
#define TASK_DOUBLE_NAMES_H

#define task_accuracy task_accuracy_double
#define task_add_tensor task_add_tensor_double
#define task_add_work task_add_work_double
#define task_check_range task_check_range_double
#define task_create task_create_double
#define task_dataset_close task_dataset_close_double
#define task_dataset_draw task_dataset_draw_double
#define task_dataset_gather task_dataset_gather_double
#define task_dataset_open task_dataset_open_double
#define task_dense_backward task_dense_backward_double
#define task_dense_forward task_dense_forward_double
#define task_dense_init task_dense_init_double
#define task_dense_plan task_dense_plan_double
#define task_destroy task_destroy_double
#define task_draw_batch task_draw_batch_double
#define task_elementwise_best task_elementwise_best_double
#define task_elementwise_find task_elementwise_find_double
#define task_elementwise_portable task_elementwise_portable_double
#define task_fail task_fail_double
#define task_gemm_flops task_gemm_flops_double
#define task_gemm_plan task_gemm_plan_double
#define task_gemm_run task_gemm_run_double
#define task_has_accuracy task_has_accuracy_double
#define task_idx_free task_idx_free_double
#define task_idx_read task_idx_read_double
#define task_initial_params task_initial_params_double
#define task_kind_image_mlp task_kind_image_mlp_double
#define task_kind_log_quadratic task_kind_log_quadratic_double
#define task_kind_noisy_mean_quadratic task_kind_noisy_mean_quadratic_double
#define task_kind_noisy_quadratic task_kind_noisy_quadratic_double
#define task_kind_quadratic task_kind_quadratic_double
#define task_kind_quadratic_family task_kind_quadratic_family_double
#define task_kind_sum_quadratic task_kind_sum_quadratic_double
#define task_kinds task_kinds_double
#define task_known task_known_double
#define task_loss task_loss_double
#define task_normalise task_normalise_double
#define task_reparam_wrap task_reparam_wrap_double
#define task_resize_image task_resize_image_double
#define task_resize_levels task_resize_levels_double
#define task_resize_taps task_resize_taps_double
#define task_sample task_sample_double
#define task_spec_default task_spec_default_double
#define task_spec_resolve task_spec_resolve_double

#endif
