/*
 * Laws of directories that are coded as a whole, as an optimizer in one file moved the weights in another: one container stands for all, every
 * file comes back as it was, one alone comes out of it too, and what can not be restored leaves nothing. Files are a trainer's (tests/fixtures/states/).
 */
#define _GNU_SOURCE /* st_mtim */
#include "tests/support/program.h"
#include "tests/support/safetensors_builder.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *directory;

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static const char *const names[] = {"model.safetensors", "optimizer.pt", "notes/a.txt"};
enum { N_NAMES = sizeof names / sizeof names[0] };

static char *path_of(const char *name)
{
    static char paths[4][4096];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void copy_fixture(const char *from, const char *name, const char *to)
{
    char path[256], copy[256];
    snprintf(path, sizeof path, "tests/fixtures/states/%s/%s", from, name);
    snprintf(copy, sizeof copy, "%s/%s", to, name);
    temp_dir_copy(directory, copy, path);
}

static void write_step(const char *from, const char *to)
{
    char path[256];
    copy_fixture(from, "model.safetensors", to);
    copy_fixture(from, "optimizer.pt", to);
    snprintf(path, sizeof path, "%s/notes/a.txt", to);
    temp_dir_write(directory, path, from, strlen(from));
}

static int begin(void **state)
{
    (void)state;
    directory = temp_dir_create();
    write_step("trainer-11", "run/checkpoint-11");
    write_step("trainer-12", "run/checkpoint-12");
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

static bool is_there(const char *name)
{
    return temp_dir_has(directory, name);
}

static off_t size_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_size;
}

static void assert_same_times(const char *a, const char *b)
{
    struct stat of_a, of_b;
    assert_int_equal(stat(path_of(a), &of_a), 0);
    assert_int_equal(stat(path_of(b), &of_b), 0);
    assert_int_equal(of_a.st_mode, of_b.st_mode);
    assert_int_equal(of_a.st_mtim.tv_sec, of_b.st_mtim.tv_sec);
    assert_int_equal(of_a.st_mtim.tv_nsec, of_b.st_mtim.tv_nsec);
}

/* Nothing but these files, with their modes and times, and those of the directory. */
static void assert_same(const char *a, const char *b)
{
    assert_int_equal(temp_dir_count(directory, a), N_NAMES);
    assert_int_equal(temp_dir_count(directory, b), N_NAMES);
    assert_same_times(a, b);
    for (size_t i = 0; i < N_NAMES; i++) {
        char left[256], right[256];
        snprintf(left, sizeof left, "%s/%s", a, names[i]);
        snprintf(right, sizeof right, "%s/%s", b, names[i]);
        assert_true(temp_dir_same(directory, left, right));
        assert_same_times(left, right);
    }
}

static void a_step_in_several_files_is_as_small_as_one_that_knows_itself(void **state)
{
    (void)state;
    const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5}, {.tv_sec = 2000, .tv_nsec = 123456789}};
    assert_int_equal(chmod(path_of("run/checkpoint-12/optimizer.pt"), 0400), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_of("run/checkpoint-12/notes/a.txt"), times, 0), 0);
    assert_int_equal(chmod(path_of("run/checkpoint-12"), 0750), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_of("run/checkpoint-12"), times, 0), 0);
    program_assert_prints(RUN("compress", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "packed"),
                          "verified");
    assert_int_equal(temp_dir_count(directory, "packed"), 1);
    /* File by file the weights are coded as if there were no optimizer. */
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12/model.safetensors",
                            "run/checkpoint-12/optimizer.pt", "-b", "run/checkpoint-11", "-o", "apart"),
                        0, NULL);
    assert_true(size_of("packed/checkpoint.mth") * 10 <
                (size_of("apart/model.safetensors.mth") + size_of("apart/optimizer.pt.mth")) * 8);
    program_assert_ends(RUN("decompress", "-q", "packed", "-b", "run/checkpoint-11", "-o", "back"), 0, NULL);
    assert_same("back", "run/checkpoint-12");
    /* The container by its own name; and as the folder that it is. */
    program_assert_ends(
        RUN("decompress", "-q", "packed/checkpoint.mth", "-b", "run/checkpoint-11", "-o", "again"), 0, NULL);
    assert_same("again", "run/checkpoint-12");
    program_assert_prints(
        RUN("decompress", "-q", "packed/checkpoint.mth", "-b", "run/checkpoint-11", "-o", "-"),
        "mithril-folder 1 ");
    program_assert_prints(RUN("info", "packed"), "optimizer.pt");
    program_assert_prints(RUN("info", "packed", "-b", "run/checkpoint-11", "--json", "-"),
                          "\"files\":[{\"name\":\"model.safetensors\"");
    program_assert_prints(RUN("verify", "packed", "-b", "run/checkpoint-11"), "restores to the original");
    program_assert_prints(RUN("verify", "packed"), "can only be restored with the base");
}

static void a_run_is_packed_step_by_step(void **state)
{
    (void)state;
    program_assert_ends(RUN("compress", "-q", "run", "-o", "alone"), 0, NULL);
    assert_int_equal(temp_dir_count(directory, "alone"), 2);
    assert_true(is_there("alone/checkpoint-11/checkpoint.mth"));
    program_assert_ends(RUN("decompress", "-q", "alone", "-o", "back"), 0, NULL);
    assert_same("back/checkpoint-11", "run/checkpoint-11");
    assert_same("back/checkpoint-12", "run/checkpoint-12");
    /* Another run of the same steps: each against the one at its place, files or container. */
    program_assert_ends(RUN("compress", "-q", "run", "-b", "alone", "-o", "second"), 0, NULL);
    assert_true(size_of("second/checkpoint-12/checkpoint.mth") * 4 <
                size_of("alone/checkpoint-12/checkpoint.mth"));
    program_assert_ends(RUN("decompress", "-q", "second", "-b", "run", "-o", "back2"), 0, NULL);
    assert_same("back2/checkpoint-12", "run/checkpoint-12");
}

static void a_packed_directory_is_a_base_as_its_files_are(void **state)
{
    (void)state;
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11", "-o", "p11"), 0, NULL);
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "p11", "-o", "p12"), 0, NULL);
    program_assert_ends(RUN("decompress", "-q", "p12", "-b", "run/checkpoint-11", "-o", "back"), 0, NULL);
    assert_same("back", "run/checkpoint-12");
    /* One that needs another. */
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11", "-b", "p12", "-b", "p11", "-o", "p13"), 0,
                        NULL);
    program_assert_ends(RUN("decompress", "-q", "p13", "-b", "p12", "-b", "p11", "-o", "back13"), 0, NULL);
    assert_same("back13", "run/checkpoint-11");
    program_assert_ends(RUN("decompress", "-q", "p13", "-b", "p12", "-o", "no"), 2,
                        "was itself coded against a base; give that with another --base");
    /* Of one of its files by itself, too. */
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12/optimizer.pt", "-b", "p11", "-o", "o.mth"),
                        0, NULL);
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12/optimizer.pt", "-o", "o-alone.mth"), 0,
                        NULL);
    assert_true(size_of("o.mth") < size_of("o-alone.mth"));
    program_assert_ends(RUN("compress", "-q", "-f", "run/checkpoint-12/optimizer.pt", "-b", "p11"), 0, NULL);
    assert_int_equal(rename(path_of("run/checkpoint-12/optimizer.pt.mth"), path_of("optimizer.pt.mth")), 0);
    program_assert_ends(RUN("decompress", "-q", "optimizer.pt.mth", "-b", "p11"), 0, NULL);
    assert_true(temp_dir_same(directory, "optimizer.pt", "run/checkpoint-12/optimizer.pt"));
}

/* The files of checkpoint-11, each in a container of its own. */
static void pack_file_by_file(const char *from, const char *base, const char *to)
{
    char weights[64], optimizer[64];
    snprintf(weights, sizeof weights, "%s/model.safetensors", from);
    snprintf(optimizer, sizeof optimizer, "%s/optimizer.pt", from);
    program_assert_ends(base ? RUN("compress", "-q", weights, optimizer, "-b", base, "-o", to)
                             : RUN("compress", "-q", weights, optimizer, "-o", to),
                        0, NULL);
    assert_int_equal(temp_dir_count(directory, to), 2);
}

static void a_base_that_was_compressed_file_by_file_is_one_as_its_files_are(void **state)
{
    (void)state;
    pack_file_by_file("run/checkpoint-11", NULL, "p11");
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "a"), 0,
                        NULL);
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "p11", "-o", "b"), 0, NULL);
    assert_int_equal(temp_dir_count(directory, "b"), 1);
    assert_in_range(size_of("b/checkpoint.mth"), size_of("a/checkpoint.mth") - 8,
                    size_of("a/checkpoint.mth") + 8);
    /* Either form restores what was coded against the other, on any number of threads. */
    static const char *const packed[] = {"a", "b"}, *const bases[] = {"p11", "run/checkpoint-11"};
    static const char *const outs[] = {"out0", "out1", "out2", "out3"}, *const threads[] = {"1", "4"};
    for (size_t i = 0; i < 4; i++) {
        program_assert_ends(
            RUN("decompress", "-q", packed[i / 2], "-b", bases[i % 2], "-o", outs[i], "-t", threads[i % 2]),
            0, NULL);
        assert_same(outs[i], "run/checkpoint-12");
    }
    program_assert_ends(RUN("decompress", "-q", "b/notes/a.txt", "-b", "p11", "-o", "one"), 0, NULL);
    assert_true(temp_dir_same(directory, "one", "run/checkpoint-12/notes/a.txt"));
    program_assert_prints(RUN("verify", "b", "-b", "p11"), "restores to the original");
    /* One beside the file of its name does not count, nor does one beside a directory of it. */
    temp_dir_write(directory, "p11/optimizer.pt.mth.mth", "none", 4);
    temp_dir_write(directory, "p11/dir/x", "x", 1);
    temp_dir_write(directory, "p11/dir.mth", "x", 1);
    program_assert_ends(RUN("decompress", "-q", "b", "-b", "p11", "-o", "again"), 0, NULL);
    assert_same("again", "run/checkpoint-12");
}

static void a_base_in_containers_that_is_damaged_or_lacks_its_own_is_refused(void **state)
{
    (void)state;
    pack_file_by_file("run/checkpoint-11", NULL, "p11");
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "p11", "-o", "b"), 0, NULL);
    static const char *const files[] = {"p11/model.safetensors.mth", "p11/optimizer.pt.mth"};
    for (size_t f = 0; f < 2; f++) {
        size_t n;
        char *bytes = temp_dir_read(directory, files[f], &n);
        for (size_t at = 0; at < n; at += n / 12) {
            bytes[at] = (char)(bytes[at] ^ 0x40);
            temp_dir_write(directory, files[f], bytes, n);
            bytes[at] = (char)(bytes[at] ^ 0x40);
            struct program_result result = RUN("decompress", "-q", "b", "-b", "p11", "-o", "out");
            if (result.exit_code != 2)
                fail_msg("byte %zu of %s: exit code %d", at, files[f], result.exit_code);
            program_result_free(&result);
            assert_false(is_there("out"));
        }
        temp_dir_write(directory, files[f], bytes, n);
        free(bytes);
    }
    /* Containers that need a base are no base as a whole: each file goes against its own, as before. */
    pack_file_by_file("run/checkpoint-12", "run/checkpoint-11", "p12");
    program_assert_ends(
        RUN("compress", "-q", "run/checkpoint-11/model.safetensors", "-b", "p12", "-o", "x.mth"), 2,
        "was itself coded against a base");
    struct program_result result =
        RUN("compress", "-q", "run/checkpoint-11", "-b", "p12", "-b", "run/checkpoint-11", "-o", "each");
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
    assert_false(is_there("each/checkpoint.mth"));
    assert_int_equal(temp_dir_count(directory, "each"), N_NAMES);
}

static void of_two_bases_the_second_is_the_older(void **state)
{
    (void)state;
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-11", "-b", "run/checkpoint-12", "-b",
                            "run/checkpoint-11", "-o", "p"),
                        0, NULL);
    program_assert_prints(RUN("info", "p"), "older   base of");
    program_assert_ends(RUN("decompress", "-q", "p", "-b", "run/checkpoint-12", "-o", "one"), 2,
                        "was coded against two bases");
    program_assert_ends(
        RUN("decompress", "-q", "p", "-b", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "two"), 0,
        NULL);
    assert_same("two", "run/checkpoint-11");
    /* What was coded against one takes it where two are given. */
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "q"), 0,
                        NULL);
    program_assert_ends(
        RUN("decompress", "-q", "q", "-b", "run/checkpoint-11", "-b", "run/checkpoint-12", "-o", "three"), 0,
        NULL);
    assert_same("three", "run/checkpoint-12");
}

/* Only tensors are looked at in it, wherever they lie. */
static void other_files_of_the_base_may_come_and_go(void **state)
{
    (void)state;
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "packed"),
                        0, NULL);
    temp_dir_write(directory, "run/checkpoint-11/a.json", "{}", 2);
    assert_int_equal(unlink(path_of("run/checkpoint-11/notes/a.txt")), 0);
    program_assert_ends(RUN("decompress", "-q", "packed", "-b", "run/checkpoint-11", "-o", "back"), 0, NULL);
    assert_same("back", "run/checkpoint-12");
    assert_int_equal(unlink(path_of("run/checkpoint-11/optimizer.pt")), 0);
    program_assert_ends(
        RUN("decompress", "-q", "packed/checkpoint.mth", "-b", "run/checkpoint-11", "-o", "no"), 2,
        "lacks tensors by name");
    assert_false(is_there("no"));
    program_assert_ends(
        RUN("decompress", "-q", "packed/checkpoint.mth", "-b", "run/checkpoint-10", "-o", "no"), 6,
        "No such file or directory");
}

static void one_file_comes_out_of_a_packed_directory(void **state)
{
    (void)state;
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "packed"),
                        0, NULL);
    for (size_t i = 0; i < N_NAMES; i++) {
        char path[256], original[256];
        snprintf(path, sizeof path, "packed/%s", names[i]);
        snprintf(original, sizeof original, "run/checkpoint-12/%s", names[i]);
        program_assert_ends(RUN("decompress", "-q", "-f", path, "-b", "run/checkpoint-11", "-o", "one"), 0,
                            NULL);
        assert_true(temp_dir_same(directory, "one", original));
        assert_same_times("one", original);
    }
    /* As if it were a container of its own. */
    program_assert_ends(RUN("decompress", "-q", "packed/optimizer.pt.mth", "-b", "run/checkpoint-11"), 0,
                        NULL);
    assert_true(temp_dir_same(directory, "packed/optimizer.pt", "run/checkpoint-12/optimizer.pt"));
    /* From inside of it. */
    program_assert_ends(
        program_run(path_of("packed"), (const char *const[]){"decompress", "-q", "-f", names[2], "-b",
                                                             "../run/checkpoint-11", "-o", "../one", NULL}),
        0, NULL);
    assert_true(temp_dir_same(directory, "one", "run/checkpoint-12/notes/a.txt"));
    program_assert_ends(RUN("decompress", "-q", "packed/nothing.pt", "-o", "x", "-b", "run/checkpoint-11"), 6,
                        "packed/checkpoint.mth: has no file 'nothing.pt'");
    program_assert_ends(RUN("decompress", "-q", "packed/notes", "-o", "x", "-b", "run/checkpoint-11"), 6,
                        "has no file 'notes'");
    program_assert_ends(RUN("decompress", "-q", "packed/model.safetensors", "-o", "x"), 2,
                        "packed/checkpoint.mth: was coded against a base");
    assert_false(is_there("x"));
}

static void what_does_not_restore_leaves_nothing(void **state)
{
    (void)state;
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-b", "run/checkpoint-11", "-o", "packed"),
                        0, NULL);
    program_assert_ends(
        RUN("decompress", "-q", "packed/checkpoint.mth", "-b", "run/checkpoint-12", "-o", "back"), 2,
        "is not the base that was coded against");
    program_assert_ends(RUN("decompress", "-q", "packed/checkpoint.mth", "-o", "back"), 2,
                        "give it with --base");
    size_t n;
    char *bytes = temp_dir_read(directory, "packed/checkpoint.mth", &n);
    for (size_t at = n / 8; at < n; at += n / 8) {
        bytes[at] = (char)(bytes[at] ^ 0x10);
        temp_dir_write(directory, "bad/checkpoint.mth", bytes, n);
        bytes[at] = (char)(bytes[at] ^ 0x10);
        struct program_result result =
            RUN("decompress", "-q", "bad/checkpoint.mth", "-b", "run/checkpoint-11", "-o", "back");
        assert_int_equal(result.exit_code, 2);
        program_result_free(&result);
        assert_false(is_there("back"));
    }
    for (size_t cut = 0; cut < n; cut += n / 5) {
        temp_dir_write(directory, "bad/checkpoint.mth", bytes, cut);
        struct program_result result =
            RUN("decompress", "-q", "bad/checkpoint.mth", "-b", "run/checkpoint-11", "-o", "back");
        assert_true(result.exit_code == 2);
        program_result_free(&result);
        assert_false(is_there("back"));
    }
    free(bytes);
    /* Nothing of what was there goes. */
    temp_dir_write(directory, "full/mine", "x", 1);
    program_assert_ends(RUN("decompress", "-q", "-f", "packed", "-b", "run/checkpoint-11", "-o", "full"), 1,
                        "is there already");
    assert_int_equal(temp_dir_count(directory, "full"), 1);
    temp_dir_write(directory, "other/a.mth", "x", 1);
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-o", "other"), 1,
                        "holds other containers");
    program_assert_ends(RUN("compress", "-q", "run/checkpoint-12", "-o", "packed"), 1, "is there already");
    program_assert_ends(RUN("compress", "-q", "-f", "run/checkpoint-12", "-o", "packed"), 0, NULL);
}

/* Whatever it says of files that are no checkpoints. */
static void assert_ends_well(struct program_result result)
{
    assert_int_equal(result.exit_code, 0);
    program_result_free(&result);
}

static void files_that_do_not_need_each_other_are_coded_one_by_one(void **state)
{
    (void)state;
    copy_fixture("trainer-12", "model.safetensors", "weights");
    temp_dir_write(directory, "weights/checkpoint", "model_checkpoint_path: 1", 24);
    assert_ends_well(RUN("compress", "-q", "weights", "-b", "run/checkpoint-11", "-o", "w"));
    assert_int_equal(temp_dir_count(directory, "w"), 2);
    /* A file may be called as the container of a directory is. */
    program_assert_ends(RUN("decompress", "-q", "w", "-b", "run/checkpoint-11", "-o", "back"), 0, NULL);
    assert_true(temp_dir_same(directory, "back/checkpoint", "weights/checkpoint"));
    assert_true(temp_dir_same(directory, "back/model.safetensors", "weights/model.safetensors"));
    program_assert_ends(RUN("decompress", "-q", "w/checkpoint.mth", "-o", "file"), 0, NULL);
    assert_true(temp_dir_same(directory, "file", "weights/checkpoint"));
    /* An optimizer beside no weights, and one file that has both. */
    copy_fixture("trainer-12", "optimizer.pt", "states");
    temp_dir_write(directory, "states/a.txt", "a", 1);
    assert_ends_well(RUN("compress", "-q", "states", "-o", "s"));
    assert_int_equal(temp_dir_count(directory, "s"), 2);
    copy_fixture(".", "adamw-bf16-12.pt", "one_file");
    temp_dir_write(directory, "one_file/a.txt", "a", 1);
    assert_ends_well(RUN("compress", "-q", "one_file", "-o", "o"));
    assert_int_equal(temp_dir_count(directory, "o"), 2);
    /* But for one that would be taken for it. */
    static const char hostile[50] = "mithril-folder 1 29 1\n5 ../x\nabcde";
    temp_dir_write(directory, "hostile/checkpoint", hostile, sizeof hostile);
    program_assert_ends(RUN("compress", "-q", "hostile", "-o", "h"), 1, "would be taken for the container");
    assert_int_equal(mkdir(path_of("h"), 0777), 0);
    assert_ends_well(RUN("compress", "-q", "hostile/checkpoint", "-o", "h/a.mth"));
    assert_int_equal(rename(path_of("h/a.mth"), path_of("h/checkpoint.mth")), 0);
    program_assert_ends(RUN("decompress", "-q", "h/checkpoint.mth", "-o", "out/h"), 6,
                        "No such file or directory");
    program_assert_ends(RUN("decompress", "-q", "h", "-o", "out"), 2, "out: ");
    assert_false(is_there("out"));
    assert_false(is_there("x"));
}

/* A file of two tensors of zeros. */
static void write_tensors(const char *path, const char *first, const char *second, const char *dtype,
                          uint64_t n_elems)
{
    struct safetensors_builder builder = {.header = {0}};
    size_t n_bytes = (size_t)n_elems * (strcmp(dtype, "I64") == 0 ? 8 : 4);
    uint8_t *zeros = calloc(1, n_bytes);
    assert_non_null(zeros);
    safetensors_builder_add(&builder, first, dtype, &n_elems, 1, zeros, n_bytes);
    safetensors_builder_add(&builder, second, dtype, &n_elems, 1, zeros, n_bytes);
    free(zeros);
    struct mth_buffer file = safetensors_builder_finish(&builder, 0);
    temp_dir_write(directory, path, file.data, file.n_bytes);
    free(file.data);
}

/* Moments, by their names, beside weights: both large enough that something may follow, neither of them what has no role. */
static void a_directory_is_a_whole_by_what_its_files_hold(void **state)
{
    (void)state;
    static const struct {
        const char *dtype; /* of what stands in the first file */
        uint64_t n_elems, n_moments;
        const char *m, *v;
        bool is_whole;
    } cases[] = {
        {"F32", 64, 64, "w.exp_avg", "w.exp_avg_sq", true},
        {"F32", 64, 64, "else.exp_avg", "else.exp_avg_sq", true},
        {"F32", 64, 64, "else.exp_avg", "more", true},
        {"F32", 64, 64, "more", "else.exp_avg_sq", true},
        {"F32", 64, 63, "w.exp_avg", "w.exp_avg_sq", false},
        {"F32", 63, 64, "w.exp_avg", "w.exp_avg_sq", false},
        {"I64", 64, 64, "w.exp_avg", "w.exp_avg_sq", false},
        {"F32", 64, 64, "more", "most", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char from[32], to[32], a[64], b[64];
        snprintf(from, sizeof from, "from-%zu", i);
        snprintf(to, sizeof to, "to-%zu", i);
        snprintf(a, sizeof a, "%s/a.safetensors", from);
        snprintf(b, sizeof b, "%s/b.safetensors", from);
        write_tensors(a, "w", "x", cases[i].dtype, cases[i].n_elems);
        write_tensors(b, cases[i].m, cases[i].v, "F32", cases[i].n_moments);
        program_assert_ends(RUN("compress", "-q", from, "-o", to), 0, NULL);
        if (temp_dir_count(directory, to) != (cases[i].is_whole ? 1 : 2))
            fail_msg("case %zu: %zu containers", i, temp_dir_count(directory, to));
    }
}

/* ---- lists that lie of where their files belong ---- */

/* A folder as one file, of one list; all else in it is as it should be. */
static size_t make_folder(const char *lines, size_t n_entries, size_t n_content, char *out)
{
    int n = 0;
    for (int before = -1; before != n;) {
        before = n;
        n = snprintf(out, 256, "mithril-folder 1 %zu %zu\n", (size_t)n + strlen(lines), n_entries);
    }
    memcpy(out + n, lines, strlen(lines));
    size_t n_all = (size_t)n + strlen(lines) + n_content + 16 * n_entries;
    memset(out + (size_t)n + strlen(lines), 'x', n_content);
    memset(out + n_all - 16 * n_entries, 0, 16 * n_entries);
    for (size_t i = 0; i < n_entries; i++) /* setuid, and all that a mode can grant */
        memcpy(out + n_all - 16 * (i + 1), "\377\017\0", 4);
    return n_all;
}

/* packed/checkpoint.mth, which restores to that folder. */
static void pack_folder(const char *lines, size_t n_entries, size_t n_content)
{
    char bytes[8192];
    size_t n = make_folder(lines, n_entries, n_content, bytes);
    temp_dir_write(directory, "list", bytes, n);
    assert_ends_well(RUN("compress", "-q", "-f", "list", "-o", "list.mth"));
    temp_dir_write(directory, "packed/checkpoint.mth", "", 0);
    assert_int_equal(rename(path_of("list.mth"), path_of("packed/checkpoint.mth")), 0);
    assert_int_equal(unlink(path_of("list")), 0);
}

/* One line says why, and no file is anywhere that was not there. */
static void assert_writes_nothing(struct program_result result, size_t n_files)
{
    if ((result.exit_code != 2 && result.exit_code != 6) || program_lines(result.err) != 1)
        fail_msg("exit code %d, errors '%s'", result.exit_code, result.err);
    program_result_free(&result);
    assert_int_equal(temp_dir_count(directory, "."), n_files);
    assert_int_equal(temp_dir_count(directory, "in/out"), 0);
    assert_false(is_there("in/file"));
}

static void a_list_writes_nothing_outside_its_directory(void **state)
{
    (void)state;
    char absolute[4096], absolute_in_it[4096];
    snprintf(absolute, sizeof absolute, "3 %s/victim\n", directory);
    snprintf(absolute_in_it, sizeof absolute_in_it, "0 a/\n3 a/%s/victim\n", directory);
    /* The last ones may be read, but do not fit into a file system. */
    const struct {
        const char *lines;
        size_t n_entries;
        bool is_refused;
    } lies[] = {
        {"3 ../victim\n", 1, true},
        {"3 ../../victim\n", 1, true},
        {"0 a/\n3 a/../../victim\n", 2, true},
        {"3 a/../../../victim\n", 1, true},
        {"0 ../\n3 ../victim\n", 2, true},
        {"0 ../../\n3 b\n", 2, true},
        {"3 ./victim\n", 1, true},
        {"3 %2e%2e/victim\n", 1, true},
        {"3 ..%2fvictim\n", 1, true},
        {"3 ..\n", 1, true},
        {"3 .\n", 1, true},
        {"0 /\n3 /victim\n", 2, true},
        {absolute, 1, true},
        {absolute_in_it, 2, true},
        {"1 victim\n2 victim\n", 2, true},
        {"1 victim\n2 victim/b\n", 2, false},
        {"3 victim\n0 victim/\n", 2, false},
        {"3 none/victim\n", 1, false},
    };
    temp_dir_write(directory, "victim", "mine", 4);
    temp_dir_write(directory, "in/victim", "mine", 4);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        pack_folder(lies[i].lines, lies[i].n_entries, 3);
        size_t n_files = temp_dir_count(directory, ".");
        assert_writes_nothing(RUN("decompress", "-q", "packed/checkpoint.mth", "-o", "in/out"), n_files);
        assert_false(is_there("in/out"));
        assert_writes_nothing(RUN("decompress", "-q", "-f", "packed/checkpoint.mth", "-o", "in/out"),
                              n_files);
        assert_writes_nothing(RUN("decompress", "-q", "-f", "packed", "-o", "in/out"), n_files);
        assert_false(is_there("in/out"));
        /* Nor does one file come out of it, whatever its name. */
        if (lies[i].is_refused)
            assert_writes_nothing(RUN("decompress", "-q", "-f", "packed/victim", "-o", "in/file"), n_files);
        for (size_t k = 0; k < 2; k++) {
            size_t n;
            char *mine = temp_dir_read(directory, k ? "in/victim" : "victim", &n);
            assert_string_equal(mine, "mine");
            free(mine);
        }
    }
}

/* The same list without a lie is taken: so the lies are what is refused. */
static void a_list_grants_no_rights_but_the_usual(void **state)
{
    (void)state;
    struct stat st;
    pack_folder("0 a/\n3 a/b\n", 2, 3);
    program_assert_ends(RUN("decompress", "-q", "packed/checkpoint.mth", "-o", "out"), 0, NULL);
    assert_int_equal(size_of("out/a/b"), 3);
    assert_int_equal(stat(path_of("out/a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
    assert_int_equal(stat(path_of("out/a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
}

/* A file by its whole name before one by a name without the container's suffix; what is none is not taken for one. */
static void a_file_is_named_as_it_is_called(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t n_bytes; /* 0: there is none */
    } cases[] = {{"packed/a", 1},      {"packed/a.mth", 2},   {"packed/a.mth.mth", 2},
                 {"packed/d/b", 3},    {"packed/d/b.mth", 3}, {"packed/d", 0},
                 {"packed/d/.mth", 0}, {"packed/d/c", 0},     {"packed/.mth", 0},
                 {"packed/a.mt", 0},   {"packed/A", 0},       {"packed/a.mth.mth.mth", 0},
                 {"packed/d/b/a", 0},  {"packed/e/d/b", 0}};
    pack_folder("1 a\n2 a.mth\n0 d/\n3 d/b\n", 4, 6);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program_result result = RUN("decompress", "-q", cases[i].path, "-o", "one");
        if (result.exit_code != (cases[i].n_bytes ? 0 : 6) || is_there("one") != (cases[i].n_bytes > 0))
            fail_msg("%s: exit code %d, errors '%s'", cases[i].path, result.exit_code, result.err);
        program_result_free(&result);
        if (!cases[i].n_bytes)
            continue;
        assert_int_equal(size_of("one"), cases[i].n_bytes);
        assert_int_equal(unlink(path_of("one")), 0);
    }
}

/* What a link leads to stays as it is. */
static void a_link_in_the_place_of_the_output_is_not_followed(void **state)
{
    (void)state;
    pack_folder("3 b\n", 1, 3);
    temp_dir_write(directory, "victim", "mine", 4);
    assert_int_equal(symlink("victim", path_of("to_file")), 0);
    assert_int_equal(symlink("nothing", path_of("to_nothing")), 0);
    size_t n_files = temp_dir_count(directory, ".");
    static const char *const links[] = {"to_file", "to_nothing"};
    for (size_t i = 0; i < 2; i++) {
        struct program_result result = RUN("decompress", "-q", "-f", "packed/checkpoint.mth", "-o", links[i]);
        assert_int_not_equal(result.exit_code, 0);
        assert_int_equal(program_lines(result.err), 1);
        program_result_free(&result);
        assert_false(is_there("nothing"));
        assert_int_equal(temp_dir_count(directory, "."), n_files);
        assert_int_equal(size_of("victim"), 4);
    }
    /* One file of it takes the place of the link itself. */
    program_assert_ends(RUN("decompress", "-q", "packed/b", "-o", "to_file"), 1, "is there already");
    program_assert_ends(RUN("decompress", "-q", "-f", "packed/b", "-o", "to_file"), 0, NULL);
    assert_int_equal(size_of("to_file"), 3);
    assert_int_equal(size_of("victim"), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_in_several_files_is_as_small_as_one_that_knows_itself),
        TEST(a_run_is_packed_step_by_step),
        TEST(a_packed_directory_is_a_base_as_its_files_are),
        TEST(a_base_that_was_compressed_file_by_file_is_one_as_its_files_are),
        TEST(a_base_in_containers_that_is_damaged_or_lacks_its_own_is_refused),
        TEST(of_two_bases_the_second_is_the_older),
        TEST(other_files_of_the_base_may_come_and_go),
        TEST(one_file_comes_out_of_a_packed_directory),
        TEST(what_does_not_restore_leaves_nothing),
        TEST(files_that_do_not_need_each_other_are_coded_one_by_one),
        TEST(a_directory_is_a_whole_by_what_its_files_hold),
        TEST(a_list_writes_nothing_outside_its_directory),
        TEST(a_list_grants_no_rights_but_the_usual),
        TEST(a_file_is_named_as_it_is_called),
        TEST(a_link_in_the_place_of_the_output_is_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
