/* Escaped bytes; see rans_escapes.h. */
#include "codecs/rans/rans_escapes.h"

#include "base/checked.h"

#include <string.h>

enum { GROUP = 8, RUN = 64 };

/* The longest range of values that are not escaped; most bytes lie in it. */
struct range {
    uint8_t first, n_more;
    bool is_empty;
};

static struct range longest_range(const uint8_t escaped[256])
{
    struct range best = {.is_empty = true};
    for (unsigned v = 0; v < 256; v++) {
        unsigned first = v;
        if (escaped[v])
            continue;
        while (v < 255 && !escaped[v + 1])
            v++;
        if (best.is_empty || v - first > best.n_more)
            best = (struct range){.first = (uint8_t)first, .n_more = (uint8_t)(v - first)};
    }
    return best;
}

/* Compilers make vectors of it. */
static bool all_in_range(struct range range, const uint8_t *src)
{
    uint8_t outside = 0;
    for (size_t i = 0; i < RUN; i++)
        outside |= (uint8_t)(src[i] - range.first) > range.n_more;
    return !outside;
}

size_t mth_rans_escapes_take(const uint8_t escaped[256], const uint8_t *src, size_t n, uint8_t *out,
                             size_t n_out)
{
    size_t found = 0;
    struct range range = longest_range(escaped);
    for (size_t i = 0; i < n;) {
        if (i % RUN == 0 && n - i >= RUN && !range.is_empty && all_in_range(range, src + i)) {
            i += RUN;
            continue;
        }
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
