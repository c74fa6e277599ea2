/* Digests of whole files, and whether a file is the one that a manifest means. */
#ifndef MTH_HARNESS_FILE_DIGEST_H
#define MTH_HARNESS_FILE_DIGEST_H

#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "harness/datasets.h"

#include <stdbool.h>
#include <stdint.h>

enum { MTH_SHA256_HEX_BYTES = 65 };

struct mth_file_digest {
    uint64_t n_bytes;
    char xxh3[MTH_DIGEST_HEX_BYTES];
    char sha256[MTH_SHA256_HEX_BYTES]; /* empty when it was not asked for */
};

/*
 * Read a file once for its size and XXH3-128, and with with_sha256 once more for its SHA-256, which the
 * system's sha256sum (or shasum) computes. Errors: those of reading; MTH_ERR_NOT_FOUND when neither tool is
 * installed. Cost: 1 MiB of memory.
 */
int mth_file_digest(const char *path, bool with_sha256, struct mth_file_digest *digest,
                    struct mth_error *err);

/* XXH3-128 of all that a source has. Errors: those of reading. Cost: as above. */
int mth_source_digest(const struct mth_source *source, struct mth_digest *digest, struct mth_error *err);

/*
 * Compare what was read at path with what is known of a dataset's file; what is not known, or was not
 * computed, is not compared. Errors: MTH_ERR_CHECKSUM with a line that says what differs.
 */
int mth_file_digest_compare(const struct mth_file_digest *digest, const struct mth_dataset_file *file,
                            const char *path, struct mth_error *err);

#endif
