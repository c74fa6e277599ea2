/* Maps that go by rows; see ulp_rows.h. */
#include "codecs/ulp_rans/ulp_rows.h"

#include "base/checked.h"

#include <string.h>

enum { WORD = MTH_ULP_GROUP, MIN_ROWS = 4 /* of a block, that are worth a map */ };

bool mth_ulp_rows_find(const struct mth_row_span *spans, size_t n_spans, size_t first, size_t n_elems,
                       struct mth_ulp_rows *rows)
{
    size_t begin = 0, most = 0, end = first + n_elems;
    for (size_t i = 0; i < n_spans && begin < end; i++) {
        size_t span_end = begin + spans[i].n_elems, row = spans[i].row_elems;
        size_t from = begin > first ? begin : first, to = span_end < end ? span_end : end;
        if (from < to && to - from > most && row >= MTH_ULP_MIN_ROW && n_elems / row >= MIN_ROWS) {
            /* Rows begin `phase` elements before the span; from there to the block's first one modulo a row. */
            size_t into = begin >= first ? (begin - first + row - spans[i].phase % row) % row
                                         : (row - (first - begin + spans[i].phase) % row) % row;
            most = to - from;
            *rows = (struct mth_ulp_rows){.row = row, .first = into, .n_elems = n_elems};
        }
        begin = span_end;
    }
    return most > 0;
}

/* The bits at `at` and behind, as many as a word has; those behind the last word are 0. */
static uint32_t bits_at(const uint32_t *words, size_t n_words, size_t at)
{
    size_t i = at / WORD;
    uint64_t low = i < n_words ? words[i] : 0, high = i + 1 < n_words ? words[i + 1] : 0;
    return (uint32_t)((low | high << WORD) >> at % WORD);
}

static uint32_t lowest(size_t n)
{
    return n >= WORD ? UINT32_MAX : ((uint32_t)1 << n) - 1;
}

/* Sets n bits of `to`, which are 0, to those of `from`. */
static void copy_bits(const uint32_t *from, size_t n_from_words, size_t from_at, uint32_t *to, size_t to_at,
                      size_t n)
{
    while (n > 0) {
        size_t n_now = mth_size_min(n, WORD - to_at % WORD);
        to[to_at / WORD] |= (bits_at(from, n_from_words, from_at) & lowest(n_now)) << to_at % WORD;
        from_at += n_now;
        to_at += n_now;
        n -= n_now;
    }
}

static bool any_bit(const uint32_t *words, size_t begin, size_t end)
{
    uint32_t any = 0;
    size_t first = begin / WORD, last = (end - 1) / WORD;
    for (size_t i = first; i <= last; i++) {
        uint32_t word = words[i];
        if (i == first)
            word &= UINT32_MAX << begin % WORD;
        if (i == last)
            word &= lowest((end - 1) % WORD + 1);
        any |= word;
    }
    return any != 0;
}

static bool is_named(const uint8_t *map, size_t i)
{
    return map[i / 8] >> i % 8 & 1;
}

size_t mth_ulp_rows_mark(const struct mth_ulp_rows *rows, const uint32_t *masks, uint8_t *map)
{
    size_t n = mth_ulp_rows_n(rows), n_elems = 0;
    memset(map, 0, (n + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        size_t begin = mth_ulp_row_begin(rows, i), end = mth_ulp_row_begin(rows, i + 1);
        if (!any_bit(masks, begin, end))
            continue;
        map[i / 8] |= (uint8_t)(1u << i % 8);
        n_elems += end - begin;
    }
    return n_elems;
}

size_t mth_ulp_rows_elems(const struct mth_ulp_rows *rows, const uint8_t *map)
{
    size_t n = mth_ulp_rows_n(rows), n_elems = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_named(map, i))
            n_elems += mth_ulp_row_begin(rows, i + 1) - mth_ulp_row_begin(rows, i);
    }
    return n_elems;
}

/* What fills up the last of n elements' groups. Returns the groups. */
static size_t fill_up(uint8_t *contexts, size_t n)
{
    size_t n_groups = mth_ulp_groups(n);
    memset(contexts + n, MTH_ULP_FILL_CONTEXT, n_groups * MTH_ULP_GROUP - n);
    return n_groups;
}

size_t mth_ulp_rows_pack(const struct mth_ulp_rows *rows, const uint8_t *map, const uint32_t *masks,
                         uint8_t *contexts, uint32_t *out)
{
    size_t n = mth_ulp_rows_n(rows), n_words = mth_ulp_groups(rows->n_elems), at = 0;
    memset(out, 0, n_words * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        size_t begin = mth_ulp_row_begin(rows, i), n_row = mth_ulp_row_begin(rows, i + 1) - begin;
        if (!is_named(map, i))
            continue;
        copy_bits(masks, n_words, begin, out, at, n_row);
        memmove(contexts + at, contexts + begin, n_row);
        at += n_row;
    }
    return fill_up(contexts, at);
}

bool mth_ulp_rows_unpack(const struct mth_ulp_rows *rows, const uint8_t *map, const uint32_t *packed,
                         size_t n_groups, uint32_t *masks)
{
    size_t n = mth_ulp_rows_n(rows), n_packed = mth_ulp_groups(mth_ulp_rows_elems(rows, map)), at = 0;
    memset(masks, 0, n_groups * sizeof *masks);
    for (size_t i = 0; i < n; i++) {
        size_t begin = mth_ulp_row_begin(rows, i), n_row = mth_ulp_row_begin(rows, i + 1) - begin;
        if (!is_named(map, i))
            continue;
        copy_bits(packed, n_packed, at, masks, begin, n_row);
        at += n_row;
    }
    return at % WORD == 0 || packed[at / WORD] >> at % WORD == 0;
}

void mth_ulp_rows_contexts(const struct mth_ulp_rows *rows, const uint8_t *map, struct mth_ulp_state *state,
                           const struct mth_ulp_format *format, const uint8_t *base, uint8_t *out)
{
    size_t n_rows = mth_ulp_rows_n(rows), lane_bytes = format->lane_bits / 8, n;
    uint8_t *to = out;
    for (size_t i = 0; i < n_rows; i++) {
        size_t at = mth_ulp_row_begin(rows, i), end = mth_ulp_row_begin(rows, i + 1);
        for (; is_named(map, i) && at < end; at += n, to += n) {
            /* A group that ends behind the row is overwritten from there on, one that ends behind the base is copied first. */
            size_t n_left = rows->n_elems - at, n_wanted = mth_ulp_groups(end - at);
            const uint8_t *from = base ? base + at * lane_bytes : state->zeros;
            uint8_t group[MTH_ULP_GROUP * 8];
            if (base && n_left < MTH_ULP_GROUP) {
                memset(group, 0, sizeof group);
                memcpy(group, from, n_left * lane_bytes);
                from = group;
                n_wanted = 1;
            } else if (base) {
                n_wanted = mth_size_min(n_wanted, n_left / MTH_ULP_GROUP);
            }
            n_wanted = mth_size_min(n_wanted, MTH_ULP_BATCH_GROUPS);
            state->kernels->contexts(format, from, n_wanted, state->table.top, to);
            n = mth_size_min(n_wanted * MTH_ULP_GROUP, end - at);
        }
    }
    fill_up(out, (size_t)(to - out));
}
