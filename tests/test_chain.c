/* Laws of chains in memory: manifests, policies, what rules keep, who is coded again. */
#include "base/hash.h"
#include "pipeline/chain.h"
#include "tests/support/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mth_memory *memory;

static int open_account(void **state)
{
    (void)state;
    memory = mth_memory_create(0);
    return memory ? 0 : -1;
}

static int close_account(void **state)
{
    (void)state;
    mth_memory_destroy(memory);
    return 0;
}

static struct mth_chain new_chain(const char *policy)
{
    struct mth_chain chain = {.memory = memory};
    struct mth_error err;
    assert_int_equal(mth_chain_policy_parse(policy, &chain.policy, &err), 0);
    assert_int_equal(mth_chain_set_spec(&chain, "balanced", 8, &err), 0);
    return chain;
}

enum { ALONE = -1 };

/* base: a number, or ALONE. */
static void put(struct mth_chain *chain, uint64_t number, int64_t base, uint64_t stored)
{
    struct mth_error err;
    struct mth_chain_step step = {.number = number,
                                  .has_base = base >= 0,
                                  .base = base >= 0 ? (uint64_t)base : 0,
                                  .raw_bytes = 1000,
                                  .stored_bytes = stored,
                                  .writing = 1,
                                  .dtype = MTH_N_DTYPES};
    snprintf(step.name, sizeof step.name, "step-%llu.pt", (unsigned long long)number);
    assert_int_equal(mth_chain_put(chain, &step, &err), 0);
}

/* The number of the step that a new one would be coded against, or ALONE. */
static int64_t chosen(const struct mth_chain *chain, uint64_t number)
{
    size_t base = mth_chain_choose(chain, number);
    return base == chain->n_steps ? ALONE : (int64_t)chain->steps[base].number;
}

/* ---- policies ---- */

static void policies_parse_to_what_they_print(void **state)
{
    (void)state;
    static const char *const texts[] = {"full",        "full:every=2",      "full:every=18446744073709551615",
                                        "one-shot",    "one-shot:every=10", "consecutive",
                                        "intermittent"};
    static const char *const wrong[] = {"",
                                        "Full",
                                        "full:",
                                        "full:every",
                                        "full:every=",
                                        "full:every=0",
                                        "full:every=-1",
                                        "full:every=1x",
                                        "full:every=18446744073709551616",
                                        "consecutive:every=2",
                                        "intermittent:every=2",
                                        "one-shot,every=2",
                                        "one"};
    struct mth_chain_policy policy;
    struct mth_error err;
    char out[MTH_CHAIN_POLICY_BYTES];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(mth_chain_policy_parse(texts[i], &policy, &err), 0);
        assert_string_equal(mth_chain_policy_text(&policy, out), texts[i]);
    }
    assert_int_equal(mth_chain_policy_parse("full:every=1", &policy, &err), 0);
    assert_string_equal(mth_chain_policy_text(&policy, out), "full");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(mth_chain_policy_parse(wrong[i], &policy, &err), MTH_ERR_USAGE);
}

static void each_policy_names_its_base(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        int64_t bases[8]; /* of steps 10, 20, .. 80 */
    } cases[] = {
        {"full", {ALONE, ALONE, ALONE, ALONE, ALONE, ALONE, ALONE, ALONE}},
        {"full:every=3", {ALONE, 10, 20, ALONE, 40, 50, ALONE, 70}},
        {"consecutive", {ALONE, 10, 20, 30, 40, 50, 60, 70}},
        {"one-shot", {ALONE, 10, 10, 10, 10, 10, 10, 10}},
        {"one-shot:every=4", {ALONE, 10, 10, 10, ALONE, 50, 50, 50}},
        /* 100; 20: 120 <= 40? 30: 150 <= 90? 50: 200 <= 200, the next is full. */
        {"intermittent", {ALONE, 10, 10, 10, ALONE, 50, 50, 50}},
    };
    static const uint64_t increments[] = {0, 20, 30, 50};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct mth_chain chain = new_chain(cases[c].policy);
        size_t since = 0;
        for (size_t i = 0; i < 8; i++) {
            int64_t base = chosen(&chain, 10 * (i + 1));
            if (base != cases[c].bases[i])
                fail_msg("%s: step %zu is coded against %lld", cases[c].policy, 10 * (i + 1),
                         (long long)base);
            since = base == ALONE ? 0 : since + 1;
            put(&chain, 10 * (i + 1), base, since ? increments[since % 4] : 100);
        }
        mth_chain_free(&chain);
    }
}

static void a_step_between_others_stands_on_earlier_ones_only(void **state)
{
    (void)state;
    static const char *const policies[] = {"full:every=5", "consecutive", "one-shot", "intermittent"};
    for (size_t p = 0; p < 4; p++) {
        struct mth_chain chain = new_chain(policies[p]);
        put(&chain, 100, ALONE, 100);
        put(&chain, 300, 100, 10);
        assert_int_equal(chosen(&chain, 50), ALONE);
        assert_int_equal(chosen(&chain, 200), 100);
        assert_int_equal(chosen(&chain, 400), p < 2 ? 300 : 100);
        mth_chain_free(&chain);
    }
}

static void sizes_that_overflow_the_predictor_end_the_line(void **state)
{
    (void)state;
    struct mth_chain chain = new_chain("intermittent");
    put(&chain, 1, ALONE, 1);
    put(&chain, 2, 1, UINT64_MAX / 2);
    assert_int_equal(chosen(&chain, 3), ALONE);
    /* Twice as much is no number any more. */
    chain.steps[1].stored_bytes = UINT64_MAX / 2 + 1;
    assert_int_equal(chosen(&chain, 3), ALONE);
    chain.steps[1].stored_bytes = 0;
    assert_int_equal(chosen(&chain, 3), 1);
    mth_chain_free(&chain);
}

/* ---- manifests ---- */

static struct mth_chain random_chain(uint64_t *seed, size_t n_steps)
{
    static const char *const policies[] = {"full:every=7", "consecutive", "one-shot:every=3", "intermittent"};
    struct mth_chain chain = new_chain(policies[pattern_random(seed) % 4]);
    uint64_t number = 0;
    for (size_t i = 0; i < n_steps; i++) {
        struct mth_error err;
        struct mth_chain_step step = {.number = number,
                                      .writing = 1 + pattern_random(seed) % 3,
                                      .is_folder = n_steps % 2 && pattern_random(seed) % 3 == 0};
        if (i > 0 && pattern_random(seed) % 4) {
            step.has_base = true;
            step.base = chain.steps[pattern_random(seed) % i].number;
            step.has_older = chain.steps[mth_chain_find(&chain, step.base)].has_base && n_steps % 3 &&
                             pattern_random(seed) % 2;
        }
        step.raw_bytes = pattern_random(seed) >> 20;
        step.stored_bytes = pattern_random(seed) >> 20;
        step.dtype = (enum mth_dtype)(pattern_random(seed) % (MTH_N_DTYPES + 1));
        pattern_fill(PATTERN_RANDOM, pattern_random(seed), step.digest, 16);
        pattern_fill(PATTERN_RANDOM, pattern_random(seed), step.xxh3, 16);
        /* Any byte may be in a name, but those two. */
        size_t n_name = 1 + pattern_random(seed) % (MTH_CHAIN_NAME_BYTES - 1);
        for (size_t k = 0; k < n_name; k++) {
            unsigned char c = (unsigned char)pattern_random(seed);
            step.name[k] = (char)(c == 0 || c == '/' ? 'x' : c);
        }
        if (strcmp(step.name, ".") == 0 || strcmp(step.name, "..") == 0)
            step.name[0] = 'x';
        assert_int_equal(mth_chain_put(&chain, &step, &err), 0);
        number += 1 + pattern_random(seed) % 1000;
    }
    return chain;
}

static int parse(struct mth_buffer text, struct mth_chain *chain)
{
    struct mth_error err = {0};
    *chain = (struct mth_chain){.memory = memory};
    int status =
        mth_chain_manifest_parse("manifest", (struct mth_bytes){text.data, text.n_bytes}, chain, &err);
    if (status) {
        assert_non_null(strstr(err.text, "manifest: "));
        mth_chain_free(chain);
    }
    return status;
}

static void manifests_hold_every_chain(void **state)
{
    (void)state;
    uint64_t seed = 1;
    size_t n_with_folders = 0, n_with_older = 0;
    for (size_t n = 0; n < 40; n++) {
        struct mth_chain chain = random_chain(&seed, n), again;
        struct mth_buffer text;
        struct mth_error err;
        char left[MTH_CHAIN_POLICY_BYTES], right[MTH_CHAIN_POLICY_BYTES];
        assert_int_equal(mth_chain_manifest_write(&chain, &text, &err), 0);
        bool has_folders = false, has_older = false;
        for (size_t i = 0; i < n; i++) {
            has_folders |= chain.steps[i].is_folder;
            has_older |= chain.steps[i].has_older;
        }
        n_with_folders += has_folders && !has_older;
        n_with_older += has_older;
        /* Of files alone, each against one base at most, it is for older programs, too. */
        assert_memory_equal(text.data,
                            has_older     ? "mithril-chain 3\n"
                            : has_folders ? "mithril-chain 2\n"
                                          : "mithril-chain 1\n",
                            16);
        assert_int_equal(parse(text, &again), 0);
        assert_int_equal(again.n_steps, n);
        assert_string_equal(again.spec, chain.spec);
        assert_string_equal(mth_chain_policy_text(&again.policy, left),
                            mth_chain_policy_text(&chain.policy, right));
        for (size_t i = 0; i < n; i++) {
            const struct mth_chain_step *a = &chain.steps[i], *b = &again.steps[i];
            assert_true(a->number == b->number && a->has_base == b->has_base && a->base == b->base &&
                        a->has_older == b->has_older && a->raw_bytes == b->raw_bytes &&
                        a->stored_bytes == b->stored_bytes && a->writing == b->writing &&
                        a->dtype == b->dtype && a->is_folder == b->is_folder);
            assert_memory_equal(a->digest, b->digest, 16);
            assert_memory_equal(a->xxh3, b->xxh3, 16);
            assert_string_equal(a->name, b->name);
        }
        mth_memory_free(memory, text.data);
        mth_chain_free(&chain);
        mth_chain_free(&again);
    }
    assert_true(n_with_folders > 4 && n_with_older > 15);
}

static void damage_of_a_manifest_is_noticed(void **state)
{
    (void)state;
    uint64_t seed = 2;
    struct mth_chain chain = random_chain(&seed, 5), again;
    struct mth_buffer text;
    struct mth_error err;
    assert_int_equal(mth_chain_manifest_write(&chain, &text, &err), 0);
    for (size_t i = 0; i < text.n_bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            text.data[i] ^= (uint8_t)(1u << bit);
            assert_int_not_equal(parse(text, &again), 0);
            text.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    struct mth_buffer shorter = text;
    for (shorter.n_bytes = 0; shorter.n_bytes < text.n_bytes; shorter.n_bytes++)
        assert_int_not_equal(parse(shorter, &again), 0);
    mth_memory_free(memory, text.data);
    mth_chain_free(&chain);
}

/* A manifest of these lines, with the checksum that it should have. */
static int parse_lines(const char *lines)
{
    struct mth_chain chain;
    char text[4096];
    size_t n = strlen(lines);
    snprintf(text, sizeof text, "%send %016llx\n", lines, (unsigned long long)mth_hash64(lines, n, 0));
    int status = parse((struct mth_buffer){.data = (uint8_t *)text, .n_bytes = strlen(text)}, &chain);
    if (!status)
        mth_chain_free(&chain);
    return status;
}

#define HEAD  "mithril-chain 1\npolicy consecutive\nspec balanced\n"
#define ZEROS "00000000000000000000000000000000"
#define REST  " raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - name a\n"

static void hostile_manifests_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_lines(HEAD), 0);
    assert_int_equal(parse_lines(HEAD "step 1 base -" REST "step 2 base 1" REST), 0);
    static const char *const wrong[] = {
        "",
        "mithril-chain\n",
        "mithril-chain 1\npolicy none\nspec balanced\n",
        "mithril-chain 1\npolicy consecutive\nspec \n",
        "mithril-chain 1\nspec balanced\n",
        HEAD "\n",
        HEAD "stop\n",
        HEAD "step 1 base 1" REST,                      /* on itself */
        HEAD "step 1 base 2" REST "step 2 base 1" REST, /* a circle */
        HEAD "step 2 base -" REST "step 1 base -" REST, /* not in order */
        HEAD "step 1 base -" REST "step 1 base -" REST, /* twice */
        HEAD "step 1 base -" REST "step 3 base 2" REST, /* on what is not there */
        HEAD "step 01 base -" REST,
        HEAD "step 18446744073709551616 base -" REST,
        HEAD "step -1 base -" REST,
        HEAD "step 1 base - raw 99999999999999999 stored 1 digest " ZEROS " xxh3 " ZEROS
             " written 1 dtype - name a\n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 0 dtype - name a\n",
        HEAD "step 1 base - raw 1 stored 1 digest 00 xxh3 " ZEROS " written 1 dtype - name a\n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype no name a\n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - name \n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - name ..\n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - name a/b\n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - name %2fa\n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - name %00\n",
        HEAD "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - name %1\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (parse_lines(wrong[i]) != MTH_ERR_FORMAT)
            fail_msg("number %zu is taken for a manifest, or not called one", i);
    assert_int_equal(parse_lines("mithril-chain 4\npolicy consecutive\nspec balanced\n"),
                     MTH_ERR_UNSUPPORTED);
    assert_int_equal(parse_lines("mithril-chain 0\npolicy consecutive\nspec balanced\n"),
                     MTH_ERR_UNSUPPORTED);
    /* Folders came with the second version. */
#define FOLDER "step 1 base - raw 1 stored 1 digest " ZEROS " xxh3 " ZEROS " written 1 dtype - folder a\n"
    assert_int_equal(parse_lines(HEAD FOLDER), MTH_ERR_FORMAT);
    assert_int_equal(parse_lines("mithril-chain 2\npolicy consecutive\nspec balanced\n" FOLDER), 0);
    /* And older bases with the third; one is always the base of the base. */
#define HEAD_OF(version) "mithril-chain " version "\npolicy consecutive\nspec balanced\n"
#define THREE            "step 1 base -" REST "step 2 base 1" REST "step 3 base 2"
    assert_int_equal(parse_lines(HEAD_OF("3") THREE " older 1" REST), 0);
    assert_int_equal(parse_lines(HEAD_OF("3") THREE " older 1" REST "step 4 base 3 older 2" REST), 0);
    static const char *const wrong_older[] = {
        HEAD THREE " older 1" REST,
        HEAD_OF("2") THREE " older 1" REST,
        HEAD_OF("3") THREE " older 2" REST,
        HEAD_OF("3") THREE " older 3" REST,
        HEAD_OF("3") THREE " older -" REST,
        HEAD_OF("3") THREE " older 01" REST,
        HEAD_OF("3") THREE " older 1 older 1" REST,
        HEAD_OF("3") "step 1 base - older 1" REST,
        HEAD_OF("3") "step 1 base -" REST "step 2 base 1 older 1" REST,
        HEAD_OF("3") "step 1 base -" REST "step 2 base -" REST "step 3 base 2 older 1" REST,
    };
    for (size_t i = 0; i < sizeof wrong_older / sizeof wrong_older[0]; i++)
        if (parse_lines(wrong_older[i]) != MTH_ERR_FORMAT)
            fail_msg("number %zu with an older base is taken for a manifest", i);
}

static void only_our_own_names_are_ours(void **state)
{
    (void)state;
    static const char *const containers[] = {"step-0.mth", "step-1000.mth", "step-1000.2.mth"};
    static const char *const leftovers[] = {"step-1.mth.tmp.aB3dE6", "step-1.2.mth.mithril~",
                                            "chain.manifest.tmp.aB3dE6", "chain.manifest.mithril~"};
    static const char *const others[] = {"step-.mth",     "step-1.pt",          "step-1.mth.bak",
                                         "step-1..mth",   "step-1.2.3.mth",     "step-a.mth",
                                         "xstep-1.mth",   "chain.manifest",     "chain.lock",
                                         "step-1.pt.mth", "step-1.mth.mithril", "chain.manifest.bak"};
    for (size_t i = 0; i < sizeof containers / sizeof containers[0]; i++)
        assert_true(mth_chain_is_container(containers[i]) && !mth_chain_is_leftover(containers[i]));
    for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++)
        assert_true(!mth_chain_is_container(leftovers[i]) && mth_chain_is_leftover(leftovers[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(!mth_chain_is_container(others[i]) && !mth_chain_is_leftover(others[i]));
}

/* ---- dropping ---- */

static void rules_keep_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        const char *kept; /* of steps 0, 500, .. 3500: one letter each */
    } cases[] = {
        {"last:1", ".......k"},
        {"last:3", ".....kkk"},
        {"last:100", "kkkkkkkk"},
        {"first:2", "kk......"},
        {"every:1000", "k.k.k.k."},
        {"every:1500", "k..k..k."},
        {"step:2500", ".....k.."},
        {"step:7", "........"},
        {"range:501:2000", "..kkk..."},
        {"full", "k...k..."},
        {"last:2,every:2000,step:500", "kk..k.kk"},
    };
    static const char *const wrong[] = {
        "",        "last",    "last:",   "last:0",  "last:x",
        "every:0", "last:1,", ",last:1", "range:1", "range:1:",
        "full:1",  "all",     "last:-1", "last:1 ", "last:99999999999999999999"};
    struct mth_chain chain = new_chain("one-shot:every=4");
    struct mth_error err;
    for (uint64_t i = 0; i < 8; i++)
        put(&chain, i * 500, i % 4 ? (int64_t)(i / 4 * 2000) : ALONE, 10);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        bool kept[8] = {false};
        char text[9] = "........";
        assert_int_equal(mth_chain_keep(&chain, cases[c].rules, kept, &err), 0);
        for (size_t i = 0; i < 8; i++)
            text[i] = kept[i] ? 'k' : '.';
        assert_string_equal(text, cases[c].kept);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bool kept[8] = {false};
        assert_int_equal(mth_chain_keep(&chain, wrong[i], kept, &err), MTH_ERR_USAGE);
    }
    mth_chain_free(&chain);
}

static void a_plan_leaves_nobody_on_a_step_that_goes(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (size_t round = 0; round < 2000; round++) {
        size_t n = 1 + pattern_random(&seed) % 24;
        struct mth_chain chain = random_chain(&seed, n);
        struct mth_chain_move moves[24];
        bool kept[24], moved[24] = {false};
        for (size_t i = 0; i < n; i++)
            kept[i] = pattern_random(&seed) % 3 != 0;
        size_t n_moves = mth_chain_plan_drop(&chain, kept, moves);
        for (size_t m = 0; m < n_moves; m++) {
            assert_true(kept[moves[m].step] && (m == 0 || moves[m].step > moves[m - 1].step));
            assert_true(moves[m].base == n || (moves[m].base < moves[m].step && kept[moves[m].base]));
            moved[moves[m].step] = true;
        }
        /* Exactly those are moved that would stand on what goes; where it is the older base alone, onto their own base. */
        for (size_t i = 0; i < n; i++) {
            size_t base = mth_chain_base_of(&chain, i), older = mth_chain_base_of(&chain, base);
            bool loses_base = base < n && !kept[base], loses_older = chain.steps[i].has_older && !kept[older];
            assert_int_equal(moved[i], kept[i] && (loses_base || loses_older));
            for (size_t m = 0; m < n_moves; m++)
                if (moves[m].step == i && !loses_base)
                    assert_int_equal(moves[m].base, base);
        }
        mth_chain_free(&chain);
    }
}

static void steps_move_to_where_their_policy_would_put_them(void **state)
{
    (void)state;
    struct mth_chain_move moves[4];
    const bool kept[4] = {true, false, true, true}, without_full[4] = {false, false, true, true};
    struct mth_chain chain = new_chain("consecutive");
    for (uint64_t i = 0; i < 4; i++)
        put(&chain, i, i ? (int64_t)i - 1 : ALONE, 10);
    assert_int_equal(mth_chain_plan_drop(&chain, kept, moves), 1);
    assert_true(moves[0].step == 2 && moves[0].base == 0);
    mth_chain_free(&chain);
    /* The step behind it loses its older base, and keeps the other. */
    chain = new_chain("consecutive");
    for (uint64_t i = 0; i < 4; i++)
        put(&chain, i, i ? (int64_t)i - 1 : ALONE, 10);
    chain.steps[3].has_older = true;
    assert_int_equal(mth_chain_plan_drop(&chain, kept, moves), 2);
    assert_true(moves[0].step == 2 && moves[0].base == 0 && moves[1].step == 3 && moves[1].base == 2);
    mth_chain_free(&chain);
    chain = new_chain("one-shot");
    for (uint64_t i = 0; i < 4; i++)
        put(&chain, i, i ? 0 : ALONE, 10);
    assert_int_equal(mth_chain_plan_drop(&chain, kept, moves), 0);
    assert_int_equal(mth_chain_plan_drop(&chain, without_full, moves), 2);
    assert_true(moves[0].step == 2 && moves[0].base == 4 && moves[1].step == 3 && moves[1].base == 2);
    /* All others stand on the one that became full, not on the one before them. */
    const bool all_but_full[4] = {false, true, true, true};
    assert_int_equal(mth_chain_plan_drop(&chain, all_but_full, moves), 3);
    assert_true(moves[0].base == 4 && moves[1].base == 1 && moves[2].step == 3 && moves[2].base == 1);
    mth_chain_free(&chain);
}

static void the_cost_of_a_step_is_that_of_all_below_it(void **state)
{
    (void)state;
    struct mth_chain chain = new_chain("consecutive");
    for (uint64_t i = 0; i < 10; i++) {
        put(&chain, i, i ? (int64_t)i - 1 : ALONE, 100 + i);
        struct mth_chain_cost cost = mth_chain_cost_of(&chain, i);
        assert_int_equal(cost.n_links, i + 1);
        assert_int_equal(cost.stored_bytes, 100 * (i + 1) + i * (i + 1) / 2);
    }
    mth_chain_free(&chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_parse_to_what_they_print),
        cmocka_unit_test(each_policy_names_its_base),
        cmocka_unit_test(a_step_between_others_stands_on_earlier_ones_only),
        cmocka_unit_test(sizes_that_overflow_the_predictor_end_the_line),
        cmocka_unit_test(manifests_hold_every_chain),
        cmocka_unit_test(damage_of_a_manifest_is_noticed),
        cmocka_unit_test(hostile_manifests_are_refused),
        cmocka_unit_test(only_our_own_names_are_ours),
        cmocka_unit_test(rules_keep_what_they_say),
        cmocka_unit_test(a_plan_leaves_nobody_on_a_step_that_goes),
        cmocka_unit_test(steps_move_to_where_their_policy_would_put_them),
        cmocka_unit_test(the_cost_of_a_step_is_that_of_all_below_it),
    };
    return cmocka_run_group_tests(tests, open_account, close_account);
}
