/* xxHash's header, compiled inline: with the instructions that the file which includes this asked for. */
#ifndef MTH_BASE_XXH3_H
#define MTH_BASE_XXH3_H

#define XXH_INLINE_ALL
/*
 * Bytes in front. What is hashed comes from memory, mostly: with 4 KiB one core of an Emerald Rapids reads 9 to 10 GiB/s,
 * with the header's 384 or 512 bytes 7 to 8.
 */
#define XXH_PREFETCH_DIST 4096
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <xxhash.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif
