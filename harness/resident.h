/* Resident memory of a process, as the system tells it. */
#ifndef MTH_HARNESS_RESIDENT_H
#define MTH_HARNESS_RESIDENT_H

#include <stdint.h>
#include <sys/types.h>

enum mth_resident { MTH_RESIDENT_NOW = 0, MTH_RESIDENT_PEAK };

/* Bytes of a living process, this one or another of this user; 0 where the system does not tell (Linux does). */
uint64_t mth_resident_bytes(pid_t pid, enum mth_resident which);

#endif
