/* The checks of JSON text that yajl leaves out; see json_guard.h. */
#include "formats/json_guard.h"

#include <string.h>

enum { OUTSIDE = 0, IN_STRING, AFTER_BACKSLASH, IN_HEX, WANTS_BACKSLASH, WANTS_U };

static const char bad_utf8[] = "invalid UTF-8";
static const char bad_pair[] = "half a surrogate pair";
static const char bad_hex[] = "\\u without four hex digits";
static const char bad_escape[] = "an escape that JSON does not know";
static const char bad_control[] = "a control character";

/* The Unicode standard, table 3-7: which bytes may follow which in well-formed UTF-8. */
static const char *utf8_first(struct mth_json_guard *guard, uint8_t byte)
{
    if (byte < 0x80)
        return NULL;
    if (byte < 0xc2 || byte > 0xf4)
        return bad_utf8;
    guard->utf8_left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    guard->utf8_low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    guard->utf8_high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return NULL;
}

static const char *utf8_next(struct mth_json_guard *guard, uint8_t byte)
{
    if (byte < guard->utf8_low || byte > guard->utf8_high)
        return bad_utf8;
    guard->utf8_left--;
    guard->utf8_low = 0x80;
    guard->utf8_high = 0xbf;
    return NULL;
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static const char *hex_digit(struct mth_json_guard *guard, uint8_t byte)
{
    int value = hex_value(byte);
    if (value < 0)
        return bad_hex;
    guard->code_unit = (uint16_t)(guard->code_unit << 4 | value);
    if (--guard->hex_left > 0)
        return NULL;
    bool is_high = (guard->code_unit & 0xfc00) == 0xd800;
    bool is_low = (guard->code_unit & 0xfc00) == 0xdc00;
    if (is_low != guard->wants_low_surrogate)
        return bad_pair;
    guard->wants_low_surrogate = is_high;
    guard->state = is_high ? WANTS_BACKSLASH : IN_STRING;
    return NULL;
}

static const char *outside(struct mth_json_guard *guard, uint8_t byte)
{
    switch (byte) {
    case '"':
        guard->state = IN_STRING;
        guard->n_token = 0;
        return NULL;
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case ',':
    case ':':
    case '[':
    case ']':
    case '{':
    case '}':
        guard->n_token = 0;
        return NULL;
    default:
        if (byte < 0x20)
            return bad_control;
        return ++guard->n_token > MTH_JSON_WORD_MAX_BYTES ? "a number or word that does not end" : NULL;
    }
}

static const char *after_backslash(struct mth_json_guard *guard, uint8_t byte)
{
    if (byte == '\0' || !strchr("\"\\/bfnrtu", byte))
        return bad_escape;
    guard->state = byte == 'u' ? IN_HEX : IN_STRING;
    guard->hex_left = 4;
    guard->code_unit = 0;
    return NULL;
}

/* One byte on. Strings are checked whole, because yajl may not see all of them. */
static const char *step(struct mth_json_guard *guard, uint8_t byte)
{
    if (guard->state != OUTSIDE)
        guard->n_token++;
    if (guard->utf8_left > 0)
        return utf8_next(guard, byte);
    switch (guard->state) {
    case OUTSIDE: {
        const char *why = outside(guard, byte);
        return why ? why : utf8_first(guard, byte);
    }
    case AFTER_BACKSLASH:
        return after_backslash(guard, byte);
    case IN_HEX:
        return hex_digit(guard, byte);
    case WANTS_BACKSLASH:
        guard->state = WANTS_U;
        return byte == '\\' ? NULL : bad_pair;
    case WANTS_U:
        guard->state = IN_HEX;
        guard->hex_left = 4;
        guard->code_unit = 0;
        return byte == 'u' ? NULL : bad_pair;
    default:
        if (byte < 0x20)
            return bad_control;
        if (byte == '"') {
            guard->state = OUTSIDE;
            guard->n_token = 0;
        } else if (byte == '\\') {
            guard->state = AFTER_BACKSLASH;
        }
        return utf8_first(guard, byte);
    }
}

/* Does a cut begin or end before this byte? Never inside of an escape, which yajl must see whole. */
static bool turns_here(const struct mth_json_guard *guard, uint8_t byte)
{
    if (guard->state != IN_STRING)
        return false;
    return guard->cutting ? byte == '"' : byte != '"' && guard->n_token >= MTH_JSON_STRING_MAX_BYTES;
}

const char *mth_json_guard_next(struct mth_json_guard *guard, const uint8_t *text, size_t n_text,
                                struct mth_json_run *run)
{
    *run = (struct mth_json_run){.kind = MTH_JSON_PASS};
    if (turns_here(guard, text[0])) {
        guard->cutting = !guard->cutting;
        if (!guard->cutting) {
            *run = (struct mth_json_run){.kind = MTH_JSON_CUT_QUOTE, .n_bytes = 1};
            return step(guard, text[0]);
        }
    }
    if (guard->cutting)
        run->kind = MTH_JSON_CUT;
    const char *why = NULL;
    do {
        why = step(guard, text[run->n_bytes]);
    } while (!why && ++run->n_bytes < n_text && !turns_here(guard, text[run->n_bytes]));
    return why;
}
