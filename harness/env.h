/* The machine and the build that a measurement ran on. */
#ifndef MTH_HARNESS_ENV_H
#define MTH_HARNESS_ENV_H

#include "harness/json_writer.h"

#include <stddef.h>

enum { MTH_ENV_ID_BYTES = 17 };

/* Size of one last-level cache: what a thread can reach without leaving it. 0 when the system does not say.
 */
size_t mth_env_llc_bytes(void);

/*
 * Write the row of kind `env` as an object: machine, processor, caches, memory, system, compiler, versions;
 * what the system does not say is null. docs/rows.md lists the members. Equal machines with equal builds give
 * equal bytes: no time, no load, no host name.
 */
void mth_env_row(struct mth_json_writer *writer, const char *key);

/* 16 hex digits that stand for the row above: XXH3-64 of all of it but this. Plug-ins that were loaded count.
 */
void mth_env_id(char id[MTH_ENV_ID_BYTES]);

/* The same of the build alone: version, commit, what was changed since, compiler, libraries. */
void mth_env_build_id(char id[MTH_ENV_ID_BYTES]);

#endif
