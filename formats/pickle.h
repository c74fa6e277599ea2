/*
 * Python pickles as descriptions: what they hold is told, nothing of it is called, imported or made.
 *
 * The machine knows the opcodes of protocols 0 to 5. Where a pickle would call something there is an object node that
 * names what would be called, with which arguments and which state; what the machine does not understand is an opaque node.
 * Values are 32-bit references, small whole numbers lie in the reference itself, and nodes that a pickle refers to several
 * times are there once: a description is a graph, which may have cycles, so walk it with a bound.
 */
#ifndef MTH_FORMATS_PICKLE_H
#define MTH_FORMATS_PICKLE_H

#include "base/file.h"

#include <stdbool.h>

enum mth_pickle_kind {
    MTH_PICKLE_NONE,
    MTH_PICKLE_BOOL,
    MTH_PICKLE_INT, /* 64 bits, signed; larger ones are opaque */
    MTH_PICKLE_FLOAT,
    MTH_PICKLE_STRING, /* text, or bytes that Python 2 wrote as text */
    MTH_PICKLE_BYTES,
    MTH_PICKLE_TUPLE,
    MTH_PICKLE_LIST,
    MTH_PICKLE_SET,
    MTH_PICKLE_DICT,
    MTH_PICKLE_GLOBAL,     /* a name in a module: "torch._utils._rebuild_tensor_v2" */
    MTH_PICKLE_OBJECT,     /* what a call would have given, with its items and its state */
    MTH_PICKLE_PERSISTENT, /* what a persistent id stands for */
    MTH_PICKLE_OPAQUE
};

enum {
    /* A string of more bytes, a global's name included, is kept as its length and its place alone. */
    MTH_PICKLE_TEXT_MAX_BYTES = 16384
};

/* The same everywhere: None, and what stands for a thing that is not there. */
enum { MTH_PICKLE_REF_NONE = 0, MTH_PICKLE_REF_OPAQUE = 4 };

/* An array in blocks, so that it grows without being copied. */
struct mth_blocks {
    void **blocks;
    size_t n_blocks, capacity;
    uint32_t n_items;
};

struct mth_pickle {
    struct mth_memory *memory;
    size_t max_bytes, n_bytes; /* of all that follows; the limit and what is taken */
    struct mth_blocks nodes, words, text;
    size_t text_left; /* in the last block of text */
    uint32_t root;
};

/*
 * Read one pickle from a range of a source, up to its STOP.
 *
 * Shape     n_bytes from offset on must lie inside of the source; *n_read, which may be NULL, is how many the pickle took
 * Errors    MTH_ERR_FORMAT (an opcode that there is not, or that does not fit what is on the stack), MTH_ERR_TRUNCATED,
 *           MTH_ERR_LIMIT (description and machine would take more than max_bytes), MTH_ERR_NO_MEMORY, those of reading;
 *           then there is nothing to free
 * Cost      one pass, constant time a byte; at most 32 bytes for each byte of the pickle, and 320 KiB
 * Source    CPython, Lib/pickletools.py and Lib/pickle.py (3.13); PEP 3154 and 574
 */
int mth_pickle_read(const struct mth_source *source, uint64_t offset, uint64_t n_bytes, size_t max_bytes,
                    struct mth_memory *memory, struct mth_pickle *pickle, uint64_t *n_read,
                    struct mth_error *err);
void mth_pickle_free(struct mth_pickle *pickle);

enum mth_pickle_kind mth_pickle_kind(const struct mth_pickle *pickle, uint32_t ref);

/* A whole number (BOOL or INT), or one that is not negative. False for what is none. */
bool mth_pickle_int(const struct mth_pickle *pickle, uint32_t ref, int64_t *value);
bool mth_pickle_u64(const struct mth_pickle *pickle, uint32_t ref, uint64_t *value);
bool mth_pickle_float(const struct mth_pickle *pickle, uint32_t ref, double *value);

/* The text of a STRING or GLOBAL, with a NUL behind it; NULL for what has none and for what is too long to be kept. */
const char *mth_pickle_text(const struct mth_pickle *pickle, uint32_t ref, size_t *n_text);

/* Is it a string, or a global, of this text? */
bool mth_pickle_text_is(const struct mth_pickle *pickle, uint32_t ref, const char *text);

/* Items of a TUPLE, LIST or SET, entries of a DICT, bytes of a STRING or of BYTES, items or entries of an OBJECT. */
uint32_t mth_pickle_length(const struct mth_pickle *pickle, uint32_t ref);

/* Item of a TUPLE; MTH_PICKLE_REF_OPAQUE where there is none. */
uint32_t mth_pickle_item(const struct mth_pickle *pickle, uint32_t tuple, uint32_t index);

/* What a PERSISTENT node's id is. */
uint32_t mth_pickle_persistent_id(const struct mth_pickle *pickle, uint32_t ref);

/* The parts of an OBJECT; the state is MTH_PICKLE_REF_NONE without one. False for any other node. */
struct mth_pickle_object {
    uint32_t callable, args, state;
    bool has_entries; /* its items are entries: keys, each with a value */
};
bool mth_pickle_object(const struct mth_pickle *pickle, uint32_t ref, struct mth_pickle_object *object);

/* Going through the items of a container or an object: begin, then next until it gives false. */
struct mth_pickle_cursor {
    const struct mth_pickle *pickle;
    uint32_t word, left, next_run; /* next_run 0: none */
    bool has_entries;
};
void mth_pickle_begin(const struct mth_pickle *pickle, uint32_t ref, struct mth_pickle_cursor *cursor);
/* key is MTH_PICKLE_REF_NONE where there are no entries. */
bool mth_pickle_next(struct mth_pickle_cursor *cursor, uint32_t *key, uint32_t *value);

/* Nodes, in the order in which the pickle made them: references 0 .. n - 1. Whole numbers may have none. */
static inline uint32_t mth_pickle_n_nodes(const struct mth_pickle *pickle)
{
    return pickle->nodes.n_items;
}

#endif
