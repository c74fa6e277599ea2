/* JSON text as events; see json_stream.h. */
#include "formats/json_stream.h"

#include "base/checked.h"
#include "formats/json_guard.h"

#include <setjmp.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum {
    PIECE_BYTES = 64 << 10,
    /* yajl has two buffers that double from 2 KiB until they hold the longest string and never shrink: less
     * than 4 * 16 KiB each in a memory that frees nothing, and less than 16 KiB for all else. */
    ARENA_BYTES = 192 << 10,
    ARENA_ALIGNMENT = 16
};

struct mth_json_stream {
    const struct mth_source *source;
    const struct mth_json_handler *handler;
    struct mth_error *err;
    yajl_handle yajl;
    uint64_t run_offset; /* in the source, of what yajl is parsing */
    bool string_was_cut;
    int status; /* of the handler */
    size_t arena_used;
    /* yajl does not look whether it got memory. It gets this, and a jump out when it wants more. */
    jmp_buf no_memory;
    uint8_t piece[PIECE_BYTES];
    _Alignas(ARENA_ALIGNMENT) uint8_t arena[ARENA_BYTES];
};

static void *arena_take(void *ctx, size_t n_bytes)
{
    struct mth_json_stream *json = ctx;
    size_t room = ARENA_BYTES - json->arena_used;
    if (room < ARENA_ALIGNMENT || n_bytes > room - ARENA_ALIGNMENT)
        longjmp(json->no_memory, 1);
    uint8_t *block = json->arena + json->arena_used + ARENA_ALIGNMENT;
    memcpy(block - ARENA_ALIGNMENT, &n_bytes, sizeof n_bytes);
    json->arena_used += ARENA_ALIGNMENT + (n_bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    json->arena_used = mth_size_min(json->arena_used, ARENA_BYTES);
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

uint64_t mth_json_stream_offset(const struct mth_json_stream *json)
{
    return json->run_offset + (json->yajl ? yajl_get_bytes_consumed(json->yajl) : 0);
}

bool mth_json_stream_was_cut(const struct mth_json_stream *json)
{
    return json->string_was_cut;
}

/* Returns 1 to go on; 0 stops yajl. */
static int hand_on(struct mth_json_stream *json, enum mth_json_event event, const char *text, size_t n_text)
{
    json->status = json->handler->event(json->handler->arg, json, event, text, n_text);
    return json->status == MTH_OK;
}

static int on_null(void *ctx)
{
    return hand_on(ctx, MTH_JSON_NULL, NULL, 0);
}

static int on_boolean(void *ctx, int value)
{
    (void)value;
    return hand_on(ctx, MTH_JSON_BOOLEAN, NULL, 0);
}

static int on_number(void *ctx, const char *text, size_t n_text)
{
    return hand_on(ctx, MTH_JSON_NUMBER, text, n_text);
}

static int on_string(void *ctx, const unsigned char *text, size_t n_text)
{
    return hand_on(ctx, MTH_JSON_STRING, (const char *)text, n_text);
}

static int on_key(void *ctx, const unsigned char *text, size_t n_text)
{
    return hand_on(ctx, MTH_JSON_KEY, (const char *)text, n_text);
}

static int on_map_begin(void *ctx)
{
    return hand_on(ctx, MTH_JSON_MAP_BEGIN, NULL, 0);
}

static int on_map_end(void *ctx)
{
    return hand_on(ctx, MTH_JSON_MAP_END, NULL, 0);
}

static int on_array_begin(void *ctx)
{
    return hand_on(ctx, MTH_JSON_ARRAY_BEGIN, NULL, 0);
}

static int on_array_end(void *ctx)
{
    return hand_on(ctx, MTH_JSON_ARRAY_END, NULL, 0);
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
static int check_yajl(struct mth_json_stream *json, yajl_status status)
{
    char text[160];
    if (status == yajl_status_ok)
        return MTH_OK;
    if (json->status)
        return json->status;
    const char *why = (const char *)yajl_get_error(json->yajl, 0, NULL, 0);
    size_t n_why = mth_size_min(strcspn(why, "\n"), sizeof text - 1);
    memcpy(text, why, n_why);
    text[n_why] = '\0';
    return json->handler->refuse(json->handler->arg, json, text);
}

static int parse_run(struct mth_json_stream *json, struct mth_json_guard *guard, uint64_t offset,
                     const uint8_t *text, size_t n_text)
{
    for (size_t at = 0; at < n_text;) {
        struct mth_json_run run;
        const char *why = mth_json_guard_next(guard, text + at, n_text - at, &run);
        if (why)
            return mth_error_set(json->err, MTH_ERR_FORMAT, "%s: the %s has %s at byte %llu of the file",
                                 json->source->name, json->handler->what, why,
                                 (unsigned long long)(offset + at + run.n_bytes));
        json->run_offset = offset + at;
        json->string_was_cut = run.kind == MTH_JSON_CUT_QUOTE;
        int status = MTH_OK;
        if (run.kind != MTH_JSON_CUT)
            status = check_yajl(json, yajl_parse(json->yajl, text + at, run.n_bytes));
        if (status)
            return status;
        at += run.n_bytes;
    }
    return MTH_OK;
}

static int parse_piece(struct mth_json_stream *json, struct mth_json_guard *guard, uint64_t offset,
                       size_t n_piece)
{
    const struct mth_json_handler *handler = json->handler;
    int status = MTH_OK;
    for (size_t at = 0; !status && at < n_piece;) {
        const uint8_t *text = json->piece + at;
        size_t n_taken = 0, n_other = n_piece - at;
        if (handler->take)
            n_taken = handler->take(handler->arg, text, n_piece - at, !mth_json_guard_is_whole(guard),
                                    &n_other, &status);
        if (n_taken == 0 && !status)
            status = parse_run(json, guard, offset + at, text, n_other);
        at += n_taken ? n_taken : n_other;
    }
    return status;
}

static int no_memory(const struct mth_json_stream *json)
{
    return mth_error_set(json->err, MTH_ERR_NO_MEMORY, "%s: no memory to read its %s", json->source->name,
                         json->handler->what);
}

static int parse(struct mth_json_stream *json, uint64_t begin, uint64_t n_bytes)
{
    yajl_alloc_funcs allocation = {arena_take, arena_grow, arena_free, json};
    struct mth_json_guard guard = {0};
    if (setjmp(json->no_memory))
        return no_memory(json);
    json->yajl = yajl_alloc(&callbacks, &allocation, json);
    /* The guard has checked the UTF-8, and more strictly. */
    yajl_config(json->yajl, yajl_dont_validate_strings, 1);
    for (uint64_t at = 0; at < n_bytes;) {
        uint64_t offset = begin + at;
        size_t n_piece = n_bytes - at < PIECE_BYTES ? (size_t)(n_bytes - at) : PIECE_BYTES;
        int status = mth_source_read(json->source, offset, json->piece, n_piece, json->err);
        if (!status && at == 0 && json->piece[0] != '{')
            status =
                mth_error_set(json->err, MTH_ERR_FORMAT, "%s: the %s at byte %llu does not begin with '{'",
                              json->source->name, json->handler->what, (unsigned long long)offset);
        if (!status)
            status = parse_piece(json, &guard, offset, n_piece);
        if (status)
            return status;
        at += n_piece;
    }
    json->run_offset = begin + n_bytes;
    if (!mth_json_guard_is_whole(&guard))
        return mth_error_set(json->err, MTH_ERR_FORMAT,
                             "%s: the %s ends inside a string, at byte %llu of the file", json->source->name,
                             json->handler->what, (unsigned long long)json->run_offset);
    return check_yajl(json, yajl_complete_parse(json->yajl));
}

int mth_json_stream_read(const struct mth_source *source, uint64_t offset, uint64_t n_bytes,
                         const struct mth_json_handler *handler, struct mth_memory *memory,
                         struct mth_error *err)
{
    struct mth_json_stream *json = mth_memory_alloc(memory, sizeof *json);
    if (!json)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory to read its %s", source->name,
                             handler->what);
    memset(json, 0, offsetof(struct mth_json_stream, no_memory));
    json->source = source;
    json->handler = handler;
    json->err = err;
    int status = parse(json, offset, n_bytes);
    mth_memory_free(memory, json);
    return status;
}
