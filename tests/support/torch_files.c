/* Checkpoints of PyTorch made in memory; see torch_files.h. */
#include "tests/support/torch_files.h"

#include "tests/support/zip_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct mth_buffer torch_archive(const void *pickle, size_t n_pickle)
{
    static const uint8_t zeros[STORAGE_BYTES];
    struct zip_builder builder = {0};
    zip_builder_store(&builder, "archive/data.pkl", pickle, n_pickle);
    zip_builder_store(&builder, "archive/data/0", zeros, sizeof zeros);
    zip_builder_store(&builder, "archive/data/1", zeros, sizeof zeros);
    return zip_builder_finish(&builder, NULL);
}

void torch_map_pickle(struct mapped *mapped, const void *pickle, size_t n_pickle)
{
    struct mth_buffer file = torch_archive(pickle, n_pickle);
    map_bytes(mapped, "made.pt", file.data, file.n_bytes);
    free(file.data);
}

void torch_names(const void *pickle, size_t n_pickle, const char *wanted)
{
    struct mapped mapped;
    char found[4096] = "";
    torch_map_pickle(&mapped, pickle, n_pickle);
    if (mapped.status)
        print_error("%s\n", mapped.err.text);
    assert_int_equal(mapped.status, MTH_OK);
    for (size_t i = 0; i < mapped.map.n_tensors; i++) {
        size_t n = strlen(found);
        snprintf(found + n, sizeof found - n, "%s ", mth_tensor_name(&mapped.map, &mapped.map.tensors[i]));
    }
    assert_string_equal(found, wanted);
    unmap(&mapped);
}

void torch_refused(const void *pickle, size_t n_pickle, int status, const char *words)
{
    struct mapped mapped;
    torch_map_pickle(&mapped, pickle, n_pickle);
    if (mapped.status != status || !strstr(mapped.err.text, words))
        print_error("wanted %s and '%s', got %s: %s\n", mth_status_name(status), words,
                    mth_status_name(mapped.status), mapped.err.text);
    assert_int_equal(mapped.status, status);
    assert_non_null(strstr(mapped.err.text, words));
    unmap(&mapped);
}

void torch_file_refused(struct mth_buffer file, int status, const char *words)
{
    struct mapped mapped;
    map_bytes(&mapped, "made.pt", file.data, file.n_bytes);
    if (mapped.status != status || !strstr(mapped.err.text, words))
        print_error("wanted %s and '%s', got %s: %s\n", mth_status_name(status), words,
                    mth_status_name(mapped.status), mapped.err.text);
    assert_int_equal(mapped.status, status);
    assert_non_null(strstr(mapped.err.text, words));
    unmap(&mapped);
    free(file.data);
}
