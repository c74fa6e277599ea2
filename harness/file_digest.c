/* Digests of whole files; see file_digest.h. */
#include "harness/file_digest.h"

#include "base/checked.h"
#include "base/file.h"
#include "harness/child.h"

#include <stdlib.h>
#include <string.h>

enum { MTH_PIECE_BYTES = 1 << 20 };

int mth_source_digest(const struct mth_source *source, struct mth_digest *digest, struct mth_error *err)
{
    int status = MTH_OK;
    struct mth_hash_stream *stream = mth_hash_stream_create();
    uint8_t *piece = malloc(MTH_PIECE_BYTES);
    if (!stream || !piece)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", source->name);
    for (uint64_t offset = 0; !status && offset < source->n_bytes;) {
        uint64_t left = source->n_bytes - offset;
        size_t n = left < MTH_PIECE_BYTES ? (size_t)left : MTH_PIECE_BYTES;
        status = mth_source_read(source, offset, piece, n, err);
        if (!status)
            mth_hash_stream_update(stream, piece, n);
        offset += n;
    }
    if (!status)
        *digest = mth_hash_stream_digest(stream);
    free(piece);
    mth_hash_stream_destroy(stream);
    return status;
}

static int digest_xxh3(const char *path, struct mth_file_digest *digest, struct mth_error *err)
{
    struct mth_source source;
    struct mth_digest xxh3;
    int status = mth_source_open(path, &source, err);
    if (status)
        return status;
    digest->n_bytes = source.n_bytes;
    status = mth_source_digest(&source, &xxh3, err);
    if (!status)
        mth_digest_hex(&xxh3, digest->xxh3);
    mth_source_close(&source);
    return status;
}

static int digest_sha256(const char *path, struct mth_file_digest *digest, struct mth_error *err)
{
    const char *const coreutils[] = {"sha256sum", "--", path, NULL};
    const char *const perl[] = {"shasum", "-a", "256", "--", path, NULL};
    char text[256];
    int status = mth_child_run(coreutils, text, sizeof text, err);
    if (status == MTH_ERR_NOT_FOUND)
        status = mth_child_run(perl, text, sizeof text, err);
    if (status == MTH_ERR_NOT_FOUND)
        return mth_error_set(err, status,
                             "%s: its SHA-256 needs sha256sum (coreutils) or shasum, which are not installed",
                             path);
    if (status)
        return status;
    /* Both put a backslash first when the name holds characters that they escape. */
    const char *hex = text + (text[0] == '\\');
    if (strspn(hex, "0123456789abcdef") != MTH_SHA256_HEX_BYTES - 1)
        return mth_error_set(err, MTH_ERR_LIBRARY, "%s: sha256sum printed no SHA-256", path);
    memcpy(digest->sha256, hex, MTH_SHA256_HEX_BYTES - 1);
    return MTH_OK;
}

int mth_file_digest(const char *path, bool with_sha256, struct mth_file_digest *digest, struct mth_error *err)
{
    *digest = (struct mth_file_digest){0};
    int status = digest_xxh3(path, digest, err);
    return status || !with_sha256 ? status : digest_sha256(path, digest, err);
}

int mth_file_digest_compare(const struct mth_file_digest *digest, const struct mth_dataset_file *file,
                            const char *path, struct mth_error *err)
{
    const char *who = file->recorded ? "the first fetch recorded" : "the manifest says";
    if (file->n_bytes && digest->n_bytes != file->n_bytes)
        return mth_error_set(err, MTH_ERR_CHECKSUM, "%s: has %llu bytes, %s %llu", path,
                             (unsigned long long)digest->n_bytes, who, (unsigned long long)file->n_bytes);
    if (file->xxh3 && strcmp(digest->xxh3, file->xxh3) != 0)
        return mth_error_set(err, MTH_ERR_CHECKSUM, "%s: its XXH3-128 is %s, %s %s", path, digest->xxh3, who,
                             file->xxh3);
    if (file->sha256 && digest->sha256[0] && strcmp(digest->sha256, file->sha256) != 0)
        return mth_error_set(err, MTH_ERR_CHECKSUM, "%s: its SHA-256 is %s, %s %s", path, digest->sha256, who,
                             file->sha256);
    return MTH_OK;
}
