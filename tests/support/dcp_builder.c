/* Checkpoints of torch.distributed.checkpoint made in memory; see dcp_builder.h. */
#include "tests/support/dcp_builder.h"

#include "base/checked.h"
#include "tests/support/guard.h"
#include "tests/support/torch_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA     "ctorch.distributed.checkpoint.metadata\n"
#define STORAGE_INFO "ctorch.distributed.checkpoint.filesystem\n_StorageInfo\n"

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "dcp_builder: %s\n", what);
    abort();
}

void dcp_put(struct mth_buffer *bytes, const void *data, size_t n_bytes)
{
    if (n_bytes == 0)
        return;
    if (bytes->n_bytes + n_bytes > bytes->capacity_bytes) {
        bytes->capacity_bytes = 2 * (bytes->n_bytes + n_bytes);
        bytes->data = realloc(bytes->data, bytes->capacity_bytes);
        must(bytes->data != NULL, "no memory");
    }
    memcpy(bytes->data + bytes->n_bytes, data, n_bytes);
    bytes->n_bytes += n_bytes;
}

void dcp_put_text(struct mth_buffer *bytes, const char *text)
{
    dcp_put(bytes, text, strlen(text));
}

void dcp_put_string(struct mth_buffer *bytes, const char *text)
{
    uint8_t head[5] = {'X'};
    mth_store32(head + 1, (uint32_t)strlen(text));
    dcp_put(bytes, head, sizeof head);
    dcp_put_text(bytes, text);
}

static void put_number(struct mth_buffer *bytes, int32_t number)
{
    uint8_t head[5] = {'J'};
    mth_store32(head + 1, (uint32_t)number);
    dcp_put(bytes, head, sizeof head);
}

void dcp_begin(struct mth_buffer *metadata)
{
    dcp_put_text(metadata, "\x80\2" METADATA "Metadata\n)\x81}(");
    dcp_put_string(metadata, "storage_data");
    dcp_put_text(metadata, "}(");
}

/* A place may hold NULs: it ends at its R, or it is None. */
static size_t place_bytes(const char *place)
{
    size_t n = 0;
    if (place[0] == 'N')
        return 1;
    while (place[n] != 'R')
        n++;
    return n + 1;
}

void dcp_item(struct mth_buffer *metadata, const char *name, const char *place, const char *file,
              int32_t offset, int32_t n_bytes)
{
    dcp_put_text(metadata, METADATA "MetadataIndex\n)\x81}(");
    dcp_put_string(metadata, "fqn");
    dcp_put_string(metadata, name);
    dcp_put_string(metadata, "offset");
    dcp_put(metadata, place, place_bytes(place));
    dcp_put_text(metadata, "ub" STORAGE_INFO ")\x81}(");
    dcp_put_string(metadata, "relative_path");
    dcp_put_string(metadata, file);
    dcp_put_string(metadata, "offset");
    put_number(metadata, offset);
    dcp_put_string(metadata, "length");
    put_number(metadata, n_bytes);
    dcp_put_text(metadata, "ub");
}

void dcp_end(struct mth_buffer *metadata)
{
    dcp_put_text(metadata, "uub.");
}

size_t dcp_put_pickle(struct mth_buffer *file, const void *pickle, size_t n_pickle)
{
    struct mth_buffer archive = torch_archive(pickle, n_pickle);
    size_t n_bytes = archive.n_bytes;
    dcp_put(file, archive.data, n_bytes);
    free(archive.data);
    return n_bytes;
}

size_t dcp_put_tensor(struct mth_buffer *file)
{
    static const char pickle[] = VECTOR ".";
    return dcp_put_pickle(file, pickle, sizeof pickle - 1);
}

void dcp_map(struct mapped *mapped, const struct mth_buffer *metadata, const struct mth_buffer *file,
             size_t limit_bytes)
{
    struct mth_dcp dcp;
    struct mth_source of_metadata, source;
    struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    *mapped = (struct mapped){.memory = mth_memory_create(limit_bytes)};
    must(mapped->memory != NULL, "no memory");
    uint8_t *copies[2] = {guard_alloc(metadata ? metadata->n_bytes : 0), guard_alloc(file->n_bytes)};
    if (metadata)
        memcpy(copies[0], metadata->data, metadata->n_bytes);
    if (file->n_bytes)
        memcpy(copies[1], file->data, file->n_bytes);
    mth_source_memory("a.distcp", (struct mth_bytes){copies[1], file->n_bytes}, &source);
    if (metadata) {
        mth_source_memory("a.metadata", (struct mth_bytes){copies[0], metadata->n_bytes}, &of_metadata);
        mapped->status = mth_dcp_read(&of_metadata, mapped->memory, &dcp, &mapped->err);
        options.dcp = &dcp;
    }
    if (!mapped->status) {
        mapped->status = mth_format_map(&source, &options, mapped->memory, &mapped->map, &mapped->err);
        if (metadata)
            mth_dcp_free(&dcp);
    }
    guard_free(copies[0], metadata ? metadata->n_bytes : 0);
    guard_free(copies[1], file->n_bytes);
    if (mapped->status == MTH_OK) {
        must(mth_region_map_check(&mapped->map) == MTH_OK, "the map does not hold what it promises");
        return;
    }
    must(mapped->status < 0 && mapped->status != MTH_ERR_INTERNAL, "a bug shows as a status");
    must(mapped->err.status == mapped->status, "the line has another status");
    must(strncmp(mapped->err.text, "a.", 2) == 0, "the line does not name the file");
    must(strpbrk(mapped->err.text, "\n\r\033") == NULL, "the line is no line");
    must(mth_memory_current(mapped->memory) == 0, "a failure holds memory");
}
