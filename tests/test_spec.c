/* Laws of the spec language: what parses, what it becomes, and how a wrong spec is refused. */
#include "pipeline/mithril.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The canonical text of a spec; the caller frees it. */
static char *canonical(const char *spec, bool has_base)
{
    struct mth_pipeline *pipeline;
    struct mth_error err = {0};
    if (mth_pipeline_parse(spec, has_base, &pipeline, &err))
        fail_msg("%s: %s", spec, err.text);
    size_t n = strlen(mth_pipeline_text(pipeline)) + 1;
    char *text = malloc(n);
    assert_non_null(text);
    memcpy(text, mth_pipeline_text(pipeline), n);
    mth_pipeline_destroy(pipeline);
    return text;
}

static void assert_canonical(const char *spec, const char *wanted)
{
    char *text = canonical(spec, false);
    assert_string_equal(text, wanted);
    char *again = canonical(text, false);
    assert_string_equal(again, wanted);
    free(again);
    free(text);
}

static void canonical_text_resolves_every_default(void **state)
{
    (void)state;
    assert_canonical("store", "store@1");
    assert_canonical("zstd", "zstd@1:level=3:long=0:prefix=no");
    assert_canonical("zstd:level=-7", "zstd@1:level=-7:long=0:prefix=no");
    assert_canonical("delta-xor+byte-group+store/zstd:level=19",
                     "delta-xor@1+byte-group@1:width=0+store@1/zstd@1:level=19:long=0:prefix=no");
}

static void presets_stand_for_their_specs(void **state)
{
    (void)state;
    char *alone = canonical("seed", false);
    char *delta = canonical("seed", true);
    char *spelled = canonical("delta-xor+byte-group+zstd:level=3", false);
    assert_string_equal(alone, "byte-group@1:width=0+zstd@1:level=3:long=0:prefix=no");
    assert_string_equal(delta, spelled);
    free(alone);
    free(delta);
    free(spelled);
    assert_canonical("zipnn", "exponent-split@1+huffman@1:block=17:sparse=no:gain=5/"
                              "byte-group@1:width=0+huffman@1:block=17:sparse=no:gain=5");
    assert_canonical("lmc", "byte-group@1:width=0+huffman@1:block=16:sparse=yes:gain=0");
    const struct mth_preset *preset;
    for (size_t i = 0; (preset = mth_preset_at(i)) != NULL; i++) {
        assert_true(preset->spec || preset->delta);
        if (preset->spec)
            free(canonical(preset->name, false));
        if (preset->delta)
            free(canonical(preset->name, true));
    }
}

static void named_specs_nest_and_canonical_text_parses_to_itself(void **state)
{
    struct mth_error err = {0};
    (void)state;
    assert_int_equal(mth_spec_define("planes", "byte-group+store/zstd", &err), MTH_OK);
    assert_canonical("exponent-split+zstd/planes",
                     "exponent-split@1+zstd@1:level=3:long=0:prefix=no/"
                     "byte-group@1:width=0+store@1//zstd@1:level=3:long=0:prefix=no");
    assert_int_equal(mth_spec_define("planes", "store", &err), MTH_ERR_SPEC);
    assert_int_equal(mth_spec_define("zstd", "store", &err), MTH_ERR_SPEC);
    assert_int_equal(mth_spec_define("No", "store", &err), MTH_ERR_SPEC);
    assert_int_equal(mth_spec_define("broken", "byte-group+", &err), MTH_ERR_SPEC);
}

static void a_branch_may_be_a_chain(void **state)
{
    (void)state;
    assert_canonical("byte-group+delta-xor+zstd/store",
                     "byte-group@1:width=0+delta-xor@1+zstd@1:level=3:long=0:prefix=no/store@1");
}

static void a_list_is_the_candidates_it_names(void **state)
{
    (void)state;
    assert_canonical("store,lz4,store", "store@1,lz4@1:acceleration=1,store@1");
    assert_canonical("exponent-split+lz4/store,seed", "exponent-split@1+lz4@1:acceleration=1/store@1,"
                                                      "byte-group@1:width=0+zstd@1:level=3:long=0:prefix=no");
    struct mth_error err = {0};
    assert_int_equal(mth_spec_define("either", "store,seed", &err), MTH_OK);
    assert_canonical("either,lz4",
                     "store@1,byte-group@1:width=0+zstd@1:level=3:long=0:prefix=no,lz4@1:acceleration=1");
    struct mth_pipeline *pipeline;
    assert_int_equal(mth_pipeline_parse("delta-xor+zstd,delta-sub+zstd", false, &pipeline, &err), MTH_OK);
    assert_true(mth_pipeline_needs_base(pipeline));
    mth_pipeline_destroy(pipeline);
    assert_int_equal(mth_pipeline_parse("delta-xor+zstd,zstd", false, &pipeline, &err), MTH_OK);
    assert_false(mth_pipeline_needs_base(pipeline));
    mth_pipeline_destroy(pipeline);
}

static void assert_refused(const char *spec, int status, const char *mentions)
{
    struct mth_pipeline *pipeline = NULL;
    struct mth_error err = {0};
    int got = mth_pipeline_parse(spec, false, &pipeline, &err);
    if (got != status || !strstr(err.text, mentions))
        fail_msg("'%s' gave %s: %s", spec, mth_status_name(got), err.text);
    assert_null(pipeline);
    assert_null(strchr(err.text, '\n'));
}

static void wrong_specs_are_refused_with_what_would_be_right(void **state)
{
    (void)state;
    assert_refused("", MTH_ERR_SPEC, "too early");
    assert_refused("zst", MTH_ERR_SPEC, "did you mean 'zstd'? It takes level=-7..22 (default 3)");
    assert_refused("bytegroup+zstd", MTH_ERR_SPEC, "byte-group");
    assert_refused("zstd:lvl=3", MTH_ERR_SPEC, "level=-7..22");
    assert_refused("zstd:level", MTH_ERR_SPEC, "level=-7..22");
    assert_refused("zstd:level=23", MTH_ERR_SPEC, "level=-7..22");
    assert_refused("zstd:level=99999999999999999999", MTH_ERR_SPEC, "level=-7..22");
    assert_refused("zstd:prefix=maybe", MTH_ERR_SPEC, "no|yes");
    assert_refused("store:level=1", MTH_ERR_SPEC, "takes no options");
    assert_refused("byte-group", MTH_ERR_SPEC, "a codec must follow");
    assert_refused("byte-group+", MTH_ERR_SPEC, "too early");
    assert_refused("zstd+zstd", MTH_ERR_SPEC, "nothing can follow");
    assert_refused("zstd/zstd", MTH_ERR_SPEC, "");
    assert_refused("zstd zstd", MTH_ERR_SPEC, "end here");
    assert_refused("byte-group+zstd//store", MTH_ERR_SPEC, "slashes");
    assert_refused("byte-group+zstd/", MTH_ERR_SPEC, "too early");
    assert_refused("exponent-split+zstd/zstd/zstd", MTH_ERR_SPEC, "at most 2 streams");
    assert_refused("sparse-sync", MTH_ERR_UNSUPPORTED, "no form without a base");
    assert_refused("zstd@2", MTH_ERR_UNSUPPORTED, "zstd@1");
    assert_refused("zstd@", MTH_ERR_SPEC, "version");
    assert_refused("zstd,", MTH_ERR_SPEC, "too early");
    /* A named spec counts from where it stands, since its text is written there. */
    assert_refused(
        "byte-group+byte-group+byte-group+byte-group+byte-group+byte-group+byte-group+byte-group+balanced",
        MTH_ERR_SPEC, "nest too deep");
    assert_refused(",zstd", MTH_ERR_SPEC, "expected the name");
    assert_refused("exponent-split+either/store", MTH_ERR_SPEC, "list of candidates");
    assert_refused("zstd,zstd,zstd,zstd,zstd,zstd,zstd,zstd,zstd,zstd,zstd", MTH_ERR_SPEC,
                   "too many candidates");
    assert_refused("either,either,either,either,either,either", MTH_ERR_SPEC, "too many candidates");
}

static void a_spec_of_any_length_ends_with_a_pipeline_or_an_error(void **state)
{
    enum { N = 20000 };
    static char spec[N + 8];
    static const char *const pieces[] = {
        "delta-xor+", "byte-group+", "zstd/", "/", "zstd,", ",", "a", ":", "seed+", "byte-group:width=16+"};
    (void)state;
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        struct mth_pipeline *pipeline;
        struct mth_error err = {0};
        size_t n = strlen(pieces[p]);
        for (size_t i = 0; i + n < N; i += n)
            memcpy(spec + i, pieces[p], n + 1);
        assert_int_not_equal(mth_pipeline_parse(spec, false, &pipeline, &err), MTH_OK);
        assert_true(strlen(err.text) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_text_resolves_every_default),
        cmocka_unit_test(presets_stand_for_their_specs),
        cmocka_unit_test(named_specs_nest_and_canonical_text_parses_to_itself),
        cmocka_unit_test(a_branch_may_be_a_chain),
        cmocka_unit_test(a_list_is_the_candidates_it_names),
        cmocka_unit_test(wrong_specs_are_refused_with_what_would_be_right),
        cmocka_unit_test(a_spec_of_any_length_ends_with_a_pipeline_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
