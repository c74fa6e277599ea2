/* The stacks of the pickle machine, and the values that opcodes push; see pickle_machine.h. */
#include "base/checked.h"
#include "formats/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

int mth_machine_fail(struct mth_machine *m, int status, const char *what)
{
    return mth_error_set(m->err, status, "%s: %s (pickle, byte %llu of the file)", m->window.source->name,
                         what, (unsigned long long)m->opcode_at);
}

/* A failure of the description has no line yet. */
int mth_machine_check(struct mth_machine *m, int status)
{
    switch (status) {
    case MTH_OK:
        return MTH_OK;
    case MTH_ERR_LIMIT:
        return mth_machine_fail(m, status,
                                "a pickle that takes more memory to describe than mithril gives it");
    case MTH_ERR_NO_MEMORY:
        return mth_machine_fail(m, status, "no memory to describe a pickle");
    default:
        return mth_machine_fail(m, status, "items of one kind put into an object of another");
    }
}

/* ---- stacks ---- */

int mth_machine_grow(struct mth_machine *m, struct mth_machine_stack *stack, size_t n)
{
    if (n <= stack->capacity)
        return MTH_OK;
    size_t capacity = mth_size_max(n, stack->capacity + stack->capacity / 2 + 64);
    int status = mth_pickle_charge(m->pickle, (capacity - stack->capacity) * sizeof *stack->items);
    if (status)
        return status;
    uint32_t *grown = mth_memory_realloc(m->pickle->memory, stack->items, capacity * sizeof *grown);
    if (!grown) {
        mth_pickle_discharge(m->pickle, (capacity - stack->capacity) * sizeof *stack->items);
        return MTH_ERR_NO_MEMORY;
    }
    memset(grown + stack->capacity, 0, (capacity - stack->capacity) * sizeof *grown);
    stack->items = grown;
    stack->capacity = capacity;
    return MTH_OK;
}

void mth_machine_stack_free(struct mth_machine *m, struct mth_machine_stack *stack)
{
    mth_pickle_discharge(m->pickle, stack->capacity * sizeof *stack->items);
    mth_memory_free(m->pickle->memory, stack->items);
}

int mth_machine_push(struct mth_machine *m, uint32_t ref)
{
    int status = mth_machine_grow(m, &m->stack, m->stack.n + 1);
    if (!status)
        m->stack.items[m->stack.n++] = ref;
    return mth_machine_check(m, status);
}

/* What may be popped: values above the last mark. */
size_t mth_machine_n_open(const struct mth_machine *m)
{
    return m->stack.n - (m->marks.n ? m->marks.items[m->marks.n - 1] : 0);
}

int mth_machine_need(struct mth_machine *m, size_t n)
{
    return mth_machine_n_open(m) >= n
               ? MTH_OK
               : mth_machine_fail(m, MTH_ERR_FORMAT, "an opcode that finds too little on the stack");
}

/* Ends the last mark: the n values above it are at items, and still on the stack. */
int mth_machine_pop_mark(struct mth_machine *m, const uint32_t **items, size_t *n)
{
    if (m->marks.n == 0)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "an opcode that finds no mark on the stack");
    size_t height = m->marks.items[--m->marks.n];
    *n = m->stack.n - height;
    *items = m->stack.items + height;
    return MTH_OK;
}

/* ---- operands ---- */

static int take(struct mth_machine *m, size_t n_bytes, const uint8_t **bytes)
{
    return mth_window_take(&m->window, n_bytes, "a pickle", bytes, m->err);
}

int mth_machine_take_line(struct mth_machine *m, const uint8_t **line, size_t *n_line)
{
    return mth_window_line(&m->window, "a pickle", line, n_line, m->err);
}

/* A little-endian number of 1, 2, 4 or 8 bytes. */
int mth_machine_take_number(struct mth_machine *m, size_t n_bytes, uint64_t *value)
{
    const uint8_t *bytes;
    int status = take(m, n_bytes, &bytes);
    *value = 0;
    for (size_t i = 0; i < n_bytes && !status; i++)
        *value |= (uint64_t)bytes[i] << 8 * i;
    return status;
}

/* Decimal digits with a sign, as protocol 0 writes them; false when they do not fit. */
bool mth_machine_parse_decimal(const uint8_t *text, size_t n_text, int64_t *value)
{
    bool negative = n_text && text[0] == '-';
    uint64_t magnitude = 0;
    if (n_text && text[n_text - 1] == 'L')
        n_text--;
    if (n_text == negative)
        return false;
    for (size_t i = negative; i < n_text; i++) {
        if (text[i] < '0' || text[i] > '9' || !mth_u64_mul(magnitude, 10, &magnitude) ||
            !mth_u64_add(magnitude, (uint64_t)(text[i] - '0'), &magnitude))
            return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    /* In this order the least number is met without a step outside of the type. */
    *value = negative && magnitude ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return true;
}

/* ---- values ---- */

int mth_machine_push_int(struct mth_machine *m, int64_t value)
{
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_check(m, mth_pickle_add_int(m->pickle, value, &ref));
    return status ? status : mth_machine_push(m, ref);
}

static int push_float(struct mth_machine *m, double value)
{
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_check(m, mth_pickle_add_float(m->pickle, value, &ref));
    return status ? status : mth_machine_push(m, ref);
}

int mth_machine_push_decimal(struct mth_machine *m, bool is_long)
{
    const uint8_t *line;
    size_t n_line;
    int64_t value;
    int status = mth_machine_take_line(m, &line, &n_line);
    if (status)
        return status;
    if (!is_long && n_line == 2 && line[0] == '0')
        return mth_machine_push(m, line[1] == '1' ? REF_TRUE : REF_FALSE);
    return mth_machine_parse_decimal(line, n_line, &value) ? mth_machine_push_int(m, value)
                                                           : mth_machine_push(m, REF_OPAQUE);
}

int mth_machine_push_decimal_float(struct mth_machine *m)
{
    const uint8_t *line;
    size_t n_line;
    char text[64];
    int status = mth_machine_take_line(m, &line, &n_line);
    if (status)
        return status;
    if (n_line >= sizeof text)
        return mth_machine_push(m, REF_OPAQUE);
    memcpy(text, line, n_line);
    text[n_line] = '\0';
    return push_float(m, strtod(text, NULL));
}

/* Two's complement, little-endian, in as few bytes as it takes. */
int mth_machine_push_long(struct mth_machine *m, uint64_t n_bytes)
{
    const uint8_t *bytes;
    uint64_t value = 0;
    if (n_bytes > 8) {
        int status = mth_window_skip(&m->window, n_bytes, "a pickle", m->err);
        return status ? status : mth_machine_push(m, REF_OPAQUE);
    }
    int status = take(m, (size_t)n_bytes, &bytes);
    if (status)
        return status;
    for (size_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    if (n_bytes > 0 && n_bytes < 8 && bytes[n_bytes - 1] & 0x80)
        value |= UINT64_MAX << 8 * n_bytes;
    int64_t integer;
    memcpy(&integer, &value, sizeof integer);
    return mth_machine_push_int(m, integer);
}

int mth_machine_push_double(struct mth_machine *m)
{
    const uint8_t *bytes;
    uint64_t bits = 0;
    double value;
    int status = take(m, 8, &bytes);
    if (status)
        return status;
    for (size_t i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&value, &bits, sizeof value);
    return push_float(m, value);
}

int mth_machine_push_text(struct mth_machine *m, enum mth_pickle_kind kind, size_t length_bytes)
{
    uint64_t n_text;
    const uint8_t *bytes;
    char *kept;
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_take_number(m, length_bytes, &n_text);
    /* Before room is made for it. */
    if (!status && n_text > mth_window_left(&m->window))
        status = mth_window_skip(&m->window, n_text, "a string of a pickle", m->err);
    if (!status)
        status = mth_machine_check(m, mth_pickle_add_text(m->pickle, kind, n_text, &kept, &ref));
    if (status)
        return status;
    if (kept) {
        status = take(m, (size_t)n_text, &bytes);
        if (!status)
            memcpy(kept, bytes, (size_t)n_text);
    } else {
        status = mth_window_skip(&m->window, n_text, "a string of a pickle", m->err);
    }
    return status ? status : mth_machine_push(m, ref);
}

/* Text of a line; escapes stay as they are, since nothing that we look for has any. */
int mth_machine_push_line(struct mth_machine *m, bool is_quoted)
{
    const uint8_t *line;
    size_t n_line;
    char *kept;
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_take_line(m, &line, &n_line);
    if (status)
        return status;
    if (is_quoted) {
        if (n_line < 2 || line[0] != line[n_line - 1] || (line[0] != '\'' && line[0] != '"'))
            return mth_machine_fail(m, MTH_ERR_FORMAT, "a string without its quotes");
        line++;
        n_line -= 2;
    }
    status = mth_machine_check(m, mth_pickle_add_text(m->pickle, MTH_PICKLE_STRING, n_line, &kept, &ref));
    if (!status && kept)
        memcpy(kept, line, n_line);
    return status ? status : mth_machine_push(m, ref);
}

static int add_global(struct mth_machine *m, const char *module, size_t n_module, const char *name,
                      size_t n_name, uint32_t *ref)
{
    char *kept;
    int status = mth_machine_check(
        m, mth_pickle_add_text(m->pickle, MTH_PICKLE_GLOBAL, n_module + 1 + n_name, &kept, ref));
    if (!status && kept) {
        memcpy(kept, module, n_module);
        kept[n_module] = '.';
        memcpy(kept + n_module + 1, name, n_name);
    }
    return status;
}

/* Two lines. The first is kept where the second may overwrite it in the window. */
int mth_machine_take_global(struct mth_machine *m, uint32_t *ref)
{
    char module[1024];
    const uint8_t *line;
    size_t n_module, n_line;
    int status = mth_machine_take_line(m, &line, &n_module);
    if (status)
        return status;
    if (n_module > sizeof module)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "a module with a name of more than 1024 bytes");
    memcpy(module, line, n_module);
    status = mth_machine_take_line(m, &line, &n_line);
    return status ? status : add_global(m, module, n_module, (const char *)line, n_line, ref);
}

/* Module and name are strings on the stack. */
int mth_machine_stack_global(struct mth_machine *m)
{
    size_t n_module = 0, n_name = 0;
    int status = mth_machine_need(m, 2);
    if (status)
        return status;
    const char *module = mth_pickle_text(m->pickle, mth_machine_top(m, 1), &n_module);
    const char *name = mth_pickle_text(m->pickle, mth_machine_top(m, 0), &n_name);
    uint32_t ref = REF_OPAQUE;
    if (module && name)
        status = add_global(m, module, n_module, name, n_name, &ref);
    m->stack.n -= 2;
    return status ? status : mth_machine_push(m, ref);
}

int mth_machine_push_persistent(struct mth_machine *m, uint32_t id)
{
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_check(m, mth_pickle_add_persistent(m->pickle, id, &ref));
    return status ? status : mth_machine_push(m, ref);
}
