/* Writing JSON; see json_writer.h. */
#include "harness/json_writer.h"

#include "base/status.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mth_json_writer_init(struct mth_json_writer *writer)
{
    *writer = (struct mth_json_writer){0};
}

void mth_json_writer_free(struct mth_json_writer *writer)
{
    free(writer->text);
    *writer = (struct mth_json_writer){0};
}

void mth_json_writer_reset(struct mth_json_writer *writer)
{
    writer->n_bytes = 0;
    writer->depth = 0;
    writer->status = MTH_OK;
}

/* Appends bytes; there is always room for two more behind them, the newline and the NUL. */
static void put(struct mth_json_writer *writer, const char *bytes, size_t n)
{
    if (writer->status)
        return;
    if (writer->capacity_bytes - writer->n_bytes < n + 2) {
        size_t capacity = (writer->n_bytes + n) * 2 + 256;
        char *text = realloc(writer->text, capacity);
        if (!text) {
            writer->status = MTH_ERR_NO_MEMORY;
            return;
        }
        writer->text = text;
        writer->capacity_bytes = capacity;
    }
    memcpy(writer->text + writer->n_bytes, bytes, n);
    writer->n_bytes += n;
}

/*
 * The bytes of the UTF-8 sequence that starts at p, 0 when there is none: overlong forms, surrogates and what
 * lies beyond U+10FFFF are none (RFC 3629, section 4).
 */
static size_t utf8_length(const unsigned char *p)
{
    static const struct {
        unsigned char lead_min, lead_max, second_min, second_max, length;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
                 {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (p[0] < forms[i].lead_min || p[0] > forms[i].lead_max)
            continue;
        if (p[1] < forms[i].second_min || p[1] > forms[i].second_max)
            return 0;
        /* A NUL is no continuation byte, so that this never reads past the end. */
        for (size_t k = 2; k < forms[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static void put_string(struct mth_json_writer *writer, const char *value)
{
    put(writer, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)value; *p;) {
        size_t length = utf8_length(p);
        char escape[8];
        if (length == 0) {
            put(writer, "\\ufffd", 6);
            length = 1;
        } else if (*p == '"' || *p == '\\') {
            escape[0] = '\\';
            escape[1] = (char)*p;
            put(writer, escape, 2);
        } else if (*p < 0x20 || *p == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", *p);
            put(writer, escape, 6);
        } else {
            put(writer, (const char *)p, length);
        }
        p += length;
    }
    put(writer, "\"", 1);
}

/* The comma and the key before a value. */
static void put_key(struct mth_json_writer *writer, const char *key)
{
    if (writer->depth > 0) {
        if (writer->has_items[writer->depth - 1])
            put(writer, ",", 1);
        writer->has_items[writer->depth - 1] = true;
    }
    if (key) {
        put_string(writer, key);
        put(writer, ":", 1);
    }
}

static void begin(struct mth_json_writer *writer, const char *key, const char *opener, char closer)
{
    put_key(writer, key);
    if (writer->depth == MTH_JSON_MAX_DEPTH) {
        writer->status = MTH_ERR_INTERNAL;
        return;
    }
    put(writer, opener, 1);
    writer->closers[writer->depth] = closer;
    writer->has_items[writer->depth] = false;
    writer->depth++;
}

void mth_json_begin_object(struct mth_json_writer *writer, const char *key)
{
    begin(writer, key, "{", '}');
}

void mth_json_begin_array(struct mth_json_writer *writer, const char *key)
{
    begin(writer, key, "[", ']');
}

void mth_json_end(struct mth_json_writer *writer)
{
    if (writer->depth == 0) {
        writer->status = MTH_ERR_INTERNAL;
        return;
    }
    writer->depth--;
    put(writer, &writer->closers[writer->depth], 1);
}

static void put_text_value(struct mth_json_writer *writer, const char *key, const char *text)
{
    put_key(writer, key);
    put(writer, text, strlen(text));
}

void mth_json_string(struct mth_json_writer *writer, const char *key, const char *value)
{
    if (!value) {
        mth_json_null(writer, key);
        return;
    }
    put_key(writer, key);
    put_string(writer, value);
}

void mth_json_int(struct mth_json_writer *writer, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    put_text_value(writer, key, text);
}

void mth_json_uint(struct mth_json_writer *writer, const char *key, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    put_text_value(writer, key, text);
}

void mth_json_real(struct mth_json_writer *writer, const char *key, double value)
{
    if (!isfinite(value)) {
        mth_json_null(writer, key);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put_text_value(writer, key, text);
}

void mth_json_bool(struct mth_json_writer *writer, const char *key, bool value)
{
    put_text_value(writer, key, value ? "true" : "false");
}

void mth_json_null(struct mth_json_writer *writer, const char *key)
{
    put_text_value(writer, key, "null");
}

int mth_json_writer_text(struct mth_json_writer *writer, const char **text, size_t *n_bytes)
{
    put(writer, "", 0);
    if (!writer->status && writer->depth != 0)
        writer->status = MTH_ERR_INTERNAL;
    *text = NULL;
    *n_bytes = 0;
    if (writer->status)
        return writer->status;
    writer->text[writer->n_bytes] = '\n';
    writer->text[writer->n_bytes + 1] = '\0';
    *text = writer->text;
    *n_bytes = writer->n_bytes + 1;
    return MTH_OK;
}
