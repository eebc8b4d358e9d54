/* SPDX-License-Identifier: Apache-2.0
 *
 * keep_modules.c - linked into the program under AddressSanitizer only. Open MPI unloads its plug-ins before
 * the process ends; LeakSanitizer then cannot name the module that a block of memory came from, so
 * cmake/lsan.supp could not tell Open MPI's leaks from ours. Nothing is unloaded here. */
int dlclose(void *module);

int dlclose(void *module) {
    (void)module;
    return 0;
}
