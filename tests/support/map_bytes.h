/* Mapping bytes in memory as a checkpoint file, on an account of their own. */
#ifndef MTH_TESTS_MAP_BYTES_H
#define MTH_TESTS_MAP_BYTES_H

#include "formats/region_map.h"

struct mapped {
    struct mth_memory *memory;
    struct mth_region_map map; /* holds something only when status is MTH_OK */
    int status;
    struct mth_error err;
};

/*
 * Map n_bytes as a file of some name. The bytes are read from a buffer that ends at a page without access.
 *
 * What must hold of any bytes is checked here, and stops the program: a map that came back passes its check, a
 * failure has one line that names the file and leaves nothing on the account.
 */
void map_bytes(struct mapped *mapped, const char *name, const void *bytes, size_t n_bytes);

/* As above; raw_dtype MTH_N_DTYPES is none, limit_bytes 0 is none. */
void map_bytes_with(struct mapped *mapped, const char *name, const void *bytes, size_t n_bytes,
                    enum mth_dtype raw_dtype, size_t limit_bytes);

/* Frees the map; the account must come out at zero. */
void unmap(struct mapped *mapped);

#endif
