/*
 * The conformance suite of codecs: laws that hold for every codec, built in, from a plug-in, or added tomorrow.
 *
 * What a codec must do with damaged bytes: end, write nothing outside dst, and give 0 or an error. Codecs without
 * a checksum may take a flipped bit for other content of the right length; a truncated stream must not pass, and
 * neither must one with a byte too many.
 */
#ifndef MTH_TESTS_CODEC_CONFORMANCE_H
#define MTH_TESTS_CODEC_CONFORMANCE_H

#include "codecs/codec.h"

#include <stdbool.h>
#include <stddef.h>

struct conformance_law {
    const char *name; /* the end of a sentence that begins with the codec's name */
    /* Is there anything to check on this codec? NULL: on every codec that codes. */
    bool (*applies)(const struct mth_codec *codec);
    void (*check)(const struct mth_codec *codec); /* ends the cmocka test on failure */
};

extern const struct conformance_law conformance_laws[];
extern const size_t conformance_n_laws;

bool conformance_applies(const struct conformance_law *law, const struct mth_codec *codec);

/* Every law that applies, one after the other. */
void conformance_check_codec(const struct mth_codec *codec);

#endif
