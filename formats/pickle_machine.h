/* The machine that reads a pickle: its stacks, and what pickle_values.c does for the opcodes in pickle.c. */
#ifndef MTH_FORMATS_PICKLE_MACHINE_H
#define MTH_FORMATS_PICKLE_MACHINE_H

#include "formats/byte_window.h"
#include "formats/pickle_tree.h"

struct mth_machine_stack {
    uint32_t *items;
    size_t n, capacity;
};

struct mth_machine {
    struct mth_pickle *pickle;
    struct mth_error *err;
    struct mth_machine_stack stack, marks,
        memo;       /* marks: heights of the stack. memo: references + 1, 0 for none */
    uint64_t begin; /* of the pickle, in the source */
    uint64_t opcode_at;
    struct mth_window window;
};

/* Set the line of an error, with its place, and return the status; give a status of the description its line. */
int mth_machine_fail(struct mth_machine *m, int status, const char *what);
int mth_machine_check(struct mth_machine *m, int status);

/* All that follows returns a status whose line is set. */

/* Room for n references in a stack or the memo; what is new is 0. */
int mth_machine_grow(struct mth_machine *m, struct mth_machine_stack *stack, size_t n);
void mth_machine_stack_free(struct mth_machine *m, struct mth_machine_stack *stack);

int mth_machine_push(struct mth_machine *m, uint32_t ref);

/* How many values may be popped: those above the last mark. Fail unless there are n. */
size_t mth_machine_n_open(const struct mth_machine *m);
int mth_machine_need(struct mth_machine *m, size_t n);

/* The value below so many others. */
static inline uint32_t mth_machine_top(const struct mth_machine *m, size_t below)
{
    return m->stack.items[m->stack.n - 1 - below];
}

/* End the last mark: the n values above it are at items, and still on the stack. */
int mth_machine_pop_mark(struct mth_machine *m, const uint32_t **items, size_t *n);

/* Operands: a little-endian number of 1, 2, 4 or 8 bytes; a line. */
int mth_machine_take_number(struct mth_machine *m, size_t n_bytes, uint64_t *value);
int mth_machine_take_line(struct mth_machine *m, const uint8_t **line, size_t *n_line);

/* Decimal digits with a sign, as protocol 0 writes them; false when they do not fit. */
bool mth_machine_parse_decimal(const uint8_t *text, size_t n_text, int64_t *value);

/* Push a value, reading its operand: INT and LONG, FLOAT, LONG1 and LONG4 of n_bytes, BINFLOAT. */
int mth_machine_push_int(struct mth_machine *m, int64_t value);
int mth_machine_push_decimal(struct mth_machine *m, bool is_long);
int mth_machine_push_decimal_float(struct mth_machine *m);
int mth_machine_push_long(struct mth_machine *m, uint64_t n_bytes);
int mth_machine_push_double(struct mth_machine *m);

/* Push text or bytes behind a length of length_bytes, or in a line, between quotes or not. */
int mth_machine_push_text(struct mth_machine *m, enum mth_pickle_kind kind, size_t length_bytes);
int mth_machine_push_line(struct mth_machine *m, bool is_quoted);

/* A global named by two lines; push one named by two strings on the stack. */
int mth_machine_take_global(struct mth_machine *m, uint32_t *ref);
int mth_machine_stack_global(struct mth_machine *m);

int mth_machine_push_persistent(struct mth_machine *m, uint32_t id);

#endif
