/*
 * Laws of failure: whatever happens to the machine meanwhile, the old output is whole or the new one is, nothing lies beside
 * it, and one line and the exit code say what happened. Moments are picked by what the program does, never by a clock.
 */
#define _GNU_SOURCE
#include "tests/support/faults.h"

#include "base/checked.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *directory;

/* ---- files ---- */

enum { N_TENSORS = 6, TENSOR_BYTES = 400000 };

static void write_checkpoint(const char *name, unsigned step)
{
    static uint8_t data[TENSOR_BYTES];
    struct safetensors_builder builder = {0};
    for (unsigned t = 0; t < N_TENSORS; t++) {
        for (unsigned i = 0; i < TENSOR_BYTES / 2; i++)
            mth_store16(data + 2 * i,
                        (uint16_t)(0x3c00 + ((i + t) * 2654435761u >> 21) + (i % 50 == 0 ? step : 0)));
        char tensor[32];
        snprintf(tensor, sizeof tensor, "layers.%u.weight", t);
        safetensors_builder_add(&builder, tensor, "BF16", (const uint64_t[]){TENSOR_BYTES / 2}, 1, data,
                                sizeof data);
    }
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    temp_dir_write(directory, name, file.data, file.n_bytes);
    free(file.data);
}

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static void must(struct program_result result)
{
    if (result.exit_code != 0)
        fail_msg("exit code %d: %s", result.exit_code, result.err);
    program_result_free(&result);
}

/* A run that writes "out" over what was there: each of the commands that write files. */
struct writing {
    const char *name;
    const char *arguments[16];
    const char *result; /* a file with what "out" holds when all went well */
};

static const struct writing writings[] = {
    {"compress", {"compress", "a", "-o", "out", "-f", "-q", "--chunk", "64KiB", "-t", "2"}, "a.mth"},
    {"compress against a base",
     {"compress", "a", "-b", "base", "-o", "out", "-f", "-q", "--chunk", "64KiB", "-t", "2"},
     "delta.mth"},
    {"decompress", {"decompress", "a.mth", "-o", "out", "-f", "-q", "-t", "2"}, "a"},
    {"decompress against a base", {"decompress", "delta.mth", "-b", "base", "-o", "out", "-f", "-q"}, "a"},
    {"extract", {"extract", "a.mth", "-n", "layers.3.weight", "-o", "out", "-f", "-q"}, "tensor"},
};
enum { N_WRITINGS = sizeof writings / sizeof writings[0], N_FILES = 6 };

static int create_files(void **state)
{
    (void)state;
    directory = temp_dir_create();
    write_checkpoint("base", 0);
    write_checkpoint("a", 3);
    must(RUN("compress", "a", "-o", "a.mth", "-q", "--chunk", "64KiB"));
    must(RUN("compress", "a", "-b", "base", "-o", "delta.mth", "-q", "--chunk", "64KiB"));
    must(RUN("extract", "a", "-n", "layers.3.weight", "-o", "tensor", "-q"));
    temp_dir_write(directory, "old", "what was there", 14);
    assert_int_equal(temp_dir_count(directory, "."), N_FILES);
    return 0;
}

static int destroy_files(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

static void begin(bool has_old)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/out", directory);
    unlink(path);
    if (has_old)
        temp_dir_write(directory, "out", "what was there", 14);
}

/* The old output, or none where there was none; or the new one, whole. Nothing beside it but may_lie files. */
static bool is_whole(const struct writing *writing, bool has_old, size_t may_lie)
{
    size_t n = temp_dir_count(directory, ".");
    bool is_there = n > N_FILES && temp_dir_count(directory, "out") == 0;
    char *out = temp_dir_read(directory, "out", &(size_t){0});
    is_there = out != NULL;
    free(out);
    if (n > N_FILES + is_there + may_lie)
        return false;
    return !is_there ? !has_old
                     : (has_old && temp_dir_same(directory, "out", "old")) ||
                           temp_dir_same(directory, "out", writing->result);
}

static void skip_without_faults(void)
{
    if (!faults_are_possible())
        skip();
}

/* ---- killed ---- */

/* Without files that have no name, whoever is killed leaves one with a name. */
static bool has_unnamed_files(void)
{
#ifdef O_TMPFILE
    int fd = open(directory, O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
#else
    return false;
#endif
}

/* At each kind of call that opens, fills, finishes and names the output, and at several places of the filling. */
static void whoever_is_killed_leaves_the_old_output_or_the_new(void **state)
{
    (void)state;
    skip_without_faults();
    if (!has_unnamed_files())
        skip();
    static const long calls[] = {SYS_pwrite64, SYS_fsync,    SYS_fchmod,    SYS_utimensat,
                                 SYS_linkat,   SYS_write,    SYS_getrusage,
#ifdef SYS_rename
                                 SYS_rename,
#endif
                                 SYS_renameat, SYS_renameat2};
    size_t n_killed = 0;
    for (size_t w = 0; w < N_WRITINGS; w++) {
        for (int has_old = 0; has_old < 2; has_old++) {
            for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
                for (uint64_t offset = 0; offset < 2000000;
                     offset += calls[c] == SYS_pwrite64 ? 150000 : 2000000) {
                    const struct fault fault = {.number = calls[c],
                                                .action = FAULT_KILLS,
                                                .at_offset = calls[c] == SYS_pwrite64,
                                                .offset = offset};
                    begin(has_old);
                    struct program_result result = faults_run(directory, writings[w].arguments, &fault, 1);
                    n_killed += result.exit_code > 128;
                    /* Only between the link beside an old file and the rename over it something lies there. */
                    bool renaming = has_old && (calls[c] == SYS_renameat || calls[c] == SYS_renameat2);
#ifdef SYS_rename
                    renaming |= has_old && calls[c] == SYS_rename;
#endif
                    if (!is_whole(&writings[w], has_old, renaming))
                        fail_msg("%s, killed at call %ld, offset %llu: the output is neither the old nor the "
                                 "new, or "
                                 "something lies beside it",
                                 writings[w].name, calls[c], (unsigned long long)offset);
                    program_result_free(&result);
                    if (!renaming)
                        continue;
                    /* And that is gone when the same file was written again. */
                    must(program_run(directory, writings[w].arguments));
                    assert_true(temp_dir_same(directory, "out", writings[w].result));
                    assert_true(is_whole(&writings[w], has_old, 0));
                }
            }
        }
    }
    assert_true(n_killed > N_WRITINGS * 2 * 8);
}

/* ---- failing calls ---- */

static void assert_fails(const struct writing *writing, const struct fault *fault, int exit_code,
                         const char *part)
{
    for (int has_old = 0; has_old < 2; has_old++) {
        begin(has_old);
        struct program_result result = faults_run(directory, writing->arguments, fault, 1);
        if (result.exit_code != exit_code || program_lines(result.err) != 1 || !strstr(result.err, part))
            fail_msg("%s, call %ld: exit code %d (expected %d), errors '%s' (expected '%s')", writing->name,
                     fault->number, result.exit_code, exit_code, result.err, part);
        program_result_free(&result);
        if (!is_whole(writing, has_old, 0) || (has_old && !temp_dir_same(directory, "out", "old")))
            fail_msg("%s, call %ld: the old output is gone, or something lies beside it", writing->name,
                     fault->number);
    }
}

static void a_full_disk_at_any_byte_leaves_the_old_output(void **state)
{
    (void)state;
    skip_without_faults();
    for (size_t w = 0; w < N_WRITINGS; w++) {
        size_t n_bytes;
        free(temp_dir_read(directory, writings[w].result, &n_bytes));
        bool in_order = strcmp(writings[w].name, "extract") == 0;
        for (uint64_t offset = 0; offset < n_bytes; offset += in_order ? n_bytes : n_bytes / 9 + 1) {
            const struct fault fault = {
                .number = SYS_pwrite64, .action = ENOSPC, .at_offset = true, .offset = offset};
            assert_fails(&writings[w], &fault, 6, "No space left");
        }
    }
}

static void what_fails_when_the_output_is_finished_leaves_the_old_one(void **state)
{
    (void)state;
    skip_without_faults();
    static const struct fault faults[] = {
        {.number = SYS_fsync, .action = EIO},
        {.number = SYS_fsync, .action = ENOSPC},
        {.number = SYS_linkat, .action = EACCES},
        {.number = SYS_linkat, .action = EMLINK},
    };
    for (size_t w = 0; w < N_WRITINGS; w++)
        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
            assert_fails(&writings[w], &faults[i], 6, "cannot write");
}

static void an_input_that_cannot_be_read_leaves_the_old_output(void **state)
{
    (void)state;
    skip_without_faults();
    for (size_t w = 0; w < N_WRITINGS; w++) {
        /* Below, libraries are loaded; what is extracted lies behind. */
        for (uint64_t offset = 1 << 16; offset < 400000; offset += 100000) {
            const struct fault broken = {
                .number = SYS_pread64, .action = EIO, .at_offset = true, .offset = offset};
            const struct fault shorter = {
                .number = SYS_pread64, .action = FAULT_ENDS, .at_offset = true, .offset = offset};
            assert_fails(&writings[w], &broken, 6, "Input/output error");
            assert_fails(&writings[w], &shorter, 2, "became shorter");
        }
    }
    static const char *const readers[][8] = {
        {"verify", "a.mth", "-q"}, {"info", "a.mth"}, {"compress", "a", "--estimate", "-q"}};
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        const struct fault broken = {
            .number = SYS_pread64, .action = EIO, .at_offset = true, .offset = 1 << 16};
        struct program_result result = faults_run(directory, readers[i], &broken, 1);
        if (result.exit_code != 6 || program_lines(result.err) != 1 ||
            !strstr(result.err, "Input/output error"))
            fail_msg("%s: exit code %d, errors '%s'", readers[i][0], result.exit_code, result.err);
        program_result_free(&result);
    }
}

static int limit_file_size(void *arg)
{
    struct rlimit limit = {*(rlim_t *)arg, *(rlim_t *)arg};
    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit);
}

/* Without a filter too: a limit on the size of files is a disk that is full there. */
static void a_limit_on_file_sizes_leaves_the_old_output(void **state)
{
    (void)state;
    for (size_t w = 0; w < N_WRITINGS; w++) {
        size_t n_bytes;
        free(temp_dir_read(directory, writings[w].result, &n_bytes));
        for (size_t i = 0; i < 5; i++) {
            rlim_t limit = n_bytes * i / 5 + i % 3;
            begin(true);
            struct program_result result =
                program_run_prepared(directory, writings[w].arguments, limit_file_size, &limit);
            if (result.exit_code != 6 || !temp_dir_same(directory, "out", "old") ||
                !is_whole(&writings[w], true, 0))
                fail_msg("%s, at most %llu bytes: exit code %d, errors '%s'", writings[w].name,
                         (unsigned long long)limit, result.exit_code, result.err);
            program_result_free(&result);
        }
    }
}

/* ---- pipes ---- */

/* A run whose standard input and output are pipes of ours. */
struct piped {
    pid_t child;
    int to, from; /* -1: not a pipe */
};

static struct piped start(const char *const *arguments, bool feeds, bool drains)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    char *argv[20] = {program_path()}, path[4096];
    for (size_t i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    assert_true((!feeds || pipe(to) == 0) && (!drains || pipe(from) == 0));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        snprintf(path, sizeof path, "%s/errors", directory);
        int err = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (err < 0 || chdir(directory) != 0 || dup2(err, STDERR_FILENO) < 0 ||
            (feeds && dup2(to[0], STDIN_FILENO) < 0) || (drains && dup2(from[1], STDOUT_FILENO) < 0))
            _exit(127);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execv(argv[0], argv);
        _exit(127);
    }
    free(argv[0]);
    if (feeds)
        close(to[0]);
    if (drains)
        close(from[1]);
    return (struct piped){.child = child, .to = to[1], .from = from[0]};
}

static void assert_ends(struct piped *piped, int exit_code, const char *part, const char *what)
{
    int status;
    size_t n;
    if (piped->to >= 0)
        close(piped->to);
    assert_int_equal(waitpid(piped->child, &status, 0), piped->child);
    if (piped->from >= 0)
        close(piped->from);
    char *errors = temp_dir_read(directory, "errors", &n), path[4096];
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code != exit_code || !errors || !strstr(errors, part) || program_lines(errors) != 1)
        fail_msg("%s: exit code %d (expected %d), errors '%s'", what, code, exit_code, errors ? errors : "");
    free(errors);
    snprintf(path, sizeof path, "%s/errors", directory);
    unlink(path);
    assert_int_equal(temp_dir_count(directory, "."), N_FILES);
}

/* Takes this many bytes, or what there is. */
static void drain(struct piped *piped, size_t n_bytes)
{
    char piece[4096];
    for (ssize_t got; n_bytes > 0; n_bytes -= (size_t)got) {
        got = read(piped->from, piece, mth_size_min(n_bytes, sizeof piece));
        if (got <= 0)
            return;
    }
}

static const char *const to_pipe[][12] = {
    {"compress", "a", "-o", "-", "-q", "--chunk", "64KiB"},
    {"decompress", "a.mth", "-o", "-", "-q"},
    {"decompress", "delta.mth", "-b", "base", "-o", "-", "-q"},
    {"extract", "a.mth", "-n", "layers.3.weight", "-o", "-", "-q"},
};
enum { N_TO_PIPE = sizeof to_pipe / sizeof to_pipe[0] };

static void a_closed_pipe_is_an_error_with_a_line(void **state)
{
    (void)state;
    static const size_t taken[] = {0, 1, 5000, 100000, 250000};
    begin(false);
    for (size_t i = 0; i < N_TO_PIPE; i++) {
        for (size_t k = 0; k < sizeof taken / sizeof taken[0]; k++) {
            struct piped piped = start(to_pipe[i], false, true);
            drain(&piped, taken[k]);
            close(piped.from);
            piped.from = -1;
            assert_ends(&piped, 6, "Broken pipe", to_pipe[i][0]);
        }
    }
}

/* More than a pipe holds is still to come when the signal is sent: it cannot be through yet. */
static void an_interrupt_ends_a_run_that_writes_to_a_pipe(void **state)
{
    (void)state;
    static const size_t taken[] = {1, 5000, 150000};
    begin(false);
    for (size_t i = 0; i < N_TO_PIPE; i++) {
        for (size_t k = 0; k < sizeof taken / sizeof taken[0]; k++) {
            struct piped piped = start(to_pipe[i], false, true);
            drain(&piped, taken[k]);
            assert_int_equal(kill(piped.child, k == 1 ? SIGTERM : SIGINT), 0);
            drain(&piped, SIZE_MAX);
            assert_ends(&piped, 130, "interrupted", to_pipe[i][0]);
        }
    }
}

/* Half of the container is there when the signal comes; the rest follows, and no output does. */
static void an_interrupt_ends_a_run_that_reads_from_a_pipe(void **state)
{
    (void)state;
    static const char *const arguments[] = {"decompress", "-", "-o", "out", "-q", NULL};
    size_t n;
    char *container = temp_dir_read(directory, "a.mth", &n);
    assert_non_null(container);
    begin(false);
    for (size_t part = 1; part < 4; part++) {
        size_t first = n * part / 4;
        struct piped piped = start(arguments, true, false);
        assert_int_equal(write(piped.to, container, first), first);
        assert_int_equal(kill(piped.child, SIGINT), 0);
        for (size_t at = first; at < n;) {
            ssize_t put = write(piped.to, container + at, n - at);
            if (put <= 0)
                break;
            at += (size_t)put;
        }
        assert_ends(&piped, 130, "interrupted", "decompress");
    }
    free(container);
}

/* /dev/full takes nothing. */
static int write_to_full(void *arg)
{
    (void)arg;
    int fd = open("/dev/full", O_WRONLY);
    return fd < 0 || dup2(fd, STDOUT_FILENO) < 0;
}

static void a_full_standard_output_is_an_error_with_a_line(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    for (size_t i = 0; i < N_TO_PIPE; i++) {
        struct program_result result = program_run_prepared(directory, to_pipe[i], write_to_full, NULL);
        if (result.exit_code != 6 || program_lines(result.err) != 1 || !strstr(result.err, "No space left"))
            fail_msg("%s: exit code %d, errors '%s'", to_pipe[i][0], result.exit_code, result.err);
        program_result_free(&result);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_killed_leaves_the_old_output_or_the_new),
        cmocka_unit_test(a_full_disk_at_any_byte_leaves_the_old_output),
        cmocka_unit_test(what_fails_when_the_output_is_finished_leaves_the_old_one),
        cmocka_unit_test(an_input_that_cannot_be_read_leaves_the_old_output),
        cmocka_unit_test(a_limit_on_file_sizes_leaves_the_old_output),
        cmocka_unit_test(a_closed_pipe_is_an_error_with_a_line),
        cmocka_unit_test(an_interrupt_ends_a_run_that_writes_to_a_pipe),
        cmocka_unit_test(an_interrupt_ends_a_run_that_reads_from_a_pipe),
        cmocka_unit_test(a_full_standard_output_is_an_error_with_a_line),
    };
    return cmocka_run_group_tests(tests, create_files, destroy_files);
}
