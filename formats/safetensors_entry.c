/* Entries as the reference implementation writes them; see safetensors_entry.h. */
#include "formats/safetensors_entry.h"

#include "base/dtype.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_DIGITS = 18, MAX_DTYPE_BYTES = 16 };

struct cursor {
    const uint8_t *at, *end;
};

static bool skip(struct cursor *cursor, const char *word, size_t n_word)
{
    if ((size_t)(cursor->end - cursor->at) < n_word || memcmp(cursor->at, word, n_word) != 0)
        return false;
    cursor->at += n_word;
    return true;
}

#define SKIP(cursor, literal) skip(cursor, literal, sizeof(literal) - 1)

/* Text up to a quote, which is passed: printable ASCII, so that it needs neither decoding nor checking. */
static bool plain_text(struct cursor *cursor, size_t max, const char **text, size_t *n_text)
{
    const uint8_t *begin = cursor->at, *at = begin;
    size_t n_left = (size_t)(cursor->end - begin);
    const uint8_t *end = begin + (n_left < max ? n_left : max);
    while (at < end && *at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\')
        at++;
    if (at == end || *at != '"')
        return false;
    *text = (const char *)begin;
    *n_text = (size_t)(at - begin);
    cursor->at = at + 1;
    return true;
}

/* As JSON has it: no zeros in front. */
static bool number(struct cursor *cursor, uint64_t *out)
{
    const uint8_t *begin = cursor->at, *at = begin;
    uint64_t value = 0;
    while (at < cursor->end && *at >= '0' && *at <= '9' && at - begin < MAX_DIGITS)
        value = value * 10 + (uint64_t)(*at++ - '0');
    if (at == begin || (*begin == '0' && at - begin > 1))
        return false;
    cursor->at = at;
    *out = value;
    return true;
}

static bool shape(struct cursor *cursor, struct mth_safetensors_entry *entry)
{
    entry->n_dims = 0;
    if (SKIP(cursor, "]"))
        return true;
    do {
        if (entry->n_dims == MTH_MAX_DIMS || !number(cursor, &entry->dims[entry->n_dims++]))
            return false;
    } while (SKIP(cursor, ","));
    return SKIP(cursor, "]");
}

static bool dtype(struct cursor *cursor, enum mth_dtype *out)
{
    const char *text;
    size_t n_text;
    if (!plain_text(cursor, MAX_DTYPE_BYTES, &text, &n_text))
        return false;
    *out = mth_dtype_find(text, n_text);
    if (*out == MTH_N_DTYPES || *out == MTH_DTYPE_OPAQUE)
        return false;
    /* The lookup also takes other spellings, the format only its own. */
    const char *name = mth_dtype_info(*out)->name;
    return strlen(name) == n_text && memcmp(name, text, n_text) == 0;
}

size_t mth_safetensors_entry_scan(const uint8_t *text, size_t n_text, struct mth_safetensors_entry *entry)
{
    static const char metadata[] = "__metadata__";
    struct cursor cursor = {text, text + n_text};
    bool read = SKIP(&cursor, "\"") &&
                plain_text(&cursor, MTH_SAFETENSORS_ENTRY_NAME_MAX, &entry->name, &entry->n_name) &&
                SKIP(&cursor, ":{\"dtype\":\"") && dtype(&cursor, &entry->dtype) &&
                SKIP(&cursor, ",\"shape\":[") && shape(&cursor, entry) &&
                SKIP(&cursor, ",\"data_offsets\":[") && number(&cursor, &entry->begin) &&
                SKIP(&cursor, ",") && number(&cursor, &entry->end) && SKIP(&cursor, "]},") &&
                cursor.at < cursor.end && *cursor.at == '"';
    if (!read || (entry->n_name == sizeof metadata - 1 && memcmp(entry->name, metadata, entry->n_name) == 0))
        return 0;
    return (size_t)(cursor.at - text);
}

size_t mth_safetensors_entry_next(const uint8_t *text, size_t n_text)
{
    const uint8_t *at = text, *end = text + n_text;
    while (end - at > 2 && (at = memchr(at, '}', (size_t)(end - at) - 2)) != NULL) {
        if (at[1] == ',' && at[2] == '"')
            return (size_t)(at + 2 - text);
        at++;
    }
    return n_text;
}
