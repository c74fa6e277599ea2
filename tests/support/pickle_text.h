/* What a pickle's description says, as text that a test can compare. */
#ifndef MTH_TESTS_PICKLE_TEXT_H
#define MTH_TESTS_PICKLE_TEXT_H

#include "formats/pickle.h"

/*
 * As Python would print it: None, True, 7, 0.5, 'text', b[n bytes], (1, 2), [1], {1}, {1: 2}; <module.name> for a global,
 * <callable>(args)|state|[items] or |{entries} for an object, @id for a persistent id, ? for what is opaque, ... below a
 * depth of 20 and behind 4000 bytes. text ends with a NUL.
 */
enum { PICKLE_TEXT_BYTES = 4096 };
void pickle_text(const struct mth_pickle *pickle, char text[PICKLE_TEXT_BYTES]);

#endif
