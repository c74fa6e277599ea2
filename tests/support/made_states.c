/* Training states by torch; see made_states.h. */
#include "tests/support/made_states.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct made *made_states_load(const char *name)
{
    struct made *made = calloc(1, sizeof *made);
    struct mth_buffer file = {0};
    struct mth_source source;
    struct mth_error err = {0};
    char path[200];
    assert_non_null(made);
    snprintf(path, sizeof path, MADE_STATES "%s.pt", name);
    made->memory = mth_memory_create(0);
    if (mth_file_read_all(path, made->memory, &file, &err))
        fail_msg("%s", err.text);
    made->data = malloc(file.n_bytes);
    memcpy(made->data, file.data, file.n_bytes);
    mth_source_memory(name, (struct mth_bytes){made->data, file.n_bytes}, &source);
    struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    if (mth_format_map(&source, &options, made->memory, &made->map, &err))
        fail_msg("%s", err.text);
    mth_memory_free(made->memory, file.data);
    return made;
}
