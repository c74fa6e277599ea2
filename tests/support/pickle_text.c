/* Descriptions of pickles as text; see pickle_text.h. */
#include "tests/support/pickle_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { MAX_DEPTH = 20, ROOM_FOR_DOTS = 96 };

struct printer {
    const struct mth_pickle *pickle;
    char *text;
    size_t n_text;
    unsigned depth;
};

static void put(struct printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct printer *p, const char *format, ...)
{
    size_t room = PICKLE_TEXT_BYTES - p->n_text;
    va_list args;
    if (room <= ROOM_FOR_DOTS)
        return;
    va_start(args, format);
    int n = vsnprintf(p->text + p->n_text, room, format, args);
    va_end(args);
    p->n_text += (size_t)n < room ? (size_t)n : room - 1;
}

static void print(struct printer *p, uint32_t ref);

static void print_items(struct printer *p, uint32_t ref, const char *open, const char *close)
{
    struct mth_pickle_cursor cursor;
    uint32_t key, value;
    bool is_first = true;
    put(p, "%s", open);
    mth_pickle_begin(p->pickle, ref, &cursor);
    while (p->n_text + ROOM_FOR_DOTS < PICKLE_TEXT_BYTES && mth_pickle_next(&cursor, &key, &value)) {
        put(p, "%s", is_first ? "" : ", ");
        is_first = false;
        if (cursor.has_entries) {
            print(p, key);
            put(p, ": ");
        }
        print(p, value);
    }
    put(p, "%s", close);
}

static void print_object(struct printer *p, uint32_t ref)
{
    struct mth_pickle_object object;
    mth_pickle_object(p->pickle, ref, &object);
    print(p, object.callable);
    print(p, object.args);
    if (object.state != MTH_PICKLE_REF_NONE) {
        put(p, "|");
        print(p, object.state);
    }
    if (mth_pickle_length(p->pickle, ref) > 0)
        print_items(p, ref, object.has_entries ? "|{" : "|[", object.has_entries ? "}" : "]");
}

static void print(struct printer *p, uint32_t ref)
{
    const struct mth_pickle *pickle = p->pickle;
    size_t n_text = 0;
    int64_t integer = 0;
    double real = 0;
    if (p->depth == MAX_DEPTH) {
        put(p, "...");
        return;
    }
    p->depth++;
    const char *text = mth_pickle_text(pickle, ref, &n_text);
    switch (mth_pickle_kind(pickle, ref)) {
    case MTH_PICKLE_NONE:
        put(p, "None");
        break;
    case MTH_PICKLE_BOOL:
        mth_pickle_int(pickle, ref, &integer);
        put(p, integer ? "True" : "False");
        break;
    case MTH_PICKLE_INT:
        mth_pickle_int(pickle, ref, &integer);
        put(p, "%" PRId64, integer);
        break;
    case MTH_PICKLE_FLOAT:
        mth_pickle_float(pickle, ref, &real);
        put(p, "%.17g", real);
        break;
    case MTH_PICKLE_STRING:
        if (text)
            put(p, "'%s'", text);
        else
            put(p, "'[%" PRIu32 " bytes]'", mth_pickle_length(pickle, ref));
        break;
    case MTH_PICKLE_BYTES:
        put(p, "b[%" PRIu32 " bytes]", mth_pickle_length(pickle, ref));
        break;
    case MTH_PICKLE_TUPLE:
        print_items(p, ref, "(", ")");
        break;
    case MTH_PICKLE_LIST:
        print_items(p, ref, "[", "]");
        break;
    case MTH_PICKLE_SET:
    case MTH_PICKLE_DICT:
        print_items(p, ref, "{", "}");
        break;
    case MTH_PICKLE_GLOBAL:
        put(p, "<%s>", text ? text : "...");
        break;
    case MTH_PICKLE_OBJECT:
        print_object(p, ref);
        break;
    case MTH_PICKLE_PERSISTENT:
        put(p, "@");
        print(p, mth_pickle_persistent_id(pickle, ref));
        break;
    case MTH_PICKLE_OPAQUE:
        put(p, "?");
        break;
    }
    p->depth--;
}

void pickle_text(const struct mth_pickle *pickle, char text[PICKLE_TEXT_BYTES])
{
    struct printer p = {.pickle = pickle, .text = text};
    text[0] = '\0';
    print(&p, pickle->root);
    if (PICKLE_TEXT_BYTES - p.n_text <= ROOM_FOR_DOTS)
        snprintf(text + p.n_text, PICKLE_TEXT_BYTES - p.n_text, "...");
}
