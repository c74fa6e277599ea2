/*
 * The checks of JSON text that yajl leaves out, made on each byte before yajl sees it.
 *
 * yajl takes overlong and surrogate UTF-8, turns half a surrogate pair into '?', and gathers a string that is
 * split between pieces in a buffer as long as the string. The guard refuses the first two and cuts the inside
 * of long strings out, so that yajl's memory is bounded whatever the text is. It does not check grammar: yajl
 * does.
 */
#ifndef MTH_FORMATS_JSON_GUARD_H
#define MTH_FORMATS_JSON_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MTH_JSON_STRING_MAX_BYTES =
        16384,                     /* of a string, between its quotes and before its escapes are resolved */
    MTH_JSON_WORD_MAX_BYTES = 4096 /* of a number or a literal */
};

/* State between pieces; all zeros at the beginning of a text. */
struct mth_json_guard {
    uint8_t state;
    uint8_t utf8_left, utf8_low, utf8_high; /* continuation bytes to come, and the range of the next one */
    uint8_t hex_left;
    bool wants_low_surrogate;
    bool cutting;
    uint16_t code_unit;
    size_t n_token; /* bytes of the string or word so far */
};

enum mth_json_run_kind {
    MTH_JSON_PASS,     /* goes to yajl as it is */
    MTH_JSON_CUT,      /* the inside of a long string: does not */
    MTH_JSON_CUT_QUOTE /* the quote that ends a string that was cut: goes to yajl */
};

struct mth_json_run {
    enum mth_json_run_kind kind;
    size_t n_bytes; /* on an error: how many bytes before the offending one */
};

/*
 * Check the beginning of a piece of text (n_text >= 1) and say how much of it goes where.
 *
 * Shape     run->n_bytes >= 1 of text are done with; call again with what is left
 * Errors    what is wrong: invalid UTF-8, half a surrogate pair, an unknown escape, a control character, a
 *           word too long; NULL when nothing is
 * Cost      one pass, no allocation
 */
const char *mth_json_guard_next(struct mth_json_guard *guard, const uint8_t *text, size_t n_text,
                                struct mth_json_run *run);

/* Has the text that was checked so far an end to its strings? (yajl takes one without, behind the last
 * value.) */
static inline bool mth_json_guard_is_whole(const struct mth_json_guard *guard)
{
    return guard->state == 0;
}

#endif
