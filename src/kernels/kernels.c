/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.c - chooses the kernel table: the best that this machine supports, or the one named by the environment
 * variable LOPT_KERNELS or by lopt_kernels_use. */
#include "kernels/kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/set_error.h"

static _Atomic(const lopt__kernels *) chosen;

/* Tables that this machine supports, best first, then those with bf16; NULL past the last. */
static const lopt__kernels *usable_kernel_table(int i) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (avx512 && i-- == 0) return &lopt__kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && i-- == 0) return &lopt__kernels_avx2;
#endif
    if (i-- == 0) return &lopt__kernels_portable;
    if (i-- == 0) return &lopt__kernels_reference;
#if defined(__x86_64__)
    if (avx512 && __builtin_cpu_supports("avx512bf16") && i-- == 0) return &lopt__kernels_avx512_bf16;
#endif
    return i == 0 ? &lopt__kernels_portable_bf16 : NULL;
}

static const lopt__kernels *find_kernel_table(const char *name) {
    const lopt__kernels *k;
    for (int i = 0; (k = usable_kernel_table(i)); i++)
        if (strcmp(k->name, name) == 0) return k;
    return NULL;
}

const lopt__kernels *lopt__kernels_current(void) {
    const lopt__kernels *k = atomic_load_explicit(&chosen, memory_order_acquire);
    if (!k) {
        const char *name = getenv("LOPT_KERNELS");
        k = name ? find_kernel_table(name) : NULL;
        if (!k) k = usable_kernel_table(0);
        atomic_store_explicit(&chosen, k, memory_order_release);
    }
    return k;
}

const char *lopt_kernels_name(void) {
    return lopt__kernels_current()->name;
}

lopt_status lopt_kernels_use(const char *name, lopt_error *err) {
    const lopt__kernels *k = name ? find_kernel_table(name) : usable_kernel_table(0);
    if (!k) {
        lopt__set_error(err, LOPT_EUNKNOWN, "kernels \"%.40s\" are not available on this machine; reference and %s are",
                        name, usable_kernel_table(0)->name);
        return LOPT_EUNKNOWN;
    }
    atomic_store(&chosen, k);
    return LOPT_OK;
}
