/* A law for every codec: its states take no more memory than it says. */
#include "tests/support/codec_laws.h"

#include "tests/support/codec_rig.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LONG_BYTES = 300000, SHORT_BYTES = 5000 };

static uint8_t stream[LONG_BYTES];

/* Both sides on the account of a rig; each was created with its own state when the rig was opened. */
static void check_set(struct codec_rig *rig, size_t n_bytes)
{
    static const enum pattern patterns[] = {PATTERN_EXPONENT, PATTERN_RANDOM, PATTERN_ZEROS, PATTERN_TEXT};
    size_t said = mth_codec_state_bytes(rig->codec, rig->options, MTH_SIDE_ENCODE, n_bytes) +
                  mth_codec_state_bytes(rig->codec, rig->options, MTH_SIDE_DECODE, n_bytes);
    /* A context is as long as its stream. */
    static uint8_t reference[LONG_BYTES];
    pattern_fill(PATTERN_EXPONENT, 3, reference, n_bytes);
    rig->context = (struct mth_bytes){reference, n_bytes};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        pattern_fill(patterns[i], 7, stream, n_bytes);
        rig_round_trip(rig, stream, n_bytes);
        rig_round_trip(rig, stream, n_bytes / 3);
    }
    rig->context = (struct mth_bytes){0};
    if (mth_memory_peak(rig->memory) > said)
        rig_fail(rig, "takes %zu bytes for streams of %zu and says %zu", mth_memory_peak(rig->memory),
                 n_bytes, said);
}

void law_takes_the_memory_it_says(const struct mth_codec *codec)
{
    for (size_t set = 0; set < rig_n_sets(codec); set++) {
        struct codec_rig rig;
        for (size_t n = SHORT_BYTES; n <= LONG_BYTES; n += LONG_BYTES - SHORT_BYTES) {
            if (!rig_open(&rig, codec, set))
                continue;
            check_set(&rig, n);
            rig_close(&rig);
        }
    }
}
