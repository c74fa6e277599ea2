/* Buffers between two pages without access; see guard.h. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "tests/support/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_bytes(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (size_t)page : 4096;
}

/* Bytes of whole pages that hold n, at least one page. */
static size_t body_bytes(size_t n)
{
    size_t page = page_bytes();
    return n == 0 ? page : (n + page - 1) / page * page;
}

uint8_t *guard_alloc(size_t n)
{
    size_t page = page_bytes();
    size_t body = body_bytes(n);
    uint8_t *map = mmap(NULL, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, body, PROT_READ | PROT_WRITE) != 0) {
        fprintf(stderr, "guard_alloc: no memory for %zu bytes\n", n);
        abort();
    }
    memset(map + page, 0xa5, body);
    return map + page + body - n;
}

void guard_free(uint8_t *p, size_t n)
{
    if (!p)
        return;
    size_t page = page_bytes();
    size_t body = body_bytes(n);
    uint8_t *map = p + n - body - page;
    if (munmap(map, body + 2 * page) != 0)
        abort();
}
