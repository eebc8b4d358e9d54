/* SPDX-License-Identifier: Apache-2.0
 *
 * machine.c - which machine this is, and which program. */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

/* The text after the colon of the first line of a /proc file that starts with `key`. */
static void proc_value(const char *path, const char *key, char *text, size_t bytes) {
    char line[512];
    FILE *f = fopen(path, "r");
    text[0] = 0;
    while (f && !text[0] && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key))) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(text, bytes, "%.*s", (int)strcspn(colon, "\n"), colon);
    }
    if (f) fclose(f);
}

static const char *compiler_name(void) {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

json_t *mt_bench_machine(void) {
    char name[256], family[16], model[16], cpu[320], memory[64], date[32];
    double load[1] = {0};
    struct utsname os;
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    proc_value("/proc/cpuinfo", "model name", name, sizeof name);
    proc_value("/proc/cpuinfo", "cpu family", family, sizeof family);
    proc_value("/proc/cpuinfo", "model\t", model, sizeof model);
    snprintf(cpu, sizeof cpu, family[0] ? "%s family %s model %s" : "%s", name[0] ? name : "unknown", family, model);
    proc_value("/proc/meminfo", "MemTotal", memory, sizeof memory);
    if (uname(&os)) memset(&os, 0, sizeof os);
    if (getloadavg(load, 1) < 1) load[0] = 0;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:s, s:s, s:s}", "date", date, "version", lopt_version(),
                     "cpu", cpu, "architecture", os.machine, "cores", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
                     "memory_gb", strtod(memory, NULL) / 1e6, "load_before", load[0], "system", os.release, "compiler",
                     compiler_name(), "kernels", lopt_kernels_name());
}
