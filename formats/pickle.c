/*
 * The machine that reads a pickle; see pickle.h.
 *
 * A pickle is a program for a stack machine with a memo. This one runs it with references to nodes instead of objects.
 * An opcode is read, a handler does what it says to the stack; no handler calls anything, and none recurses.
 */
#include "formats/pickle_machine.h"

enum { HIGHEST_PROTOCOL = 5 };

/* ---- containers and objects ---- */

static int push_container(struct mth_machine *m, enum mth_pickle_kind kind)
{
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_check(m, mth_pickle_add_container(m->pickle, kind, &ref));
    return status ? status : mth_machine_push(m, ref);
}

/* The n_items values on top become a tuple. */
static int make_tuple(struct mth_machine *m, size_t n_items)
{
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_need(m, n_items);
    if (!status)
        status = mth_machine_check(
            m, mth_pickle_add_tuple(m->pickle, m->stack.items + m->stack.n - n_items, n_items, &ref));
    if (status)
        return status;
    m->stack.n -= n_items;
    return mth_machine_push(m, ref);
}

/* Put n_items values, the topmost, into the container below them, and pop them. */
static int extend(struct mth_machine *m, const uint32_t *items, size_t n_items, bool are_entries)
{
    m->stack.n -= n_items;
    int status = mth_machine_need(m, 1);
    if (status)
        return status;
    if (are_entries && n_items % 2 != 0)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "a key without a value");
    uint32_t ref = mth_machine_top(m, 0);
    switch (mth_pickle_kind(m->pickle, ref)) {
    case MTH_PICKLE_OPAQUE:
        return MTH_OK;
    case MTH_PICKLE_OBJECT:
        break;
    case MTH_PICKLE_DICT:
        if (!are_entries)
            return mth_machine_fail(m, MTH_ERR_FORMAT, "items put into a dict");
        break;
    case MTH_PICKLE_LIST:
    case MTH_PICKLE_SET:
        if (are_entries)
            return mth_machine_fail(m, MTH_ERR_FORMAT, "entries put into what is no dict");
        break;
    default:
        return mth_machine_fail(m, MTH_ERR_FORMAT, "items put into what holds none");
    }
    return mth_machine_check(m, mth_pickle_extend(m->pickle, ref, items, n_items, are_entries));
}

/* From the last mark on: items for what lies below it. */
static int extend_marked(struct mth_machine *m, bool are_entries)
{
    const uint32_t *items;
    size_t n_items;
    int status = mth_machine_pop_mark(m, &items, &n_items);
    return status ? status : extend(m, items, n_items, are_entries);
}

static int extend_top(struct mth_machine *m, size_t n_items)
{
    int status = mth_machine_need(m, n_items + 1);
    return status ? status : extend(m, m->stack.items + m->stack.n - n_items, n_items, n_items == 2);
}

/* From the last mark on: a new container of these. */
static int make_container(struct mth_machine *m, enum mth_pickle_kind kind)
{
    const uint32_t *items;
    size_t n_items;
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_pop_mark(m, &items, &n_items);
    if (status)
        return status;
    if (kind == MTH_PICKLE_TUPLE)
        return make_tuple(m, n_items);
    if (kind == MTH_PICKLE_DICT && n_items % 2 != 0)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "a key without a value");
    status = mth_machine_check(m, mth_pickle_add_container(m->pickle, kind, &ref));
    if (!status)
        status =
            mth_machine_check(m, mth_pickle_extend(m->pickle, ref, items, n_items, kind == MTH_PICKLE_DICT));
    m->stack.n -= n_items;
    return status ? status : mth_machine_push(m, ref);
}

/* What calling the value n_below places under the top with the arguments above it would give. */
static int make_object(struct mth_machine *m, size_t n_below)
{
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_need(m, n_below + 1);
    if (!status)
        status = mth_machine_check(m, mth_pickle_add_object(m->pickle, mth_machine_top(m, n_below),
                                                            mth_machine_top(m, n_below - 1), &ref));
    if (status)
        return status;
    m->stack.n -= n_below + 1;
    return mth_machine_push(m, ref);
}

/* Protocols 0 and 1: arguments from the mark on, the class named in the pickle (INST) or the first of them (OBJ). */
static int make_instance(struct mth_machine *m, bool is_named)
{
    const uint32_t *items;
    size_t n_items;
    uint32_t class = REF_OPAQUE, args = REF_OPAQUE, ref = REF_OPAQUE;
    int status = is_named ? mth_machine_take_global(m, &class) : MTH_OK;
    if (!status)
        status = mth_machine_pop_mark(m, &items, &n_items);
    if (status)
        return status;
    m->stack.n -= n_items;
    if (!is_named) {
        if (n_items == 0)
            return mth_machine_fail(m, MTH_ERR_FORMAT, "an object without a class");
        class = *items++;
        n_items--;
    }
    status = mth_machine_check(m, mth_pickle_add_tuple(m->pickle, items, n_items, &args));
    if (!status)
        status = mth_machine_check(m, mth_pickle_add_object(m->pickle, class, args, &ref));
    return status ? status : mth_machine_push(m, ref);
}

static int build(struct mth_machine *m)
{
    int status = mth_machine_need(m, 2);
    if (status)
        return status;
    if (mth_pickle_kind(m->pickle, mth_machine_top(m, 1)) == MTH_PICKLE_OBJECT)
        mth_pickle_set_state(m->pickle, mth_machine_top(m, 1), mth_machine_top(m, 0));
    m->stack.n--;
    return MTH_OK;
}

/* ---- memo ---- */

static int put(struct mth_machine *m, uint64_t index)
{
    int status = mth_machine_need(m, 1);
    if (status)
        return status;
    /* Every number that Python gives is the count of the PUTs before it, and each of them took a byte. Small ones are
     * cheap whoever gives them. */
    if (index > UINT8_MAX && index > m->window.offset - m->begin)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "a memo number that no pickler gives");
    status = mth_machine_check(m, mth_machine_grow(m, &m->memo, (size_t)index + 1));
    if (!status)
        m->memo.items[index] = mth_machine_top(m, 0) + 1;
    if (!status && index >= m->memo.n)
        m->memo.n = (size_t)index + 1;
    return status;
}

static int get(struct mth_machine *m, uint64_t index)
{
    if (index >= m->memo.n || m->memo.items[index] == 0)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "a memo number that was never put");
    return mth_machine_push(m, m->memo.items[index] - 1);
}

static int memo_operand(struct mth_machine *m, size_t n_bytes, int (*then)(struct mth_machine *, uint64_t))
{
    uint64_t index;
    int status = mth_machine_take_number(m, n_bytes, &index);
    return status ? status : then(m, index);
}

static int memo_line(struct mth_machine *m, int (*then)(struct mth_machine *, uint64_t))
{
    const uint8_t *line;
    size_t n_line;
    int64_t index;
    int status = mth_machine_take_line(m, &line, &n_line);
    if (status)
        return status;
    if (!mth_machine_parse_decimal(line, n_line, &index) || index < 0)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "a memo number that is none");
    return then(m, (uint64_t)index);
}

/* ---- opcodes ---- */

static int set_mark(struct mth_machine *m)
{
    if (m->stack.n > UINT32_MAX)
        return mth_machine_fail(m, MTH_ERR_LIMIT, "a stack of more than 2^32 values");
    int status = mth_machine_check(m, mth_machine_grow(m, &m->marks, m->marks.n + 1));
    if (!status)
        m->marks.items[m->marks.n++] = (uint32_t)m->stack.n;
    return status;
}

static int pop(struct mth_machine *m)
{
    const uint32_t *items;
    size_t n_items;
    if (mth_machine_n_open(m) == 0)
        return mth_machine_pop_mark(m, &items, &n_items);
    m->stack.n--;
    return MTH_OK;
}

static int pop_marked(struct mth_machine *m)
{
    const uint32_t *items;
    size_t n_items;
    int status = mth_machine_pop_mark(m, &items, &n_items);
    if (!status)
        m->stack.n -= n_items;
    return status;
}

static int push_number(struct mth_machine *m, size_t n_bytes)
{
    uint64_t value;
    int status = mth_machine_take_number(m, n_bytes, &value);
    /* Only the number of four bytes has a sign. */
    return status ? status
                  : mth_machine_push_int(m, n_bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value);
}

static int push_long(struct mth_machine *m, size_t length_bytes)
{
    uint64_t n_bytes;
    int status = mth_machine_take_number(m, length_bytes, &n_bytes);
    return status ? status : mth_machine_push_long(m, n_bytes);
}

/* A number of the extension registry, which only the writer knows. */
static int push_extension(struct mth_machine *m, size_t n_bytes)
{
    uint64_t code;
    int status = mth_machine_take_number(m, n_bytes, &code);
    return status ? status : mth_machine_push(m, REF_OPAQUE);
}

static int push_global(struct mth_machine *m)
{
    uint32_t ref = REF_OPAQUE;
    int status = mth_machine_take_global(m, &ref);
    return status ? status : mth_machine_push(m, ref);
}

static int replace_by_persistent(struct mth_machine *m)
{
    int status = mth_machine_need(m, 1);
    return status ? status : mth_machine_push_persistent(m, m->stack.items[--m->stack.n]);
}

/* The id is the line. */
static int persistent_line(struct mth_machine *m)
{
    int status = mth_machine_push_line(m, false);
    return status ? status : replace_by_persistent(m);
}

static int duplicate(struct mth_machine *m)
{
    int status = mth_machine_need(m, 1);
    return status ? status : mth_machine_push(m, mth_machine_top(m, 0));
}

static int check_protocol(struct mth_machine *m)
{
    uint64_t protocol;
    int status = mth_machine_take_number(m, 1, &protocol);
    if (!status && protocol > HIGHEST_PROTOCOL)
        return mth_machine_fail(m, MTH_ERR_FORMAT, "a protocol later than 5");
    return status;
}

/* A frame only says how much may be read ahead. */
static int check_frame(struct mth_machine *m)
{
    uint64_t n_bytes;
    int status = mth_machine_take_number(m, 8, &n_bytes);
    if (!status && n_bytes > mth_window_left(&m->window))
        return mth_machine_fail(m, MTH_ERR_TRUNCATED, "a frame that ends behind its pickle");
    return status;
}

/* The keyword arguments of a NEWOBJ_EX are dropped. */
static int new_object_ex(struct mth_machine *m)
{
    int status = mth_machine_need(m, 3);
    if (status)
        return status;
    m->stack.n--;
    return make_object(m, 1);
}

/* One opcode but STOP. The letters are those of pickletools. */
static int run(struct mth_machine *m, uint8_t opcode)
{
    switch (opcode) {
    case 0x80: /* PROTO */
        return check_protocol(m);
    case 0x95: /* FRAME */
        return check_frame(m);
    case '(':
        return set_mark(m);
    case '0':
        return pop(m);
    case '1':
        return pop_marked(m);
    case '2':
        return duplicate(m);
    case 'N':
        return mth_machine_push(m, REF_NONE);
    case 0x88: /* NEWTRUE */
        return mth_machine_push(m, REF_TRUE);
    case 0x89: /* NEWFALSE */
        return mth_machine_push(m, REF_FALSE);
    case 'I':
        return mth_machine_push_decimal(m, false);
    case 'L':
        return mth_machine_push_decimal(m, true);
    case 'K': /* BININT1 */
        return push_number(m, 1);
    case 'M': /* BININT2 */
        return push_number(m, 2);
    case 'J': /* BININT */
        return push_number(m, 4);
    case 0x8a: /* LONG1 */
        return push_long(m, 1);
    case 0x8b: /* LONG4 */
        return push_long(m, 4);
    case 'F':
        return mth_machine_push_decimal_float(m);
    case 'G': /* BINFLOAT */
        return mth_machine_push_double(m);
    case 'S':
        return mth_machine_push_line(m, true);
    case 'V': /* UNICODE */
        return mth_machine_push_line(m, false);
    case 'U':  /* SHORT_BINSTRING */
    case 0x8c: /* SHORT_BINUNICODE */
        return mth_machine_push_text(m, MTH_PICKLE_STRING, 1);
    case 'T': /* BINSTRING */
    case 'X': /* BINUNICODE */
        return mth_machine_push_text(m, MTH_PICKLE_STRING, 4);
    case 0x8d: /* BINUNICODE8 */
        return mth_machine_push_text(m, MTH_PICKLE_STRING, 8);
    case 'C': /* SHORT_BINBYTES */
        return mth_machine_push_text(m, MTH_PICKLE_BYTES, 1);
    case 'B': /* BINBYTES */
        return mth_machine_push_text(m, MTH_PICKLE_BYTES, 4);
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */
        return mth_machine_push_text(m, MTH_PICKLE_BYTES, 8);
    case 0x97: /* NEXT_BUFFER: it lies outside of the pickle */
        return mth_machine_push(m, REF_OPAQUE);
    case 0x98: /* READONLY_BUFFER */
        return mth_machine_need(m, 1);
    case ')':
        return mth_machine_push(m, REF_EMPTY_TUPLE);
    case 0x85: /* TUPLE1 */
    case 0x86: /* TUPLE2 */
    case 0x87: /* TUPLE3 */
        return make_tuple(m, opcode - 0x84u);
    case 't':
        return make_container(m, MTH_PICKLE_TUPLE);
    case ']':
        return push_container(m, MTH_PICKLE_LIST);
    case 'l':
        return make_container(m, MTH_PICKLE_LIST);
    case '}':
        return push_container(m, MTH_PICKLE_DICT);
    case 'd':
        return make_container(m, MTH_PICKLE_DICT);
    case 0x8f: /* EMPTY_SET */
        return push_container(m, MTH_PICKLE_SET);
    case 0x91: /* FROZENSET */
        return make_container(m, MTH_PICKLE_SET);
    case 'a': /* APPEND */
        return extend_top(m, 1);
    case 'e':  /* APPENDS */
    case 0x90: /* ADDITEMS */
        return extend_marked(m, false);
    case 's': /* SETITEM */
        return extend_top(m, 2);
    case 'u': /* SETITEMS */
        return extend_marked(m, true);
    case 'c':
        return push_global(m);
    case 0x93: /* STACK_GLOBAL */
        return mth_machine_stack_global(m);
    case 'R':  /* REDUCE */
    case 0x81: /* NEWOBJ */
        return make_object(m, 1);
    case 0x92: /* NEWOBJ_EX */
        return new_object_ex(m);
    case 'i': /* INST */
        return make_instance(m, true);
    case 'o': /* OBJ */
        return make_instance(m, false);
    case 'b':
        return build(m);
    case 'P': /* PERSID */
        return persistent_line(m);
    case 'Q': /* BINPERSID */
        return replace_by_persistent(m);
    case 'p': /* PUT */
        return memo_line(m, put);
    case 'q': /* BINPUT */
        return memo_operand(m, 1, put);
    case 'r': /* LONG_BINPUT */
        return memo_operand(m, 4, put);
    case 0x94: /* MEMOIZE */
        return put(m, m->memo.n);
    case 'g': /* GET */
        return memo_line(m, get);
    case 'h': /* BINGET */
        return memo_operand(m, 1, get);
    case 'j': /* LONG_BINGET */
        return memo_operand(m, 4, get);
    case 0x82: /* EXT1 */
        return push_extension(m, 1);
    case 0x83: /* EXT2 */
        return push_extension(m, 2);
    case 0x84: /* EXT4 */
        return push_extension(m, 4);
    default:
        return mth_machine_fail(m, MTH_ERR_FORMAT, "an opcode that no protocol has");
    }
}

static int run_all(struct mth_machine *m)
{
    for (;;) {
        uint64_t opcode;
        m->opcode_at = m->window.offset;
        int status = mth_machine_take_number(m, 1, &opcode);
        if (status)
            return status;
        if (opcode == '.')
            break;
        status = run(m, (uint8_t)opcode);
        if (status)
            return status;
    }
    int status = mth_machine_need(m, 1);
    if (!status)
        m->pickle->root = mth_machine_top(m, 0);
    return status;
}

int mth_pickle_read(const struct mth_source *source, uint64_t offset, uint64_t n_bytes, size_t max_bytes,
                    struct mth_memory *memory, struct mth_pickle *pickle, uint64_t *n_read,
                    struct mth_error *err)
{
    struct mth_machine *m = mth_memory_alloc(memory, sizeof *m);
    if (!m)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory to read a pickle", source->name);
    m->pickle = pickle;
    m->err = err;
    m->stack = m->marks = m->memo = (struct mth_machine_stack){0};
    m->begin = m->opcode_at = offset;
    mth_window_open(&m->window, source, offset, n_bytes);
    int status = mth_machine_check(m, mth_pickle_tree_init(pickle, memory, max_bytes));
    /* From here on there is a stack, if an empty one: places in it are pointers into an array. */
    if (!status)
        status = mth_machine_check(m, mth_machine_grow(m, &m->stack, 1));
    if (!status)
        status = run_all(m);
    if (n_read)
        *n_read = m->window.offset - offset;
    mth_machine_stack_free(m, &m->stack);
    mth_machine_stack_free(m, &m->marks);
    mth_machine_stack_free(m, &m->memo);
    mth_memory_free(memory, m);
    if (status)
        mth_pickle_free(pickle);
    return status;
}
