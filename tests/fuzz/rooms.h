/*
 * Rooms that end where memory ends, for targets that need many of them a thousand times a second: mapped once, taken one
 * after the other, and all given back at once.
 */
#ifndef MTH_TESTS_FUZZ_ROOMS_H
#define MTH_TESTS_FUZZ_ROOMS_H

#include "tests/support/guard.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROOMS_MAX = 64, ROOMS_BYTES = 4 << 20, ROOMS_FRONT_BYTES = 64, ROOMS_FRONT = 0xa5 };

struct rooms {
    uint8_t *ends[ROOMS_MAX]; /* NULL: not mapped yet */
    size_t n_taken;
};

static inline void rooms_reset(struct rooms *rooms)
{
    rooms->n_taken = 0;
}

/* n bytes of any content, with some known ones in front. */
static inline uint8_t *rooms_take(struct rooms *rooms, size_t n)
{
    if (n > ROOMS_BYTES - ROOMS_FRONT_BYTES || rooms->n_taken == ROOMS_MAX)
        abort();
    uint8_t **end = &rooms->ends[rooms->n_taken++];
    if (!*end)
        *end = guard_alloc(ROOMS_BYTES) + ROOMS_BYTES;
    memset(*end - n - ROOMS_FRONT_BYTES, ROOMS_FRONT, ROOMS_FRONT_BYTES);
    return *end - n;
}

/* A copy of what bytes hold. */
static inline uint8_t *rooms_copy(struct rooms *rooms, const uint8_t *bytes, size_t n)
{
    uint8_t *room = rooms_take(rooms, n);
    if (n)
        memcpy(room, bytes, n);
    return room;
}

/* Ends the program when something was written in front of a room. */
static inline void rooms_check_front(const uint8_t *room)
{
    for (ptrdiff_t i = 1; i <= ROOMS_FRONT_BYTES; i++) {
        if (room[-i] != ROOMS_FRONT)
            abort();
    }
}

#endif
