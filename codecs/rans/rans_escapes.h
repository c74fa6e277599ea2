/* Escaped bytes: they stand in a list of their own at the end of a stream, the first one last. */
#ifndef MTH_CODECS_RANS_ESCAPES_H
#define MTH_CODECS_RANS_ESCAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Collect the bytes of src that have no symbol: the first goes to out[n_out - 1], the next one below.
 *
 * Shape     escaped: 1 for a byte without a symbol, else 0
 * Returns   how many there are; when more than n_out, out means nothing
 */
size_t mth_rans_escapes_take(const uint8_t escaped[256], const uint8_t *src, size_t n, uint8_t *out,
                             size_t n_out);

/*
 * Put escaped bytes where a decoded piece has markers, the first one from in front of *end, which moves down.
 *
 * Errors    false when begin is reached
 */
bool mth_rans_escapes_put(uint8_t marker, uint8_t *dst, size_t n, const uint8_t *begin, const uint8_t **end);

#endif
