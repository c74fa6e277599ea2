/* Resident memory of processes; see resident.h. */
#include "harness/resident.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t mth_resident_bytes(pid_t pid, enum mth_resident which)
{
    static const char *const keys[] = {"VmRSS:", "VmHWM:"};
    const size_t n_key = strlen(keys[which]);
    char path[64], line[128];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "r");
    while (file && kib == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, keys[which], n_key) == 0)
            kib = strtoull(line + n_key, NULL, 10);
    if (file)
        (void)fclose(file);
    return (uint64_t)kib << 10;
}
