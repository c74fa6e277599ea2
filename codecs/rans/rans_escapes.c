/* Escaped bytes; see rans_escapes.h. */
#include "codecs/rans/rans_escapes.h"

#include "base/checked.h"

#include <string.h>

enum { GROUP = 8 };

size_t mth_rans_escapes_take(const uint8_t escaped[256], const uint8_t *src, size_t n, uint8_t *out,
                             size_t n_out)
{
    size_t found = 0;
    for (size_t i = 0; i < n;) {
        /* They are rare: mostly there is none in a group. */
        size_t stop = mth_size_min(n, i + GROUP);
        if (stop - i == GROUP &&
            !(escaped[src[i]] | escaped[src[i + 1]] | escaped[src[i + 2]] | escaped[src[i + 3]] |
              escaped[src[i + 4]] | escaped[src[i + 5]] | escaped[src[i + 6]] | escaped[src[i + 7]])) {
            i = stop;
            continue;
        }
        for (; i < stop; i++) {
            if (!escaped[src[i]])
                continue;
            if (found < n_out)
                out[n_out - 1 - found] = src[i];
            found++;
        }
    }
    return found;
}

bool mth_rans_escapes_put(uint8_t marker, uint8_t *dst, size_t n, const uint8_t *begin, const uint8_t **end)
{
    for (uint8_t *at = dst, *stop = dst + n; at < stop; at++) {
        at = memchr(at, marker, (size_t)(stop - at));
        if (!at)
            return true;
        if (*end == begin)
            return false;
        *at = *--*end;
    }
    return true;
}
