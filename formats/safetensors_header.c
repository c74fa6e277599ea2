/*
 * The JSON header of a safetensors file, read as a stream; see safetensors_header.h.
 *
 * Text goes piece by piece through json_guard and yajl; yajl's events drive a small machine (enum place) that
 * adds a tensor to the map when its object ends. Nothing of the JSON is kept but names and shapes.
 */
#include "formats/safetensors_header.h"

#include "base/checked.h"
#include "formats/json_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum {
    PIECE_BYTES = 64 << 10,
    /* yajl has two buffers that double from 2 KiB until they hold the longest string and never shrink: less
     * than 4 * 16 KiB each in a memory that frees nothing, and less than 16 KiB for all else. */
    ARENA_BYTES = 192 << 10,
    ARENA_ALIGNMENT = 16,
    MAX_DEPTH = 127 /* as serde_json's recursion limit */
};

/* Where in the header the next event falls. */
enum place {
    AT_START,
    IN_FILE, /* between the tensors */
    AT_METADATA,
    IN_METADATA,
    AT_TENSOR,
    IN_TENSOR, /* between the fields of a tensor */
    AT_DTYPE,
    AT_SHAPE,
    IN_SHAPE,
    AT_OFFSETS,
    IN_OFFSETS,
    AT_UNKNOWN, /* the value of a field that the format does not know */
    AT_END
};

enum event { NULL_VALUE, BOOLEAN, NUMBER, STRING, KEY, MAP_BEGIN, MAP_END, ARRAY_BEGIN, ARRAY_END };

enum field { FIELD_DTYPE = 1, FIELD_SHAPE = 2, FIELD_OFFSETS = 4, ALL_FIELDS = 7 };

struct parser {
    const struct mth_source *source;
    struct mth_region_map *map;
    struct mth_error *err;
    uint64_t n_data; /* bytes of the file behind the header */
    yajl_handle yajl;
    uint64_t run_offset; /* in the file, of what yajl is parsing */
    bool string_was_cut;
    int status;
    enum place place;
    size_t depth, unknown_depth;
    bool seen_metadata;
    /* The tensor at hand. */
    unsigned fields;
    enum mth_dtype dtype;
    size_t n_dims, n_offsets, n_name;
    uint64_t dims[MTH_MAX_DIMS];
    uint64_t offsets[2];
    char name[MTH_JSON_STRING_MAX_BYTES + 1];
    uint8_t piece[PIECE_BYTES];
    /* yajl does not look whether it got memory. It gets this, and a jump out when it wants more. */
    jmp_buf no_memory;
    size_t arena_used;
    _Alignas(ARENA_ALIGNMENT) uint8_t arena[ARENA_BYTES];
};

static void *arena_take(void *ctx, size_t n_bytes)
{
    struct parser *p = ctx;
    size_t room = ARENA_BYTES - p->arena_used;
    if (room < ARENA_ALIGNMENT || n_bytes > room - ARENA_ALIGNMENT)
        longjmp(p->no_memory, 1);
    uint8_t *block = p->arena + p->arena_used + ARENA_ALIGNMENT;
    memcpy(block - ARENA_ALIGNMENT, &n_bytes, sizeof n_bytes);
    p->arena_used += ARENA_ALIGNMENT + (n_bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    p->arena_used = mth_size_min(p->arena_used, ARENA_BYTES);
    return block;
}

static void arena_free(void *ctx, void *block)
{
    (void)ctx;
    (void)block;
}

static void *arena_grow(void *ctx, void *block, size_t n_bytes)
{
    void *fresh = arena_take(ctx, n_bytes);
    if (block) {
        size_t n_old;
        memcpy(&n_old, (uint8_t *)block - ARENA_ALIGNMENT, sizeof n_old);
        memcpy(fresh, block, mth_size_min(n_old, n_bytes));
    }
    return fresh;
}

static uint64_t file_offset(const struct parser *p)
{
    return p->run_offset + (p->yajl ? yajl_get_bytes_consumed(p->yajl) : 0);
}

/* Records an error with its place and stops yajl. Names the tensor at hand when there is one. */
static int fail(struct parser *p, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fail(struct parser *p, int status, const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    unsigned long long offset = file_offset(p);
    if (p->place >= AT_TENSOR && p->place <= AT_UNKNOWN)
        mth_error_set(p->err, status, "%s: tensor '%.80s': %s (header, before byte %llu of the file)",
                      p->source->name, p->name, what, offset);
    else
        mth_error_set(p->err, status, "%s: %s (header, before byte %llu of the file)", p->source->name, what,
                      offset);
    p->status = status;
    return 0;
}

static bool text_is(const char *text, size_t n_text, const char *word)
{
    return n_text == strlen(word) && memcmp(text, word, n_text) == 0;
}

static int begin_entry(struct parser *p, const char *text, size_t n_text)
{
    if (text_is(text, n_text, "__metadata__")) {
        if (p->seen_metadata)
            return fail(p, MTH_ERR_FORMAT, "__metadata__ is there twice");
        p->seen_metadata = true;
        p->place = AT_METADATA;
        return 1;
    }
    if (p->string_was_cut || n_text >= sizeof p->name)
        return fail(p, MTH_ERR_FORMAT, "the tensor name '%.*s...' is longer than %d bytes", 40, text,
                    MTH_JSON_STRING_MAX_BYTES);
    if (n_text && memchr(text, '\0', n_text))
        return fail(p, MTH_ERR_FORMAT, "a tensor name contains a NUL, which mithril does not take");
    memcpy(p->name, text, n_text);
    p->name[n_text] = '\0';
    p->n_name = n_text;
    p->fields = 0;
    p->n_dims = p->n_offsets = 0;
    p->place = AT_TENSOR;
    return 1;
}

static int begin_field(struct parser *p, const char *text, size_t n_text)
{
    static const struct {
        const char *name;
        enum field field;
        enum place place;
    } known[] = {{"dtype", FIELD_DTYPE, AT_DTYPE},
                 {"shape", FIELD_SHAPE, AT_SHAPE},
                 {"data_offsets", FIELD_OFFSETS, AT_OFFSETS}};
    p->place = AT_UNKNOWN;
    p->unknown_depth = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!text_is(text, n_text, known[i].name))
            continue;
        if (p->fields & known[i].field)
            return fail(p, MTH_ERR_FORMAT, "%s is there twice", known[i].name);
        p->fields |= known[i].field;
        p->place = known[i].place;
    }
    return 1;
}

static int set_dtype(struct parser *p, const char *text, size_t n_text)
{
    enum mth_dtype dtype = mth_dtype_find(text, n_text);
    /* The lookup also takes other spellings, the format only its own. */
    if (dtype == MTH_N_DTYPES || dtype == MTH_DTYPE_OPAQUE ||
        !text_is(text, n_text, mth_dtype_info(dtype)->name))
        return fail(p, MTH_ERR_FORMAT, "unknown dtype '%.*s'; mithril knows those of safetensors 0.8",
                    (int)mth_size_min(n_text, 40), text);
    p->dtype = dtype;
    p->place = IN_TENSOR;
    return 1;
}

/* A number must be digits alone: the reference takes neither a sign nor a fraction nor an exponent. */
static int add_number(struct parser *p, const char *text, size_t n_text, uint64_t *values, size_t *n_values,
                      size_t max)
{
    const char *what = p->place == IN_SHAPE ? "shape" : "data_offsets";
    uint64_t value = 0;
    if (*n_values == max)
        return fail(p, MTH_ERR_FORMAT, "%s has more than %zu numbers", what, max);
    for (size_t i = 0; i < n_text; i++) {
        if (text[i] < '0' || text[i] > '9' || !mth_u64_mul(value, 10, &value) ||
            !mth_u64_add(value, (uint64_t)(text[i] - '0'), &value))
            return fail(p, MTH_ERR_FORMAT, "'%.*s' in %s is no whole number below 2^64",
                        (int)mth_size_min(n_text, 40), text, what);
    }
    values[(*n_values)++] = value;
    return 1;
}

static int end_tensor(struct parser *p)
{
    uint64_t n_elems, n_bytes, begin = p->offsets[0], end = p->offsets[1];
    if (p->fields != ALL_FIELDS)
        return fail(p, MTH_ERR_FORMAT, "%s is missing",
                    !(p->fields & FIELD_DTYPE)   ? "dtype"
                    : !(p->fields & FIELD_SHAPE) ? "shape"
                                                 : "data_offsets");
    if (begin > end)
        return fail(p, MTH_ERR_FORMAT, "its data begins at %llu, behind its end at %llu",
                    (unsigned long long)begin, (unsigned long long)end);
    int status = mth_shape_bytes(p->dtype, p->dims, p->n_dims, &n_elems, &n_bytes);
    if (status)
        return fail(p, MTH_ERR_FORMAT, "%s",
                    status == MTH_ERR_OVERFLOW ? "the size of its shape passes 64 bits"
                                               : "its elements do not fill whole bytes");
    if (n_bytes != end - begin)
        return fail(p, MTH_ERR_FORMAT, "its shape takes %llu bytes of %s, its data_offsets span %llu",
                    (unsigned long long)n_bytes, mth_dtype_info(p->dtype)->name,
                    (unsigned long long)(end - begin));
    if (end > p->n_data)
        return fail(p, MTH_ERR_TRUNCATED,
                    "its data ends at byte %llu, but only %llu follow the header; is the file whole?",
                    (unsigned long long)end, (unsigned long long)p->n_data);

    struct mth_tensor tensor = {.region = MTH_NO_REGION, .offset_bytes = begin, .n_elems = n_elems};
    tensor.dtype = (uint8_t)p->dtype;
    tensor.role = (uint8_t)mth_role_of(p->name, p->dtype);
    status = mth_region_map_add_tensor(p->map, p->name, p->n_name, p->dims, p->n_dims, &tensor);
    if (status)
        return fail(p, status, "%s", mth_status_text(status));
    p->place = IN_FILE;
    return 1;
}

/* The value of an unknown field goes by unread, however deep. */
static int skip_unknown(struct parser *p, enum event event)
{
    if (event == MAP_BEGIN || event == ARRAY_BEGIN)
        p->unknown_depth++;
    else if (event == MAP_END || event == ARRAY_END)
        p->unknown_depth--;
    if (p->unknown_depth == 0)
        p->place = IN_TENSOR;
    return 1;
}

/* One event. Returns 1 to go on; 0 stops yajl, after fail. */
static int handle(struct parser *p, enum event event, const char *text, size_t n_text)
{
    if (event == MAP_BEGIN || event == ARRAY_BEGIN) {
        if (++p->depth > MAX_DEPTH)
            return fail(p, MTH_ERR_FORMAT, "nested deeper than %d", MAX_DEPTH);
    } else if (event == MAP_END || event == ARRAY_END) {
        p->depth--;
    }
    switch (p->place) {
    case AT_START:
        p->place = IN_FILE;
        return event == MAP_BEGIN ? 1 : fail(p, MTH_ERR_FORMAT, "the header is not a JSON object");
    case IN_FILE:
        if (event == KEY)
            return begin_entry(p, text, n_text);
        p->place = AT_END;
        return 1;
    case AT_METADATA:
        /* The reference takes null for no metadata. */
        p->place = event == MAP_BEGIN ? IN_METADATA : IN_FILE;
        return event == MAP_BEGIN || event == NULL_VALUE
                   ? 1
                   : fail(p, MTH_ERR_FORMAT, "__metadata__ is not an object");
    case IN_METADATA:
        if (event == MAP_END)
            p->place = IN_FILE;
        return event == KEY || event == STRING || event == MAP_END
                   ? 1
                   : fail(p, MTH_ERR_FORMAT, "__metadata__ holds a value that is not a string");
    case AT_TENSOR:
        if (event != MAP_BEGIN)
            return fail(p, MTH_ERR_FORMAT, "its entry is not an object");
        p->place = IN_TENSOR;
        return 1;
    case IN_TENSOR:
        return event == KEY ? begin_field(p, text, n_text) : end_tensor(p);
    case AT_DTYPE:
        return event == STRING ? set_dtype(p, text, n_text)
                               : fail(p, MTH_ERR_FORMAT, "dtype is not a string");
    case AT_SHAPE:
    case AT_OFFSETS:
        if (event != ARRAY_BEGIN)
            return fail(p, MTH_ERR_FORMAT, "%s is not an array",
                        p->place == AT_SHAPE ? "shape" : "data_offsets");
        p->place = p->place == AT_SHAPE ? IN_SHAPE : IN_OFFSETS;
        return 1;
    case IN_SHAPE:
        if (event == NUMBER)
            return add_number(p, text, n_text, p->dims, &p->n_dims, MTH_MAX_DIMS);
        if (event != ARRAY_END)
            return fail(p, MTH_ERR_FORMAT, "shape holds what is no number");
        p->place = IN_TENSOR;
        return 1;
    case IN_OFFSETS:
        if (event == NUMBER)
            return add_number(p, text, n_text, p->offsets, &p->n_offsets, 2);
        if (event != ARRAY_END || p->n_offsets != 2)
            return fail(p, MTH_ERR_FORMAT, "data_offsets are not two numbers");
        p->place = IN_TENSOR;
        return 1;
    case AT_UNKNOWN:
        return skip_unknown(p, event);
    case AT_END:
        break;
    }
    return fail(p, MTH_ERR_INTERNAL, "an event after the end");
}

static int on_null(void *ctx)
{
    return handle(ctx, NULL_VALUE, NULL, 0);
}

static int on_boolean(void *ctx, int value)
{
    (void)value;
    return handle(ctx, BOOLEAN, NULL, 0);
}

static int on_number(void *ctx, const char *text, size_t n_text)
{
    return handle(ctx, NUMBER, text, n_text);
}

static int on_string(void *ctx, const unsigned char *text, size_t n_text)
{
    return handle(ctx, STRING, (const char *)text, n_text);
}

static int on_key(void *ctx, const unsigned char *text, size_t n_text)
{
    return handle(ctx, KEY, (const char *)text, n_text);
}

static int on_map_begin(void *ctx)
{
    return handle(ctx, MAP_BEGIN, NULL, 0);
}

static int on_map_end(void *ctx)
{
    return handle(ctx, MAP_END, NULL, 0);
}

static int on_array_begin(void *ctx)
{
    return handle(ctx, ARRAY_BEGIN, NULL, 0);
}

static int on_array_end(void *ctx)
{
    return handle(ctx, ARRAY_END, NULL, 0);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_map_key = on_key,
    .yajl_start_map = on_map_begin,
    .yajl_end_map = on_map_end,
    .yajl_start_array = on_array_begin,
    .yajl_end_array = on_array_end,
};

/* What yajl says of text that it does not take. */
static int check_yajl(struct parser *p, yajl_status status)
{
    if (status == yajl_status_ok)
        return MTH_OK;
    if (p->status)
        return p->status;
    const char *why = (const char *)yajl_get_error(p->yajl, 0, NULL, 0);
    fail(p, MTH_ERR_FORMAT, "not valid JSON: %.*s", (int)strcspn(why, "\n"), why);
    return p->status;
}

static int parse_piece(struct parser *p, struct mth_json_guard *guard, uint64_t offset, size_t n_piece)
{
    for (size_t at = 0; at < n_piece;) {
        struct mth_json_run run;
        const char *why = mth_json_guard_next(guard, p->piece + at, n_piece - at, &run);
        if (why)
            return mth_error_set(p->err, MTH_ERR_FORMAT, "%s: the header has %s at byte %llu of the file",
                                 p->source->name, why, (unsigned long long)(offset + at + run.n_bytes));
        p->run_offset = offset + at;
        p->string_was_cut = run.kind == MTH_JSON_CUT_QUOTE;
        int status = MTH_OK;
        if (run.kind != MTH_JSON_CUT)
            status = check_yajl(p, yajl_parse(p->yajl, p->piece + at, run.n_bytes));
        if (status)
            return status;
        at += run.n_bytes;
    }
    return MTH_OK;
}

static int parse(struct parser *p, uint64_t n_header)
{
    yajl_alloc_funcs allocation = {arena_take, arena_grow, arena_free, p};
    struct mth_json_guard guard = {0};
    if (setjmp(p->no_memory))
        return mth_error_set(p->err, MTH_ERR_NO_MEMORY, "%s: no memory to read its header", p->source->name);
    p->yajl = yajl_alloc(&callbacks, &allocation, p);
    /* The guard has checked the UTF-8, and more strictly. */
    yajl_config(p->yajl, yajl_dont_validate_strings, 1);
    for (uint64_t at = 0; at < n_header;) {
        uint64_t offset = MTH_SAFETENSORS_LENGTH_BYTES + at;
        size_t n_piece = n_header - at < PIECE_BYTES ? (size_t)(n_header - at) : PIECE_BYTES;
        int status = mth_source_read(p->source, offset, p->piece, n_piece, p->err);
        if (!status && at == 0 && p->piece[0] != '{')
            status =
                mth_error_set(p->err, MTH_ERR_FORMAT, "%s: the header at byte %llu does not begin with '{'",
                              p->source->name, (unsigned long long)offset);
        if (!status)
            status = parse_piece(p, &guard, offset, n_piece);
        if (status)
            return status;
        at += n_piece;
    }
    p->run_offset = MTH_SAFETENSORS_LENGTH_BYTES + n_header;
    if (!mth_json_guard_is_whole(&guard))
        return mth_error_set(p->err, MTH_ERR_FORMAT,
                             "%s: the header ends inside a string, at byte %llu of the file", p->source->name,
                             (unsigned long long)p->run_offset);
    return check_yajl(p, yajl_complete_parse(p->yajl));
}

int mth_safetensors_header_read(const struct mth_source *source, uint64_t n_header,
                                struct mth_region_map *map, struct mth_error *err)
{
    struct parser *p = mth_memory_alloc(map->memory, sizeof *p);
    if (!p)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory to read its header", source->name);
    memset(p, 0, offsetof(struct parser, name));
    p->source = source;
    p->map = map;
    p->err = err;
    p->n_data = source->n_bytes - MTH_SAFETENSORS_LENGTH_BYTES - n_header;
    p->arena_used = 0;
    int status = parse(p, n_header);
    mth_memory_free(map->memory, p);
    return status;
}
