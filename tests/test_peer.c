/*
 * Laws of peers in `mithril bench`: an honest one is measured beside our cells, one that does not give the bytes back,
 * dies, hangs or breaks the protocol is disqualified, and none of them stops the run. This program is the peer, too:
 * `test_peer --as MODE` speaks the protocol of docs/peers.md, honestly or not.
 */
#include "harness/json.h"
#include "tests/support/program.h"
#include "tests/support/rows.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_dir.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define STEP      "datasets/tiny-gpt/pretrain/pretrain-step-00"
#define FILE_PATH STEP "2000.safetensors"

static const char *this_program;

/* ---- the peer ---- */

enum { MASK = 0x5a, HUNGRY_BYTES = 64 << 20 };

/* AddressSanitizer keeps a byte for eight, and then some. */
enum { SLACK_BYTES = (SANITIZED ? 24 : 8) << 20 };

struct fake {
    const char *mode;
    bool decompress;
    unsigned char *data, *output, *base;
    size_t n_data, n_output, n_base;
    unsigned n_passes;
};

static bool is(const struct fake *fake, const char *mode)
{
    return strcmp(fake->mode, mode) == 0;
}

/* "Compressed" is a byte in front, which the decoder passes over, and every byte masked. */
static void code(struct fake *fake)
{
    size_t front = fake->decompress ? 0 : 1, skipped = fake->decompress ? 1 : 0;
    free(fake->output);
    fake->n_output = fake->n_data - skipped + front;
    fake->output = malloc(fake->n_output);
    if (!fake->output)
        exit(9);
    if (front)
        fake->output[0] = is(fake, "moody") ? (unsigned char)fake->n_passes : 0;
    for (size_t i = 0; i < fake->n_data - skipped; i++)
        fake->output[front + i] = fake->data[skipped + i] ^ MASK ^ (i < fake->n_base ? fake->base[i] : 0);
    if (fake->decompress && (is(fake, "wrong") || (is(fake, "wrong-later") && fake->n_passes > 1)))
        fake->output[fake->n_output / 2] ^= 1;
    if (fake->decompress && is(fake, "short"))
        fake->n_output--;
}

static unsigned long long now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec;
}

static void pass(struct fake *fake, unsigned long n)
{
    unsigned long long wall = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (is(fake, "hang"))
        for (;;)
            pause();
    if (is(fake, "exit")) {
        fprintf(stderr, "first line\nout of luck\n");
        exit(3);
    }
    if (is(fake, "crash"))
        raise(SIGKILL);
    if (is(fake, "close")) {
        close(STDOUT_FILENO);
        close(STDIN_FILENO);
        for (;;)
            pause();
    }
    fake->n_passes++;
    if (is(fake, "hungry")) {
        unsigned char *eaten = malloc(HUNGRY_BYTES);
        if (!eaten)
            exit(9);
        for (volatile unsigned char *at = eaten; at < eaten + HUNGRY_BYTES; at += 1024)
            *at = MASK;

        free(eaten);
    }
    for (unsigned long i = 0; i < n; i++)
        code(fake);
    wall = now_ns(CLOCK_MONOTONIC) - wall;
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (is(fake, "slow-clock"))
        wall = 0;
    if (is(fake, "fast-clock"))
        wall = 1000000000000000;
    if (is(fake, "report"))
        printf("error it does not fit\n");
    else if (is(fake, "chatter"))
        printf("All done, have a nice day\n");
    else if (is(fake, "words"))
        printf("ok soon enough\n");
    else
        printf("ok %llu %llu\n", wall, cpu);
}

static void receive(struct fake *fake, size_t n)
{
    fake->data = malloc(n + 1);
    fake->n_data = n;
    if (!fake->data || fread(fake->data, 1, n, stdin) != n)
        exit(9);
    printf("ok\n");
}

static void discard(size_t n)
{
    while (n-- > 0) {
        if (getchar() == EOF)
            exit(9);
    }
}

static void endless_line(void)
{
    for (;;) {
        if (putchar('x') == EOF)
            exit(9);
    }
}

static int be_peer(const char *mode)
{
    struct fake fake = {.mode = mode};
    char line[256], role[16], dtype[16];
    unsigned long a, b;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "hello %lu", &a) == 1)
            printf(is(&fake, "shouting") ? "ok fake; rm -rf *\n" : "ok fake@1.0:mode=%s\n", mode);
        else if (sscanf(line, "setup %15s %*u %*u %*u %15s %lu", role, dtype, &b) == 3) {
            fake.decompress = strcmp(role, "decompress") == 0;
            printf(is(&fake, "picky") ? "unsupported it knows no %s\n" : "ok\n", dtype);
        } else if (sscanf(line, "base %lu", &a) == 1) {
            if (is(&fake, "honest")) {
                receive(&fake, a);
                fake.base = fake.data;
                fake.n_base = fake.n_data;
            } else {
                discard(a);
                printf("unsupported it knows no pairs\n");
            }
        } else if (sscanf(line, "data %lu", &a) == 1)
            receive(&fake, a);
        else if (sscanf(line, "pass %lu %lu", &a, &b) == 2)
            is(&fake, "endless") ? endless_line() : pass(&fake, b);
        else if (sscanf(line, "output %lu", &a) == 1) {
            printf("ok %zu\n", is(&fake, "huge") ? (size_t)1 << 60 : fake.n_output);
            fwrite(fake.output, 1, fake.n_output, stdout);
        } else
            printf("error %s", line);
        fflush(stdout);
    }
    return 0;
}

/* ---- what bench makes of it ---- */

struct seen {
    size_t n_rows, n_verified, n_samples;
    double ratio; /* negative when it has none */
    bool unsupported, flagged, moody;
    char resolved[64], error[256];
    double resident[2]; /* of the rows, in their order; negative where it was not told */
};

static bool flag_of(const struct mth_json_node *row, const char *name)
{
    struct mth_json_node flags;
    struct mth_error err;
    size_t n;
    bool found = false;
    if (mth_json_get_array(row, "flags", MTH_JSON_REQUIRED, &flags, &n, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < n; i++) {
        const char *text;
        if (mth_json_item_string(&flags, i, &text, &err))
            fail_msg("%s", err.text);
        found |= strcmp(text, name) == 0;
    }
    return found;
}

static void see_peer(const struct mth_json_node *row, struct seen *seen)
{
    struct mth_json_node samples;
    struct mth_error err;
    bool verified = false, unsupported = false;
    if (mth_json_get_bool(row, "verified", MTH_JSON_REQUIRED, &verified, &err) ||
        mth_json_get_bool(row, "unsupported", MTH_JSON_REQUIRED, &unsupported, &err) ||
        mth_json_get_real(row, "ratio", MTH_JSON_OPTIONAL, -1, 1e300, &seen->ratio, &err) ||
        mth_json_get_array(row, "samples_ns", MTH_JSON_REQUIRED, &samples, &seen->n_samples, &err))
        fail_msg("%s", err.text);
    if (mth_json_get_real(row, "resident_peak_bytes", MTH_JSON_OPTIONAL, -1, 1e300,
                          &seen->resident[seen->n_rows % 2], &err))
        fail_msg("%s", err.text);
    seen->n_rows++;
    seen->n_verified += verified;
    seen->unsupported = unsupported;
    seen->flagged = flag_of(row, "disqualified");
    seen->moody |= flag_of(row, "nondeterministic");
    snprintf(seen->resolved, sizeof seen->resolved, "%s", rows_text(row, "spec_resolved"));
    snprintf(seen->error, sizeof seen->error, "%s", rows_text(row, "error"));
}

/* No verdict leans on a peer, and a peer spoils none. */
static void see_verdict(const struct mth_json_node *row)
{
    assert_int_not_equal(strncmp(rows_text(row, "spec"), "peer:", 5), 0);
    if (strcmp(rows_text(row, "target"), "bit_exact") == 0)
        assert_string_equal(rows_text(row, "result"), "PASS");
}

static void see_row(const struct mth_json_node *row, const char *const *modes, size_t n_modes,
                    struct seen *seen)
{
    const char *spec = rows_text(row, "spec");
    if (strcmp(rows_text(row, "kind"), "verdict") == 0)
        see_verdict(row);
    for (size_t i = 0; i < n_modes; i++) {
        if (strncmp(spec, "peer:", 5) == 0 && strcmp(spec + 5, modes[i]) == 0)
            see_peer(row, &seen[i]);
    }
}

/* Measures peers of some modes beside a cell of ours, all in one run: what one of them does is not to harm the others. */
static void measure(const char *const *modes, size_t n_modes, const char *limit, const char *base,
                    struct seen *seen)
{
    enum { MAX_MODES = 24 };
    char *directory = temp_dir_create();
    char path[4096];
    static char peers[MAX_MODES][4200];
    const char *arguments[19 + MAX_MODES] = {"bench", FILE_PATH,   "-p",    "store",     "--rounds",
                                             "3",     "--seconds", "0",     "--json",    path,
                                             "-q",    "--cache",   "64KiB", "--resident"};
    size_t n = 14;
    assert_in_range(n_modes, 1, MAX_MODES);
    for (size_t i = 0; i < n_modes; i++) {
        snprintf(peers[i], sizeof peers[i], "--peer=%s=%s --as %s", modes[i],
                 strcmp(modes[i], "absent") == 0 ? "/nowhere/peer" : this_program, modes[i]);
        arguments[n++] = peers[i];
        seen[i] = (struct seen){0};
    }
    if (limit) {
        arguments[n++] = "--peer-limit";
        arguments[n++] = limit;
    }
    if (base) {
        arguments[n++] = "--base";
        arguments[n++] = base;
    }
    snprintf(path, sizeof path, "%s/rows.jsonl", directory);
    struct program_result result = program_run(NULL, arguments);
    if (result.exit_code != 0)
        fail_msg("exit %d: %s", result.exit_code, result.err);
    char *rows = temp_dir_read(directory, "rows.jsonl", NULL);
    assert_non_null(rows);
    for (const char *line = rows; *line; line = strchr(line, '\n') + 1) {
        struct mth_json *json;
        struct mth_error err;
        if (mth_json_parse("rows", line, strcspn(line, "\n"), &json, &err))
            fail_msg("%s", err.text);
        struct mth_json_node root = mth_json_root(json, "rows");
        see_row(&root, modes, n_modes, seen);
        mth_json_free(json);
    }
    free(rows);
    program_result_free(&result);
    temp_dir_destroy(directory);
    for (size_t i = 0; i < n_modes; i++)
        assert_int_equal(seen[i].n_rows, 2);
}

static void an_honest_peer_is_measured_in_every_round(void **state)
{
    static const char *const modes[] = {"honest", "moody"};
    struct seen seen[2];
    (void)state;
    measure(modes, 2, NULL, NULL, seen);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(seen[i].n_verified, 2);
        assert_int_equal(seen[i].n_samples, 3);
        assert_false(seen[i].flagged || seen[i].unsupported);
        /* Its output is a byte longer than its input: that byte is counted. */
        assert_true(seen[i].ratio < 1 && seen[i].ratio > 0.99);
    }
    assert_string_equal(seen[0].resolved, "peer:fake@1.0:mode=honest");
    /* The other one makes another first byte each time. */
    assert_true(!seen[0].moody && seen[1].moody);
}

/* What it takes beyond its input and its output, each way, in a process of its own; what it gave back as well. */
static void the_memory_of_a_peer_is_its_peak_beyond_what_goes_in_and_out(void **state)
{
    static const char *const modes[] = {"honest", "hungry", "wrong"};
    struct seen seen[3];
    (void)state;
    measure(modes, 3, NULL, NULL, seen);
    if (access("/proc/self/status", R_OK) != 0)
        skip();
    for (size_t p = 0; p < 2; p++) {
        assert_true(seen[0].resident[p] >= 0 && seen[0].resident[p] < 1 << 20);
        /* It eats before its output is there, and the system counts pages by the hundred. */
        assert_true(seen[1].resident[p] > HUNGRY_BYTES - (2 << 20));
        assert_true(seen[1].resident[p] < HUNGRY_BYTES + SLACK_BYTES);
        assert_true(seen[2].resident[p] < 0);
    }
}

static void expect_disqualified(const char *mode, const char *reason, const struct seen *seen)
{
    if (seen->n_verified != 0 || !seen->flagged || seen->unsupported || seen->ratio >= 0 ||
        !strstr(seen->error, reason))
        fail_msg("%s: verified %zu, flagged %d, unsupported %d, ratio %g, error '%s'", mode, seen->n_verified,
                 seen->flagged, seen->unsupported, seen->ratio, seen->error);
}

static void a_peer_that_fails_is_disqualified_with_its_reason_and_has_no_ratio(void **state)
{
    static const char *const modes[] = {"wrong", "wrong-later", "short",      "exit",    "crash",
                                        "close", "report",      "chatter",    "words",   "endless",
                                        "huge",  "slow-clock",  "fast-clock", "shouting"};
    static const char *const reasons[] = {"what the peer restored is not the original",
                                          "what the peer restored is not the original",
                                          "the peer restored 853687 bytes of 853688",
                                          "the peer ended with exit code 3: out of luck",
                                          "the peer was ended by signal 9",
                                          "the peer was ended by signal 9",
                                          "the peer reports: it does not fit",
                                          "breaks the protocol: it says 'All done, have a nice day'",
                                          "2 numbers were to follow, not 'soon enough'",
                                          "a line has no end",
                                          "output of 1152921504606846976 bytes is longer than",
                                          "reports a sample of 0 ns",
                                          "reports a sample of 1000000000000000 ns",
                                          "is no NAME@VERSION:SETTINGS"};
    enum { N = sizeof modes / sizeof modes[0] };
    struct seen seen[N];
    (void)state;
    measure(modes, N, NULL, NULL, seen);
    for (size_t i = 0; i < N; i++)
        expect_disqualified(modes[i], reasons[i], &seen[i]);
}

static void a_peer_that_hangs_is_ended_at_its_limit(void **state)
{
    static const char *const modes[] = {"hang"};
    struct seen seen[1];
    (void)state;
    /* It never answers: any limit is past in the end. */
    measure(modes, 1, "0.3", NULL, seen);
    expect_disqualified("hang", "the peer gave no answer in 0.3 seconds", seen);
}

static void a_peer_that_is_not_there_or_knows_no_such_data_is_passed_over(void **state)
{
    static const char *const modes[] = {"picky", "absent"};
    struct seen seen[2];
    (void)state;
    measure(modes, 2, NULL, NULL, seen);
    for (size_t i = 0; i < 2; i++)
        assert_true(seen[i].unsupported && !seen[i].flagged && seen[i].n_verified == 0);
    assert_string_equal(seen[0].error, "it knows no BF16");
    assert_string_equal(seen[1].error, "/nowhere/peer is not installed");
}

static void a_peer_gets_the_base_or_sits_out_where_it_has_nothing_for_pairs(void **state)
{
    static const char *const modes[] = {"honest", "moody"};
    struct seen seen[2];
    (void)state;
    measure(modes, 2, NULL, STEP "2001.safetensors", seen);
    /* It xors with the base, and could not restore the bytes without it. */
    assert_true(seen[0].n_verified == 2 && !seen[0].unsupported && !seen[0].flagged);
    assert_true(seen[1].unsupported && !seen[1].flagged && seen[1].n_verified == 0);
    assert_string_equal(seen[1].error, "it knows no pairs");
}

static void a_peer_needs_a_name_and_a_command(void **state)
{
    static const char *const bad[] = {"fake", "fake=", "fake=  ", "=true", "Fake=true", "a peer=true"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const arguments[] = {"bench", FILE_PATH, "-p", "store", "-q", "--peer", bad[i], NULL};
        struct program_result result = program_run(NULL, arguments);
        assert_int_equal(result.exit_code, 1);
        assert_int_equal(program_lines(result.err), 1);
        assert_non_null(strstr(result.err, "NAME=COMMAND"));
        program_result_free(&result);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--as") == 0)
        return be_peer(argv[2]);
    this_program = argv[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_peer_is_measured_in_every_round),
        cmocka_unit_test(the_memory_of_a_peer_is_its_peak_beyond_what_goes_in_and_out),
        cmocka_unit_test(a_peer_that_fails_is_disqualified_with_its_reason_and_has_no_ratio),
        cmocka_unit_test(a_peer_that_hangs_is_ended_at_its_limit),
        cmocka_unit_test(a_peer_that_is_not_there_or_knows_no_such_data_is_passed_over),
        cmocka_unit_test(a_peer_gets_the_base_or_sits_out_where_it_has_nothing_for_pairs),
        cmocka_unit_test(a_peer_needs_a_name_and_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
