/*
 * The JSON header of a safetensors file, read as a stream; see safetensors_header.h.
 *
 * The events of json_stream drive a small machine (enum place) that adds a tensor to the map when its object ends.
 * Nothing of the JSON is kept but names and shapes. Entries that are written in the usual way go a shorter way
 * (safetensors_entry.h).
 */
#include "formats/safetensors_header.h"

#include "base/checked.h"
#include "formats/json_guard.h"
#include "formats/json_stream.h"
#include "formats/safetensors_entry.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 127 /* as serde_json's recursion limit */ };

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

enum field { FIELD_DTYPE = 1, FIELD_SHAPE = 2, FIELD_OFFSETS = 4, ALL_FIELDS = 7 };

struct parser {
    const struct mth_source *source;
    struct mth_region_map *map;
    struct mth_error *err;
    const struct mth_json_stream *json;
    uint64_t n_data; /* bytes of the file behind the header */
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
};

/* Records an error with its place and ends the reading. Names the tensor at hand when there is one. */
static int fail(struct parser *p, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fail(struct parser *p, int status, const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    unsigned long long offset = mth_json_stream_offset(p->json);
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
    if (mth_json_stream_was_cut(p->json) || n_text >= sizeof p->name)
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

static int add_tensor(struct parser *p, uint64_t n_elems)
{
    struct mth_tensor tensor = {.region = MTH_NO_REGION, .offset_bytes = p->offsets[0], .n_elems = n_elems};
    tensor.dtype = (uint8_t)p->dtype;
    tensor.role = (uint8_t)mth_role_of(p->name, p->dtype);
    return mth_region_map_add_tensor(p->map, p->name, p->n_name, p->dims, p->n_dims, &tensor);
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

    status = add_tensor(p, n_elems);
    if (status)
        return fail(p, status, "%s", mth_status_text(status));
    p->place = IN_FILE;
    return 1;
}

/* The value of an unknown field goes by unread, however deep. */
static int skip_unknown(struct parser *p, enum mth_json_event event)
{
    if (event == MTH_JSON_MAP_BEGIN || event == MTH_JSON_ARRAY_BEGIN)
        p->unknown_depth++;
    else if (event == MTH_JSON_MAP_END || event == MTH_JSON_ARRAY_END)
        p->unknown_depth--;
    if (p->unknown_depth == 0)
        p->place = IN_TENSOR;
    return 1;
}

/* One event. Returns 1 to go on; 0 ends the reading, after fail. */
static int handle(struct parser *p, enum mth_json_event event, const char *text, size_t n_text)
{
    if (event == MTH_JSON_MAP_BEGIN || event == MTH_JSON_ARRAY_BEGIN) {
        if (++p->depth > MAX_DEPTH)
            return fail(p, MTH_ERR_FORMAT, "nested deeper than %d", MAX_DEPTH);
    } else if (event == MTH_JSON_MAP_END || event == MTH_JSON_ARRAY_END) {
        p->depth--;
    }
    switch (p->place) {
    case AT_START:
        p->place = IN_FILE;
        return event == MTH_JSON_MAP_BEGIN ? 1 : fail(p, MTH_ERR_FORMAT, "the header is not a JSON object");
    case IN_FILE:
        if (event == MTH_JSON_KEY)
            return begin_entry(p, text, n_text);
        p->place = AT_END;
        return 1;
    case AT_METADATA:
        /* The reference takes null for no metadata. */
        p->place = event == MTH_JSON_MAP_BEGIN ? IN_METADATA : IN_FILE;
        return event == MTH_JSON_MAP_BEGIN || event == MTH_JSON_NULL
                   ? 1
                   : fail(p, MTH_ERR_FORMAT, "__metadata__ is not an object");
    case IN_METADATA:
        if (event == MTH_JSON_MAP_END)
            p->place = IN_FILE;
        return event == MTH_JSON_KEY || event == MTH_JSON_STRING || event == MTH_JSON_MAP_END
                   ? 1
                   : fail(p, MTH_ERR_FORMAT, "__metadata__ holds a value that is not a string");
    case AT_TENSOR:
        if (event != MTH_JSON_MAP_BEGIN)
            return fail(p, MTH_ERR_FORMAT, "its entry is not an object");
        p->place = IN_TENSOR;
        return 1;
    case IN_TENSOR:
        return event == MTH_JSON_KEY ? begin_field(p, text, n_text) : end_tensor(p);
    case AT_DTYPE:
        return event == MTH_JSON_STRING ? set_dtype(p, text, n_text)
                                        : fail(p, MTH_ERR_FORMAT, "dtype is not a string");
    case AT_SHAPE:
    case AT_OFFSETS:
        if (event != MTH_JSON_ARRAY_BEGIN)
            return fail(p, MTH_ERR_FORMAT, "%s is not an array",
                        p->place == AT_SHAPE ? "shape" : "data_offsets");
        p->place = p->place == AT_SHAPE ? IN_SHAPE : IN_OFFSETS;
        return 1;
    case IN_SHAPE:
        if (event == MTH_JSON_NUMBER)
            return add_number(p, text, n_text, p->dims, &p->n_dims, MTH_MAX_DIMS);
        if (event != MTH_JSON_ARRAY_END)
            return fail(p, MTH_ERR_FORMAT, "shape holds what is no number");
        p->place = IN_TENSOR;
        return 1;
    case IN_OFFSETS:
        if (event == MTH_JSON_NUMBER)
            return add_number(p, text, n_text, p->offsets, &p->n_offsets, 2);
        if (event != MTH_JSON_ARRAY_END || p->n_offsets != 2)
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

static int on_event(void *arg, const struct mth_json_stream *json, enum mth_json_event event,
                    const char *text, size_t n_text)
{
    struct parser *p = arg;
    p->json = json;
    return handle(p, event, text, n_text) ? MTH_OK : p->status;
}

static int on_refusal(void *arg, const struct mth_json_stream *json, const char *why)
{
    struct parser *p = arg;
    p->json = json;
    fail(p, MTH_ERR_FORMAT, "not valid JSON: %s", why);
    return p->status;
}

/*
 * Takes an entry that is written in the usual way. With the comma behind it, and the quote after that, the text is as right or
 * wrong without it as with it. An entry that lies goes the usual way, to be named.
 */
static size_t take_entry(void *arg, const uint8_t *text, size_t n_text, bool in_string, size_t *n_other,
                         int *status)
{
    struct parser *p = arg;
    struct mth_safetensors_entry entry;
    uint64_t n_elems, n_bytes;
    size_t n = !in_string && p->place == IN_FILE ? mth_safetensors_entry_scan(text, n_text, &entry) : 0;
    if (n == 0 || entry.begin > entry.end || entry.end > p->n_data ||
        mth_shape_bytes(entry.dtype, entry.dims, entry.n_dims, &n_elems, &n_bytes) ||
        n_bytes != entry.end - entry.begin) {
        *n_other = mth_safetensors_entry_next(text, n_text);
        return 0;
    }
    memcpy(p->name, entry.name, entry.n_name);
    p->name[entry.n_name] = '\0';
    p->n_name = entry.n_name;
    p->dtype = entry.dtype;
    p->n_dims = entry.n_dims;
    memcpy(p->dims, entry.dims, entry.n_dims * sizeof *entry.dims);
    p->offsets[0] = entry.begin;
    *status = add_tensor(p, n_elems);
    if (*status)
        mth_error_set(p->err, *status, "%s: tensor '%.80s': %s", p->source->name, p->name,
                      mth_status_text(*status));
    return n;
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
    const struct mth_json_handler handler = {
        .event = on_event, .refuse = on_refusal, .take = take_entry, .arg = p, .what = "header"};
    int status =
        mth_json_stream_read(source, MTH_SAFETENSORS_LENGTH_BYTES, n_header, &handler, map->memory, err);
    mth_memory_free(map->memory, p);
    return status;
}
