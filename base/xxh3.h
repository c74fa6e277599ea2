/* xxHash's header, compiled inline: with the instructions that the file which includes this asked for. */
#ifndef MTH_BASE_XXH3_H
#define MTH_BASE_XXH3_H

#define XXH_INLINE_ALL
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
