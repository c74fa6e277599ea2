/*
 * Laws of chains against a model: whatever sequence of add, drop, restore, kill, failing calls and damage a chain goes through,
 * it holds the steps that it should, and each of them byte for byte.
 *
 * The commands run in a process of their own, in which the calls that change files are ours: they are counted, and the one
 * of a number ends the process at once, as kill -9 does, or fails. So every moment can be hit, and no clock is needed.
 */
#define _GNU_SOURCE
#include "base/checked.h"
#include "harness/command.h"
#include "harness/folder_files.h"
#include "pipeline/chain.h"
#include "tests/support/patterns.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- calls that end the process, or fail ---- */

enum { NEVER = 0, KILLED = 137 };

static atomic_uint n_calls;
static unsigned fatal_call; /* NEVER, or the number of the call that it happens at */
static int fatal_errno;     /* 0: the process ends there */
static bool counts_reads;   /* calls that read are counted, and those that change something are not */
static bool names_all;      /* the file system has no files without a name */

#ifdef __linux__
#include <sys/syscall.h>

enum { CALLS_ARE_OURS = 1 };

/* Does this call fail? A disk that is full stays so for what is written. */
static bool fails_now(bool writes)
{
    unsigned number = atomic_fetch_add(&n_calls, 1) + 1;
    bool now =
        fatal_call != NEVER && (number == fatal_call || (writes && fatal_errno && number > fatal_call));
    if (now && fatal_errno == 0)
        _exit(KILLED);
    errno = now ? fatal_errno : 0;
    return now;
}

static bool fails(bool writes)
{
    return !counts_reads && fails_now(writes);
}

/* Opening makes files, or reads; of either the number that is counted. */
int open(const char *path, int flags, ...)
{
    bool makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    mode_t mode = 0;
    if (makes) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (names_all && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (makes ? fails(true) : counts_reads && fails_now(false))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int mkstemp(char *template)
{
    static atomic_uint n_made;
    if (fails(true))
        return -1;
    snprintf(template + strlen(template) - 6, 7, "%06u", atomic_fetch_add(&n_made, 1) % 1000000);
    return (int)syscall(SYS_openat, AT_FDCWD, template, O_RDWR | O_CREAT | O_EXCL, 0600);
}

ssize_t pread(int fd, void *data, size_t n_bytes, off_t offset)
{
    return counts_reads && fails_now(false) ? -1 : syscall(SYS_pread64, fd, data, n_bytes, offset);
}

/* Nobody pulls the plug here, so that nothing needs to reach the disk. */
int fsync(int fd)
{
    (void)fd;
    return fails(false) ? -1 : 0;
}

int fchmod(int fd, mode_t mode)
{
    return fails(false) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(false) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags)
{
    return fails(false) ? -1 : (int)syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
}

int rename(const char *from, const char *to)
{
    return fails(false) ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int unlink(const char *path)
{
    return fails(false) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

ssize_t write(int fd, const void *data, size_t n_bytes)
{
    return fails(true) ? -1 : syscall(SYS_write, fd, data, n_bytes);
}

ssize_t pwrite(int fd, const void *data, size_t n_bytes, off_t offset)
{
    return fails(true) ? -1 : syscall(SYS_pwrite64, fd, data, n_bytes, offset);
}
#else
enum { CALLS_ARE_OURS = 0 };
#endif

/* ---- the model ---- */

enum { N_FILES = 14, N_ELEMS = 3000, MAX_WORDS = 24 };

/* Some steps are directories of several files. */
static bool is_folder(unsigned index)
{
    return index % 5 == 3 || index == 5;
}

/* Steps lie in three directories, so that a base lies beside a new step in one case of three. Returns one of a few names. */
static const char *name_of(unsigned index)
{
    static char names[4][64];
    static size_t turn;
    char *name = names[turn++ % 4];
    snprintf(name, sizeof names[0], is_folder(index) ? "in-%u/run-%u" : "in-%u/run-%u.safetensors", index % 3,
             index + 1);
    return name;
}

static char *directory;
static struct mth_memory *memory;
static struct mth_buffer originals[N_FILES]; /* step i + 1 */
static bool is_in[N_FILES];                  /* what the chain should hold */

static char *path_of(const char *name)
{
    static char paths[4][8192];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

/*
 * An element of a tensor at a step. Some move by a step each time, always the same way, so that what came before tells where they
 * go: links have older bases. Others jump.
 */
static uint16_t value_of(unsigned index, unsigned tensor, unsigned i)
{
    uint32_t random = (i + 7919 * tensor) * 2654435761u;
    int walks = random % 5 < 2 ? (random >> 16 & 1 ? (int)index : -(int)index) : 0;
    int jumps = i % (3 + index) == tensor && i % 4 == 0 ? (int)index : 0;
    return (uint16_t)(0x3c80 + (int)(random >> 22) + walks + jumps);
}

/* The first n_tensors of three, in one file. */
static struct mth_buffer make_file(unsigned index, unsigned first, unsigned n_tensors)
{
    static uint8_t data[N_ELEMS * 2];
    struct safetensors_builder builder = {0};
    char name[64];
    for (unsigned t = first; t < first + n_tensors; t++) {
        for (unsigned i = 0; i < N_ELEMS; i++)
            mth_store16(data + 2 * i, value_of(index, t, i));
        /* Of one step nothing has a counterpart in the others. */
        snprintf(name, sizeof name, "%s.%u.weight", index == 6 ? "others" : "layers", t);
        uint64_t n_rows = index == 6 ? 30 : 50;
        safetensors_builder_add(&builder, name, "BF16", (const uint64_t[]){n_rows, N_ELEMS / n_rows}, 2, data,
                                sizeof data);
    }
    return safetensors_builder_finish(&builder, index);
}

/* All of a directory as the one file that it is in a chain; its data are to be freed. */
static struct mth_buffer read_folder(const char *path)
{
    struct mth_folder_files *files;
    struct mth_source source;
    struct mth_error err;
    assert_int_equal(mth_folder_files_open(&files, path, memory, &err), 0);
    mth_folder_files_source(files, &source);
    struct mth_buffer bytes = {.data = malloc((size_t)source.n_bytes), .n_bytes = (size_t)source.n_bytes};
    assert_int_equal(mth_source_read(&source, 0, bytes.data, bytes.n_bytes, &err), 0);
    mth_folder_files_close(files);
    return bytes;
}

/* Two shards, cut anew in every other one, and what is no checkpoint. */
static void make_folder(unsigned index)
{
    unsigned n_first = 1 + index % 2;
    for (unsigned shard = 0; shard < 2; shard++) {
        char name[128];
        struct mth_buffer file = make_file(index, shard ? n_first : 0, shard ? 3 - n_first : n_first);
        snprintf(name, sizeof name, "%s/model-0000%u-of-00002.safetensors", name_of(index), shard + 1);
        temp_dir_write(directory, name, file.data, file.n_bytes);
        snprintf(name, sizeof name, "%s/inner/notes-%u.txt", name_of(index), index % 4);
        temp_dir_write(directory, name, "a note", index % 7);
        free(file.data);
    }
    originals[index] = read_folder(path_of(name_of(index)));
}

static void make_original(unsigned index)
{
    if (is_folder(index)) {
        make_folder(index);
        return;
    }
    originals[index] = make_file(index, 0, 3);
    /* One is of no format at all. */
    if (index == 9)
        pattern_fill(PATTERN_FLOAT, 5, originals[index].data, originals[index].n_bytes);
    temp_dir_write(directory, name_of(index), originals[index].data, originals[index].n_bytes);
}

static int begin(void **state)
{
    (void)state;
    directory = temp_dir_create();
    memory = mth_memory_create(0);
    for (unsigned i = 0; i < N_FILES; i++)
        make_original(i);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++)
        free(originals[i].data);
    mth_memory_destroy(memory);
    temp_dir_destroy(directory);
    return 0;
}

/* ---- commands ---- */

struct words {
    char text[MAX_WORDS][96];
    size_t n;
};

static void add_word(struct words *words, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(words->text[words->n++], sizeof words->text[0], format, args);
    va_end(args);
}

struct moment {
    unsigned call; /* NEVER: nothing happens */
    int error;     /* 0: it is killed */
};

/* Runs `mithril chain ...` in the directory; n_used, unless NULL, gets how many calls it made. Returns the exit code. */
static int run(const struct words *words, struct moment moment, unsigned *n_used)
{
    int report[2], status;
    unsigned used = 0;
    assert_int_equal(pipe(report), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *argv[MAX_WORDS + 2] = {(char *)(uintptr_t) "chain"};
        int nowhere = open("/dev/null", O_WRONLY);
        for (size_t i = 0; i < words->n; i++)
            argv[i + 1] = (char *)(uintptr_t)words->text[i];
        if (chdir(directory) != 0 || dup2(nowhere, STDOUT_FILENO) < 0 ||
            (!getenv("SHOW_ERRORS") && dup2(nowhere, STDERR_FILENO) < 0))
            _exit(127);
        fatal_errno = moment.error;
        fatal_call = moment.call;
        atomic_store(&n_calls, 0);
        int code = mth_cmd_chain((int)words->n + 1, argv);
        fatal_call = NEVER;
        used = atomic_load(&n_calls);
        if (write(report[1], &used, sizeof used) != sizeof used)
            _exit(127);
        _exit(code);
    }
    close(report[1]);
    ssize_t got = read(report[0], &used, sizeof used);
    close(report[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (n_used)
        *n_used = got == sizeof used ? used : UINT_MAX;
    return WEXITSTATUS(status);
}

static size_t n_older_seen; /* links with an older base, in all that was looked at */

/* ---- what a chain holds ---- */

static bool read_chain(struct mth_chain *chain)
{
    struct mth_error err = {0};
    int status = mth_chain_read(path_of("chain"), memory, chain, &err);
    if (status && status != MTH_ERR_NOT_FOUND)
        fail_msg("the chain can not be read any more: %s", err.text);
    return status == 0;
}

/* Restores a step into memory; with_base: its own link alone, the originals of its bases at hand. Returns its status. */
static int restore(const struct mth_chain *chain, size_t index, bool with_base, size_t *blamed, bool *same)
{
    const struct mth_stream_config config = {.n_threads = 1, .memory = memory};
    const struct mth_buffer *original = &originals[chain->steps[index].number - 1];
    struct mth_buffer bytes = {.data = malloc(original->n_bytes), .capacity_bytes = original->n_bytes};
    struct mth_sink sink;
    struct mth_error err = {0};
    struct mth_source sources[2];
    struct mth_chain_given given[2];
    struct mth_chain_at_hand at_hand = {.given = given};
    size_t below = index, n_bases = (size_t)chain->steps[index].has_base + chain->steps[index].has_older;
    for (size_t k = 0; with_base && k < n_bases; k++) {
        below = mth_chain_base_of(chain, below);
        const struct mth_buffer *of_base = &originals[chain->steps[below].number - 1];
        mth_source_memory("base", (struct mth_bytes){of_base->data, of_base->n_bytes}, &sources[k]);
        given[at_hand.n_given++] = (struct mth_chain_given){below, &sources[k]};
    }
    mth_sink_memory(&bytes, &sink);
    int status = mth_chain_restore(chain, path_of("chain"), index, with_base ? &at_hand : NULL, directory,
                                   &sink, &config, NULL, blamed, &err);
    *same = !status && bytes.n_bytes == original->n_bytes &&
            memcmp(bytes.data, original->data, bytes.n_bytes) == 0;
    free(bytes.data);
    return status;
}

static void note_status(void *arg, size_t index, int status, const struct mth_error *err)
{
    (void)err;
    ((int *)arg)[index] = status;
}

static void verify(const struct mth_chain *chain, int statuses[N_FILES])
{
    const struct mth_stream_config config = {.n_threads = 1, .memory = memory};
    struct mth_error err = {0};
    for (size_t i = 0; i < N_FILES; i++)
        statuses[i] = 1; /* nothing was said of it */
    if (mth_chain_verify(chain, path_of("chain"), directory, &config, note_status, statuses, &err))
        fail_msg("the chain could not be verified: %s", err.text);
}

/* Each step that is there verifies, through all its links, and is what was added where its base is. */
static void assert_whole(const struct mth_chain *chain)
{
    int statuses[N_FILES];
    verify(chain, statuses);
    for (size_t i = 0; i < chain->n_steps; i++) {
        bool same;
        assert_int_equal(statuses[i], 0);
        assert_int_equal(restore(chain, i, true, NULL, &same), 0);
        assert_true(same);
        n_older_seen += chain->steps[i].has_older;
    }
}

static void assert_model(const char *what)
{
    struct mth_chain chain;
    if (!read_chain(&chain))
        fail_msg("%s: there is no chain", what);
    for (unsigned i = 0; i < N_FILES; i++)
        if (is_in[i] != (mth_chain_find(&chain, i + 1) < chain.n_steps))
            fail_msg("%s: step %u is %s", what, i + 1, is_in[i] ? "lost" : "still there");
    assert_whole(&chain);
    mth_chain_free(&chain);
}

/* Nothing lies in the directory but manifest, lock and the containers of steps. */
static void assert_tidy(const char *what)
{
    struct mth_chain chain;
    char file[MTH_CHAIN_FILE_BYTES];
    assert_true(read_chain(&chain));
    for (size_t i = 0; i < chain.n_steps; i++) {
        mth_chain_step_file(&chain.steps[i], file);
        struct stat st;
        char path[8400];
        snprintf(path, sizeof path, "%s/%s", path_of("chain"), file);
        assert_int_equal(stat(path, &st), 0);
    }
    if (temp_dir_count(directory, "chain") != chain.n_steps + 2)
        fail_msg("%s: %zu files for %zu steps", what, temp_dir_count(directory, "chain"), chain.n_steps);
    mth_chain_free(&chain);
}

/* ---- what may happen ---- */

struct change {
    struct words words;
    bool before[N_FILES], after[N_FILES];
    bool by_step;  /* an interrupted one may stop between any two of its steps */
    bool is_first; /* there is no chain before */
};

static const char *const policies[] = {"full:every=3", "consecutive", "one-shot", "one-shot:every=4",
                                       "intermittent"};

static struct change plan_add(uint64_t *seed)
{
    struct change change = {.by_step = true};
    add_word(&change.words, "add");
    add_word(&change.words, "chain");
    memcpy(change.after, is_in, sizeof is_in);
    for (size_t i = 0, n = 1 + pattern_random(seed) % 4; i < n; i++) {
        size_t file = pattern_random(seed) % N_FILES;
        bool named = false;
        const char *name = name_of((unsigned)file);
        for (size_t w = 0; w < change.words.n; w++)
            named |= strcmp(change.words.text[w], name) == 0;
        if (!named)
            add_word(&change.words, "%s", name);
        change.after[file] = true;
    }
    add_word(&change.words, "-q");
    add_word(&change.words, "-t%u", 1 + (unsigned)(pattern_random(seed) % 2));
    if (pattern_random(seed) % 3 == 0) {
        add_word(&change.words, "--policy");
        add_word(&change.words, "%s", policies[pattern_random(seed) % 5]);
    }
    return change;
}

static struct change plan_drop(uint64_t *seed)
{
    struct change change = {.by_step = false};
    size_t n_in = 0, rule = pattern_random(seed) % 3, n = 1 + pattern_random(seed) % 4, seen = 0, left = 0;
    for (size_t i = 0; i < N_FILES; i++)
        n_in += is_in[i];
    for (size_t i = 0; i < N_FILES; i++) {
        change.after[i] = is_in[i] && (rule == 0   ? n_in - seen <= n
                                       : rule == 1 ? (i + 1) % n == 0
                                                   : pattern_random(seed) % 2);
        seen += is_in[i];
        left += change.after[i];
    }
    add_word(&change.words, "drop");
    add_word(&change.words, "chain");
    add_word(&change.words, "-q");
    add_word(&change.words, "--keep");
    if (rule == 0)
        add_word(&change.words, "last:%zu", n);
    if (rule == 1)
        add_word(&change.words, "every:%zu", n);
    if (rule == 2) {
        char rules[96] = "step:999";
        for (size_t i = 0; i < N_FILES; i++)
            if (change.after[i])
                snprintf(rules + strlen(rules), sizeof rules - strlen(rules), ",range:%zu:%zu", i + 1, i + 1);
        add_word(&change.words, "%s", rules);
        /* What does not fit into a word is not kept. */
        if (strlen(rules) > 80)
            change.words.n = 0;
    }
    if (left == 0)
        change.words.n = 0;
    return change;
}

/* After a change that may have stopped anywhere: the model becomes what the chain is, if it may be that. */
static void accept(const struct change *change, bool was_there, const char *what)
{
    struct mth_chain chain;
    bool is_before = true, is_after = true, is_between = true, stopped = false;
    if (!read_chain(&chain)) {
        if (was_there)
            fail_msg("%s: the chain is gone", what);
        return;
    }
    for (size_t i = 0; i < N_FILES; i++) {
        bool there = mth_chain_find(&chain, i + 1) < chain.n_steps;
        is_before &= there == is_in[i];
        is_after &= there == change->after[i];
        /* In the order of the steps: those up to some step are done. */
        stopped |= change->after[i] && !there;
        is_between &= there == is_in[i] || (there && change->after[i] && !stopped);
    }
    if (!is_before && !is_after && !(change->by_step && is_between))
        fail_msg("%s: the chain is neither as before nor as it should be", what);
    for (size_t i = 0; i < N_FILES; i++)
        is_in[i] = mth_chain_find(&chain, i + 1) < chain.n_steps;
    assert_whole(&chain);
    mth_chain_free(&chain);
}

/* What happened in all, so that a test can tell that it tried something. */
static struct {
    size_t n_killed, n_failed, n_whole, n_harmed;
} seen;

static void make_change(uint64_t *seed, char *what, size_t n_what)
{
    struct change change = pattern_random(seed) % 3 ? plan_add(seed) : plan_drop(seed);
    struct moment moment = {NEVER, 0};
    struct mth_chain chain;
    static const int errors[] = {0, 0, ENOSPC, EIO};
    if (change.words.n == 0)
        return;
    bool was_there = read_chain(&chain);
    if (was_there)
        mth_chain_free(&chain);
    else if (strcmp(change.words.text[0], "drop") == 0)
        return;
    if (CALLS_ARE_OURS && pattern_random(seed) % 2)
        moment = (struct moment){1 + (unsigned)(pattern_random(seed) % 40), errors[pattern_random(seed) % 4]};
    snprintf(what, n_what, "%s, ended at call %u with %d", change.words.text[0], moment.call, moment.error);
    for (size_t i = 2; i < change.words.n; i++)
        snprintf(what + strlen(what), n_what - strlen(what), " %s", change.words.text[i]);
    int code = run(&change.words, moment, NULL);
    seen.n_killed += code == KILLED;
    seen.n_failed += code == MTH_EXIT_RESOURCES;
    seen.n_whole += code == 0;
    if (moment.call != NEVER) {
        accept(&change, was_there, what);
        return;
    }
    if (code != 0)
        fail_msg("%s: exit code %d", what, code);
    memcpy(is_in, change.after, sizeof is_in);
    assert_model(what);
    assert_tidy(what);
}

/* ---- damage ---- */

/* Does a step stand on another, or is it that? */
static bool stands_on(const struct mth_chain *chain, size_t index, size_t on)
{
    while (index != on && chain->steps[index].has_base)
        index = mth_chain_find(chain, chain->steps[index].base);
    return index == on;
}

enum harm { REMOVED, CUT, EXCHANGED, FLIPPED, N_HARMS };

/* other: the container of another step; NULL: there is none. Returns what was done to the file of `bytes`. */
static enum harm damage(uint64_t *seed, const char *path, char *bytes, size_t n_bytes, const char *other,
                        size_t n_other)
{
    enum harm harm = (enum harm)(pattern_random(seed) % N_HARMS);
    size_t at = pattern_random(seed) % n_bytes;
    if (harm == REMOVED) {
        unlink(path_of(path));
    } else if (harm == CUT) {
        temp_dir_write(directory, path, bytes, at);
    } else if (harm == EXCHANGED && other) {
        temp_dir_write(directory, path, other, n_other);
    } else {
        harm = FLIPPED;
        bytes[at] ^= (char)(1u << pattern_random(seed) % 8);
        temp_dir_write(directory, path, bytes, n_bytes);
    }
    return harm;
}

static int run_words(const char *a, const char *b)
{
    struct words words = {0};
    add_word(&words, "%s", a);
    add_word(&words, "%s", b);
    return run(&words, (struct moment){NEVER, 0}, NULL);
}

static void damage_and_repair(uint64_t *seed)
{
    struct mth_chain chain;
    int statuses[N_FILES];
    char file[2][MTH_CHAIN_FILE_BYTES], path[2][256];
    size_t n_bytes[2];
    if (!read_chain(&chain))
        return;
    if (chain.n_steps == 0) {
        mth_chain_free(&chain);
        return;
    }
    size_t hurt = pattern_random(seed) % chain.n_steps, other = pattern_random(seed) % chain.n_steps;
    char *kept[2];
    for (size_t i = 0; i < 2; i++) {
        mth_chain_step_file(&chain.steps[i ? other : hurt], file[i]);
        snprintf(path[i], sizeof path[i], "chain/%s", file[i]);
        kept[i] = temp_dir_read(directory, path[i], &n_bytes[i]);
        assert_non_null(kept[i]);
    }
    char *copy = malloc(n_bytes[0]);
    memcpy(copy, kept[0], n_bytes[0]);
    enum harm harm = damage(seed, path[0], copy, n_bytes[0], other == hurt ? NULL : kept[1], n_bytes[1]);
    seen.n_harmed++;
    verify(&chain, statuses);
    for (size_t i = 0; i < chain.n_steps; i++) {
        size_t blamed = 0;
        bool same, lost = stands_on(&chain, i, hurt);
        int status = restore(&chain, i, false, &blamed, &same);
        if (lost != (status != 0) || (lost && blamed != hurt) || (!lost && !same))
            fail_msg("step %zu of %zu hurt: step %zu gives %d, blames %zu", hurt, chain.n_steps, i, status,
                     blamed);
        if (lost != (statuses[i] != 0) || (lost && i != hurt && statuses[i] != MTH_ERR_BASE))
            fail_msg("step %zu of %zu hurt: of step %zu verify says %d", hurt, chain.n_steps, i, statuses[i]);
    }
    /* A bit of the data is not seen without decoding. */
    assert_int_equal(run_words("verify", "chain"), 2);
    if (harm != FLIPPED)
        assert_int_equal(run_words("list", "chain"), 2);
    temp_dir_write(directory, path[0], kept[0], n_bytes[0]);
    free(copy);
    free(kept[0]);
    free(kept[1]);
    mth_chain_free(&chain);
    assert_model("repaired");
}

static void a_chain_is_what_its_model_is(void **state)
{
    (void)state;
    static char what[1024];
    for (uint64_t round = 1; round <= 6; round++) {
        uint64_t seed = round;
        memset(is_in, 0, sizeof is_in);
        for (size_t i = 0; i < 60; i++) {
            if (pattern_random(&seed) % 4)
                make_change(&seed, what, sizeof what);
            else
                damage_and_repair(&seed);
        }
        temp_dir_destroy(strdup(path_of("chain")));
    }
    print_message(
        "%zu changes came through, %zu were killed, %zu failed; %zu harms; %zu links with an older base\n",
        seen.n_whole, seen.n_killed, seen.n_failed, seen.n_harmed, n_older_seen);
    assert_true(n_older_seen > 50);
    assert_true(seen.n_whole > 50 && seen.n_harmed > 30);
    assert_true(!CALLS_ARE_OURS || (seen.n_killed > 15 && seen.n_failed > 10));
}

/* ---- every moment of one change ---- */

static void begin_without_chain(void)
{
    if (temp_dir_count(directory, "chain"))
        temp_dir_destroy(strdup(path_of("chain")));
    memset(is_in, 0, sizeof is_in);
}

/* The first five steps, one on the other: made once, copied from then on. */
static void begin_chain(void)
{
    static const char *const files[] = {"chain.manifest", "chain.lock", "step-1.mth", "step-2.mth",
                                        "step-3.mth",     "step-4.mth", "step-5.mth"};
    char from[64], to[64];
    begin_without_chain();
    for (size_t i = 0; i < 5; i++)
        is_in[i] = true;
    if (temp_dir_count(directory, "first-chain") == 0) {
        struct words words = {0};
        add_word(&words, "add");
        add_word(&words, "first-chain");
        for (unsigned i = 0; i < 5; i++)
            add_word(&words, "%s", name_of(i));
        add_word(&words, "--policy");
        add_word(&words, "consecutive");
        assert_int_equal(run(&words, (struct moment){NEVER, 0}, NULL), 0);
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t n_bytes;
        snprintf(from, sizeof from, "first-chain/%s", files[i]);
        snprintf(to, sizeof to, "chain/%s", files[i]);
        char *bytes = temp_dir_read(directory, from, &n_bytes);
        assert_non_null(bytes);
        temp_dir_write(directory, to, bytes, n_bytes);
        free(bytes);
    }
}

/* What happens at a call, and which calls are counted. */
static const struct ending {
    const char *name;
    int error;
    bool reads, names_all;
    unsigned stride; /* every so many calls it happens: what only fails takes the same way out of each */
} endings[] = {
    {"killed", 0, false, false, 1},         {"killed where all files have names", 0, false, true, 1},
    {"full", ENOSPC, false, false, 2},      {"full where all files have names", ENOSPC, false, true, 3},
    {"not readable", EIO, true, false, 17},
};

/* Ends a change at its first call, its second, and so on until it comes through. */
static void end_everywhere(const struct change *change)
{
    for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++) {
        unsigned n_used = 0;
        int code = -1;
        for (unsigned call = 1; code != 0; call += endings[e].stride) {
            char what[160];
            snprintf(what, sizeof what, "%s, call %u, %s", change->words.text[0], call, endings[e].name);
            if (change->is_first)
                begin_without_chain();
            else
                begin_chain();
            counts_reads = endings[e].reads;
            names_all = endings[e].names_all;
            code = run(&change->words, (struct moment){call, endings[e].error}, &n_used);
            counts_reads = names_all = false;
            if (code != 0 && code != (endings[e].error ? MTH_EXIT_RESOURCES : KILLED))
                fail_msg("%s: exit code %d", what, code);
            accept(change, !change->is_first, what);
            /* Who fails before there is a step leaves no chain without one. */
            if (code == MTH_EXIT_RESOURCES && change->is_first && !is_in[0])
                if (access(path_of("chain"), F_OK) == 0)
                    fail_msg("%s: %zu files are left", what, temp_dir_count(directory, "chain"));
            /* Some calls may fail without harm, the sync of a directory for one; then the change is whole. */
            if (code == 0)
                assert_memory_equal(is_in, change->after, sizeof is_in);
            if (code == 0 && n_used >= call)
                code = -1;
            /* The next one puts it right, and leaves nothing lying about. */
            assert_int_equal(run(&change->words, (struct moment){NEVER, 0}, NULL), 0);
            memcpy(is_in, change->after, sizeof is_in);
            assert_model(what);
            assert_tidy(what);
            assert_true(call < 2000);
        }
        assert_true(n_used > 15);
    }
}

static void whenever_adding_ends_the_chain_verifies(void **state)
{
    (void)state;
    struct change change = {.by_step = true};
    if (!CALLS_ARE_OURS)
        skip();
    add_word(&change.words, "add");
    add_word(&change.words, "chain");
    add_word(&change.words, "%s", name_of(5));
    add_word(&change.words, "%s", name_of(6));
    add_word(&change.words, "-q");
    add_word(&change.words, "-t1");
    for (size_t i = 0; i < 7; i++)
        change.after[i] = true;
    end_everywhere(&change);
}

static void whenever_the_first_adding_ends_it_can_be_done_again(void **state)
{
    (void)state;
    struct change change = {.by_step = true, .is_first = true, .after = {true, true}};
    if (!CALLS_ARE_OURS)
        skip();
    add_word(&change.words, "add");
    add_word(&change.words, "chain");
    add_word(&change.words, "%s", name_of(0));
    add_word(&change.words, "%s", name_of(1));
    add_word(&change.words, "-q");
    add_word(&change.words, "-t1");
    end_everywhere(&change);
}

static void whenever_dropping_ends_the_chain_verifies(void **state)
{
    (void)state;
    struct change change = {.by_step = false};
    if (!CALLS_ARE_OURS)
        skip();
    add_word(&change.words, "drop");
    add_word(&change.words, "chain");
    add_word(&change.words, "--keep");
    add_word(&change.words, "step:2,step:4,step:5");
    add_word(&change.words, "-q");
    add_word(&change.words, "-t1");
    change.after[1] = change.after[3] = change.after[4] = true;
    end_everywhere(&change);
}

/* ---- every moment of restoring several files ---- */

/* Does the directory hold what was added, bit for bit, with modes and times? */
static bool is_restored(const char *name, unsigned index)
{
    struct mth_buffer bytes = read_folder(path_of(name));
    bool same = bytes.n_bytes == originals[index].n_bytes &&
                memcmp(bytes.data, originals[index].data, bytes.n_bytes) == 0;
    free(bytes.data);
    return same;
}

static void whenever_restoring_ends_a_directory_is_whole_or_not_there(void **state)
{
    (void)state;
    struct words words = {0};
    struct stat st;
    if (!CALLS_ARE_OURS)
        skip();
    begin_chain();
    add_word(&words, "restore");
    add_word(&words, "chain");
    add_word(&words, "--step");
    add_word(&words, "4");
    add_word(&words, "-o");
    add_word(&words, "out/four");
    add_word(&words, "-q");
    add_word(&words, "-t1");
    assert_true(is_folder(3));
    for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++) {
        unsigned n_used = 0;
        int code = -1;
        for (unsigned call = 1; code != 0; call++) {
            temp_dir_write(directory, "out/beside", "mine", 4);
            counts_reads = endings[e].reads;
            names_all = endings[e].names_all;
            code = run(&words, (struct moment){call, endings[e].error}, &n_used);
            counts_reads = names_all = false;
            bool is_there = stat(path_of("out/four"), &st) == 0;
            if (code != 0 && code != (endings[e].error ? MTH_EXIT_RESOURCES : KILLED))
                fail_msg("restoring, call %u, %s: exit code %d", call, endings[e].name, code);
            if (is_there && !is_restored("out/four", 3))
                fail_msg("restoring, call %u, %s: is there in part", call, endings[e].name);
            /* Only who is killed, or can not remove a name, leaves something, and never under the name that was asked for. */
            if (code != KILLED && !is_there && !endings[e].names_all && temp_dir_count(directory, "out") != 1)
                fail_msg("restoring, call %u, %s: left something", call, endings[e].name);
            assert_true(code != 0 || is_there);
            /* Some calls may fail without harm. */
            if (code == 0 && n_used >= call)
                code = -1;
            temp_dir_destroy(strdup(path_of("out")));
            assert_true(call < 2000);
        }
        assert_true(n_used > 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_what_its_model_is),
        cmocka_unit_test(whenever_adding_ends_the_chain_verifies),
        cmocka_unit_test(whenever_the_first_adding_ends_it_can_be_done_again),
        cmocka_unit_test(whenever_dropping_ends_the_chain_verifies),
        cmocka_unit_test(whenever_restoring_ends_a_directory_is_whole_or_not_there),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
