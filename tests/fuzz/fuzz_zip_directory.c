/*
 * Fuzz target: any bytes as a zip archive.
 *
 * Whatever they are, reading ends with a directory or a line; each member lies inside of the file, apart from the others,
 * and is found by its name.
 */
#include "formats/zip_directory.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_zip_directory directory;
    struct mth_error err = {0};
    uint64_t n_bytes = 0;
    must(memory != NULL);
    mth_source_memory("fuzz.zip", (struct mth_bytes){data, size}, &source);
    int status = mth_zip_directory_read(&source, memory, &directory, &err);
    if (status == MTH_OK) {
        must(directory.offset <= size);
        for (size_t i = 0; i < directory.n_members; i++) {
            const struct mth_zip_member *member = &directory.members[i];
            must(member->header_offset < member->data_offset && member->data_offset <= directory.offset &&
                 member->n_bytes <= directory.offset - member->data_offset);
            must(member->central_crc_offset <= size - 4);
            must(member->local_crc_offset == MTH_ZIP_NO_OFFSET || member->local_crc_offset <= size - 4);
            must(mth_zip_find(&directory, mth_zip_name(&directory, member), member->n_name) == member);
            n_bytes += member->n_bytes;
        }
        must(n_bytes <= size);
        mth_zip_directory_free(&directory);
    } else {
        must(status != MTH_ERR_INTERNAL && err.status == status && err.text[0] != '\0');
    }
    must(mth_memory_current(memory) == 0);
    mth_memory_destroy(memory);
    return 0;
}
