/* The sparse mode: one value nearly everywhere, and a list of where it is not. spec.md describes its bytes. */
#ifndef MTH_CODECS_RANS_SPARSE_H
#define MTH_CODECS_RANS_SPARSE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that n_others exceptions take when they are spread evenly over n; for choosing a mode. */
uint64_t mth_rans_sparse_estimate(size_t n, size_t n_others);

/* Write the exceptions. Returns the end of what was written, or NULL when end would be passed. */
uint8_t *mth_rans_sparse_write(const uint8_t *src, size_t n, uint8_t value, uint8_t *out, uint8_t *end);

enum { MTH_RANS_SHORT_HEAD_BYTES = 2 };

/*
 * A stream of one value, or of nearly one: a byte that says so, which differs by codec, the value, and the exceptions.
 *
 * Shape     n_others: bytes of src that are not value; dst: n_room
 * Returns   the bytes written, 0 when there is no room
 */
size_t mth_rans_short_write(struct mth_bytes src, uint8_t mode, size_t n_others, uint8_t value, uint8_t *dst,
                            size_t n_room);

/* Fill dst. Errors: MTH_ERR_CORRUPT, unless wire is used up and every exception lies in dst. */
int mth_rans_sparse_read(struct mth_bytes wire, uint8_t value, uint8_t *dst, size_t n);

#endif
