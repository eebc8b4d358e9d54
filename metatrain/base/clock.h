/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h - what time it is. Nothing that reaches theta may depend on it. */
#ifndef MT_CLOCK_H
#define MT_CLOCK_H

double mt_wall_seconds(void);    /* of a monotonic clock */
double mt_cpu_seconds(void);     /* of this thread */
double mt_process_seconds(void); /* CPU time of this process */

#endif
