/* Buffers that end where memory ends: one byte too far, read or written, stops the program. */
#ifndef MTH_TESTS_GUARD_H
#define MTH_TESTS_GUARD_H

#include <stddef.h>
#include <stdint.h>

/*
 * A buffer of n bytes whose end is the start of a page without access. Aborts when there is no memory.
 *
 * n = 0 gives a pointer at the forbidden page itself. The content is bytes of 0xa5; whole pages before the
 * buffer are forbidden too, but bytes between the page's start and the buffer are not.
 */
uint8_t *guard_alloc(size_t n);

/* Ends a buffer of guard_alloc(n): the same n. NULL is fine. */
void guard_free(uint8_t *p, size_t n);

#endif
