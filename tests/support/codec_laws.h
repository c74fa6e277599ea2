/* The laws of codec_conformance.h that live in files of their own. */
#ifndef MTH_TESTS_CODEC_LAWS_H
#define MTH_TESTS_CODEC_LAWS_H

#include "codecs/codec.h"

/* codec_hostile.c */
void law_refuses_every_smaller_capacity(const struct mth_codec *codec);
void law_refuses_another_destination(const struct mth_codec *codec);
void law_notices_truncation_at_every_byte(const struct mth_codec *codec);
void law_notices_a_byte_too_many(const struct mth_codec *codec);
void law_survives_every_bit_flip(const struct mth_codec *codec);
void law_survives_garbage(const struct mth_codec *codec);
void law_survives_a_lack_of_memory(const struct mth_codec *codec);

/* codec_memory.c */
void law_takes_the_memory_it_says(const struct mth_codec *codec);

/* codec_shared.c */
void law_round_trips_with_any_context(const struct mth_codec *codec);
void law_uses_a_context_it_says_it_uses(const struct mth_codec *codec);
void law_survives_the_wrong_context(const struct mth_codec *codec);
void law_builds_the_same_model_from_merged_counts(const struct mth_codec *codec);
void law_decodes_with_a_model_that_was_read_back(const struct mth_codec *codec);
void law_survives_hostile_models(const struct mth_codec *codec);

#endif
