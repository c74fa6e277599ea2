/* Laws of chains whose steps are directories: what is one, that every file comes back as it was, what is refused. */
#define _GNU_SOURCE /* st_mtim */
#include "harness/directory.h"
#include "harness/folder_files.h"
#include "harness/opened.h"
#include "pipeline/mithril.h"
#include "tests/support/program.h"
#include "tests/support/run_steps.h"
#include "tests/support/temp_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char *directory;

#define RUN(...) program_run(directory, (const char *const[]){__VA_ARGS__, NULL})

static char *path_of(const char *name)
{
    static char paths[4][8192];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void write_file(const char *folder, const char *name, const void *data, size_t n_bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    temp_dir_write(directory, path, data, n_bytes);
}

/* Tensors first .. first + n - 1 of a step. */
static void write_shard(const char *folder, const char *name, unsigned step, unsigned first, unsigned n)
{
    struct mth_buffer file = run_step_make(RUN_LAYERS, step, first, n);
    write_file(folder, name, file.data, file.n_bytes);
    free(file.data);
}

/* A step of a trainer: shards with their index, states of ranks, what is no checkpoint. */
static void write_step(const char *folder, unsigned step)
{
    static const char index[] = "{\"weight_map\":{\"layers.0.weight\":\"model-00001-of-00002.safetensors\","
                                "\"layers.1.weight\":\"model-00002-of-00002.safetensors\"}}";
    char text[64];
    write_shard(folder, "model-00001-of-00002.safetensors", step, 0, 1);
    write_shard(folder, "model-00002-of-00002.safetensors", step, 1, 1);
    write_file(folder, "model.safetensors.index.json", index, sizeof index - 1);
    snprintf(text, sizeof text, "{\"global_step\": %u}\n", step);
    write_file(folder, "trainer_state.json", text, strlen(text));
    write_shard(folder, "global_step/rank_0.pt", step, 2, 1);
    write_shard(folder, "global_step/rank_1.pt", step + 1, 2, 1);
    write_file(folder, "global_step/nothing", "", 0);
}

static int begin(void **state)
{
    (void)state;
    directory = temp_dir_create();
    write_step("run/checkpoint-1", 1);
    write_step("run/checkpoint-2", 2);
    write_step("run/checkpoint-10", 3);
    return 0;
}

static int end(void **state)
{
    (void)state;
    temp_dir_destroy(directory);
    return 0;
}

/* A directory as one file: bytes, names, modes and times of all that is in it. */
static struct mth_buffer read_folder(const char *name, struct mth_file_attributes *own)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_folder_files *files;
    struct mth_source source;
    struct mth_error err;
    assert_int_equal(mth_folder_files_open(&files, path_of(name), memory, &err), 0);
    mth_folder_files_source(files, &source);
    struct mth_buffer bytes = {.data = malloc((size_t)source.n_bytes), .n_bytes = (size_t)source.n_bytes};
    assert_int_equal(mth_source_read(&source, 0, bytes.data, bytes.n_bytes, &err), 0);
    *own = mth_folder_files_attributes(files);
    mth_folder_files_close(files);
    mth_memory_destroy(memory);
    return bytes;
}

static bool same_folder(const char *a, const char *b)
{
    struct mth_file_attributes of_a, of_b;
    struct mth_buffer left = read_folder(a, &of_a), right = read_folder(b, &of_b);
    bool same = left.n_bytes == right.n_bytes && memcmp(left.data, right.data, left.n_bytes) == 0 &&
                of_a.mode == of_b.mode && of_a.mtime_s == of_b.mtime_s && of_a.mtime_ns == of_b.mtime_ns;
    free(left.data);
    free(right.data);
    return same;
}

static off_t size_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_size;
}

static void directories_come_back_with_all_that_is_in_them(void **state)
{
    (void)state;
    const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5}, {.tv_sec = 2000, .tv_nsec = 123456789}};
    assert_int_equal(mkdir(path_of("run/checkpoint-2/empty"), 0700), 0);
    assert_int_equal(chmod(path_of("run/checkpoint-2/trainer_state.json"), 0400), 0);
    assert_int_equal(
        utimensat(AT_FDCWD, path_of("run/checkpoint-2/model-00001-of-00002.safetensors"), times, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_of("run/checkpoint-2/global_step"), times, 0), 0);
    assert_int_equal(chmod(path_of("run/checkpoint-2"), 0750), 0);
    assert_int_equal(utimensat(AT_FDCWD, path_of("run/checkpoint-2"), times, 0), 0);
    program_assert_prints(RUN("chain", "add", "c", "run", "--policy", "consecutive"),
                          "step 10: against step 2");
    /* Shards are coded against shards, ranks against the same ranks. */
    assert_true(size_of("c/step-2.mth") * 4 < size_of("c/step-1.mth"));
    assert_true(size_of("c/step-10.mth") * 4 < size_of("c/step-1.mth"));
    program_assert_prints(RUN("chain", "list", "c"), "fine, a folder");
    program_assert_prints(RUN("chain", "list", "c", "--json", "-"), "\"is_folder\":true");
    program_assert_prints(RUN("chain", "verify", "c"), "all 3 steps restore");
    program_assert_ends(RUN("chain", "restore", "c", "--step", "2", "-o", "out/two/", "-q"), 6,
                        "No such file or directory");
    assert_int_equal(mkdir(path_of("out"), 0700), 0);
    program_assert_ends(RUN("chain", "restore", "c", "--step", "2", "-o", "out/two/", "-q"), 0, NULL);
    assert_true(same_folder("out/two", "run/checkpoint-2"));
    /* Without being told: the last one, to its old name. */
    program_assert_ends(RUN("chain", "restore", "c", "-q"), 0, NULL);
    assert_true(same_folder("checkpoint-10", "run/checkpoint-10"));
    assert_false(same_folder("checkpoint-10", "run/checkpoint-1"));
    program_assert_prints(RUN("chain", "drop", "c", "--step", "2"), "1 coded again");
    program_assert_prints(RUN("chain", "verify", "c"), "all 2 steps restore");
    program_assert_ends(RUN("chain", "restore", "c", "--step", "10", "-o", "out/ten", "-q"), 0, NULL);
    assert_true(same_folder("out/ten", "run/checkpoint-10"));
}

static void shards_that_are_cut_anew_find_their_base(void **state)
{
    (void)state;
    write_shard("cut/step-1", "model-00001-of-00001.safetensors", 1, 0, 3);
    write_shard("cut/step-2", "model-00001-of-00003.safetensors", 2, 0, 1);
    write_shard("cut/step-2", "model-00002-of-00003.safetensors", 2, 1, 1);
    write_shard("cut/step-2", "model-00003-of-00003.safetensors", 2, 2, 1);
    write_shard("cut", "step-3.safetensors", 3, 0, 3);
    program_assert_prints(RUN("chain", "add", "n", "cut", "--policy", "consecutive"),
                          "step 3: against step 2");
    assert_true(size_of("n/step-2.mth") * 4 < size_of("n/step-1.mth"));
    assert_true(size_of("n/step-3.mth") * 4 < size_of("n/step-1.mth"));
    program_assert_prints(RUN("chain", "restore", "n", "--step", "3", "-o", "three"), "digest verified");
    program_assert_prints(RUN("chain", "restore", "n", "--step", "2", "-o", "two"), "digest verified");
    assert_true(same_folder("two", "cut/step-2"));
    program_assert_prints(RUN("chain", "verify", "n"), "all 3 steps restore");
}

/* What PyTorch and Hugging Face's libraries wrote, two steps of each, the second in other shards. */
static void checkpoints_of_libraries_find_their_base(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"dcp-step1", "dcp-step2"}, {"hf-step1", "hf-step2"}};
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    for (size_t i = 0; i < 2; i++) {
        char from[2][5000], chain[16], file[2][64];
        for (size_t k = 0; k < 2; k++) {
            snprintf(from[k], sizeof from[k], "%s/tests/fixtures/sets/%s", here, pairs[i][k]);
            snprintf(chain, sizeof chain, "lib-%zu", i);
            snprintf(file[k], sizeof file[k], "%s/step-%zu.mth", chain, k + 1);
            program_assert_prints(
                RUN("chain", "add", chain, from[k], "--step", k ? "2" : "1", "--policy", "consecutive"),
                k ? "step 2: against step 1" : "step 1: alone");
            program_assert_prints(RUN("chain", "restore", chain, "-o", pairs[i][k]), "digest verified");
            struct program_result result = RUN("chain", "add", chain, pairs[i][k], "--step", k ? "2" : "1");
            program_assert_prints(result, "is there already, the same bytes");
        }
        /* The little that torch.distributed.checkpoint wrote changed in all its values. */
        assert_true(size_of(file[1]) * (i ? 3 : 1) < size_of(file[0]) * (i ? 1 : 2));
    }
}

/* Weights in one file, what the optimizer keeps of them in another, numbered in an order of its own: as small as in one file. */
static void an_optimizer_finds_its_weights_in_another_file(void **state)
{
    (void)state;
    enum { N_WEIGHTS = 9 * 256 };
    char here[4096], from[2][5000];
    assert_non_null(getcwd(here, sizeof here));
    for (size_t i = 0; i < 2; i++)
        snprintf(from[i], sizeof from[i], "%s/tests/fixtures/states/trainer-%zu", here, 11 + i);
    program_assert_prints(RUN("chain", "add", "t", from[0], from[1], "--policy", "consecutive"),
                          "step 12: against step 11");
    /* What the same step takes again, whose frames are as many. */
    program_assert_ends(RUN("chain", "restore", "t", "--step", "12", "-o", "trainer-13", "-q"), 0, NULL);
    program_assert_prints(RUN("chain", "add", "t", "trainer-13"), "step 13: against step 12");
    assert_true(size_of("t/step-12.mth") < size_of("t/step-13.mth") + N_WEIGHTS * 20 / 8);
    program_assert_prints(RUN("chain", "verify", "t"), "all 3 steps restore");
}

static void when_a_file_was_written_makes_no_other_step(void **state)
{
    (void)state;
    const struct timespec times[2] = {{.tv_sec = 7}, {.tv_sec = 7}};
    write_step("again/step-5", 5);
    write_step("far/step-6", 6);
    program_assert_prints(RUN("chain", "add", "a", "again/step-5", "--policy", "consecutive"),
                          "step 5: alone");
    assert_int_equal(utimensat(AT_FDCWD, path_of("again/step-5/trainer_state.json"), times, 0), 0);
    program_assert_prints(RUN("chain", "add", "a", "again/step-5/"), "is there already, the same bytes");
    write_file("again/step-5", "trainer_state.json", "{\"global_step\": 6}\n", 19);
    program_assert_ends(RUN("chain", "add", "a", "again/step-5"), 1, "of other bytes");
    temp_dir_write(directory, "again/other/step-5.pt", "x", 1);
    program_assert_ends(RUN("chain", "add", "a", "again/other/step-5.pt"), 1, "of other bytes");
    /* What lies there is not what was added: the base is restored. */
    program_assert_prints(RUN("chain", "add", "a", "far/step-6"), "step 6: against step 5");
    program_assert_prints(RUN("chain", "verify", "a"), "all 2 steps restore");
}

static void what_is_a_step_and_what_a_run(void **state)
{
    (void)state;
    /* Ranks and other files in a directory with a number; the name of a run may end in one, too. */
    write_shard("w/global_step7", "zero_pp_rank_0_mp_rank_00_optim_states.pt", 1, 0, 1);
    write_shard("w/global_step7", "mp_rank_00_model_states.pt", 1, 1, 1);
    write_shard("lr-5", "step-1.pt", 1, 0, 1);
    write_shard("lr-5", "step-2.pt", 2, 0, 1);
    write_file("lr-5", "train.log", "log", 3);
    write_shard("model", "model-00001-of-00001.safetensors", 1, 0, 2);
    program_assert_prints(RUN("chain", "add", "w1", "w/global_step7"), "step 7: alone");
    program_assert_prints(RUN("chain", "add", "w2", "lr-5"), "step 2: against step 1");
    program_assert_prints(RUN("chain", "add", "w3", "lr-5", "--step", "3"), "step 3: alone");
    program_assert_ends(RUN("chain", "add", "w4", "model"), 1, "--step N gives it");
    program_assert_prints(RUN("chain", "add", "w4", "model", "--step", "9"), "step 9: alone");
    /* Ranks beside other files are a step; steps beside another file may be either. */
    write_shard("checkpoint-4", "rng_state_0.pth", 1, 0, 1);
    write_shard("checkpoint-4", "rng_state_1.pth", 1, 1, 1);
    write_shard("checkpoint-4", "optimizer.pt", 1, 2, 1);
    program_assert_prints(RUN("chain", "add", "w5", "checkpoint-4"), "step 4: alone");
    write_shard("lr-5", "step-30.pt", 2, 0, 1);
    write_shard("lr-5", "best.pt", 2, 0, 1);
    program_assert_ends(RUN("chain", "add", "w6", "lr-5"), 1,
                        "(step-1.pt, step-2.pt) with another file (best.pt)?");
    assert_int_equal(access(path_of("w6"), F_OK), -1);
    program_assert_prints(RUN("chain", "add", "w6", "lr-5", "--step", "3"), "step 3: alone");
    assert_int_equal(unlink(path_of("lr-5/best.pt")), 0);
    assert_int_equal(unlink(path_of("lr-5/step-30.pt")), 0);
    program_assert_ends(RUN("chain", "add", "w4", "no-such-7"), 6, "no-such-7");
    program_assert_ends(RUN("chain", "add", "w4", ".", "--step", "10"), 1, "has no name");
    program_assert_ends(RUN("chain", "add", "w4", "lr-5", "--step", "9"), 1, "of other bytes");
}

/* A trainer with DeepSpeed: what ranks keep is in a directory with the number of the step. */
static void a_step_within_a_step_is_a_part_of_it(void **state)
{
    (void)state;
    for (unsigned step = 70; step <= 71; step++) {
        char folder[64], ranks[128];
        snprintf(folder, sizeof folder, "deep/checkpoint-%u", step);
        snprintf(ranks, sizeof ranks, "%s/global_step%u", folder, step);
        write_file(folder, "trainer_state.json", "{}", 2);
        write_shard(ranks, "zero_pp_rank_0_mp_rank_00_optim_states.pt", step - 69, 0, 1);
        write_shard(ranks, "zero_pp_rank_1_mp_rank_00_optim_states.pt", step - 60, 0, 1);
    }
    program_assert_prints(
        RUN("chain", "add", "d", "deep/checkpoint-70", "deep/checkpoint-71", "--policy", "consecutive"),
        "step 71: against step 70");
    program_assert_ends(RUN("chain", "restore", "d", "--step", "71", "-o", "deep-71", "-q"), 0, NULL);
    assert_true(same_folder("deep-71", "deep/checkpoint-71"));
    assert_true(size_of("d/step-71.mth") * 4 < size_of("d/step-70.mth"));
}

/* As Megatron does: each rank has a directory in that of the step, and there may be one rank alone. */
static void directories_of_ranks_are_parts_of_a_step(void **state)
{
    (void)state;
    for (unsigned n_ranks = 1; n_ranks <= 2; n_ranks++) {
        char folder[64], other[64], chain[8];
        snprintf(chain, sizeof chain, "m%u", n_ranks);
        for (unsigned step = 1; step <= 2; step++)
            for (unsigned rank = 0; rank < n_ranks; rank++) {
                char path[128];
                snprintf(path, sizeof path, "mega-%u/iter_%07u/mp_rank_%02u", n_ranks, step, rank);
                write_shard(path, "model_optim_rng.pt", step + 5 * rank, 0, 1);
            }
        snprintf(folder, sizeof folder, "mega-%u/iter_0000001", n_ranks);
        snprintf(other, sizeof other, "mega-%u/iter_0000002", n_ranks);
        program_assert_prints(RUN("chain", "add", chain, folder, other, "--policy", "consecutive"),
                              "step 2: against step 1");
        snprintf(folder, sizeof folder, "back-%u", n_ranks);
        program_assert_ends(RUN("chain", "restore", chain, "--step", "2", "-o", folder, "-q"), 0, NULL);
        assert_true(same_folder(folder, other));
    }
}

static void what_can_not_be_a_step_is_refused(void **state)
{
    (void)state;
    write_step("bad/step-1", 1);
    assert_int_equal(symlink("..", path_of("bad/step-1/loop")), 0);
    program_assert_ends(RUN("chain", "add", "b", "bad/step-1", "-q"), 6,
                        "step-1/loop: is neither a file nor a directory");
    assert_int_equal(unlink(path_of("bad/step-1/loop")), 0);
    assert_int_equal(mkfifo(path_of("bad/step-1/pipe"), 0600), 0);
    program_assert_ends(RUN("chain", "add", "b", "bad/step-1", "-q"), 6,
                        "step-1/pipe: is neither a file nor a directory");
    assert_int_equal(unlink(path_of("bad/step-1/pipe")), 0);
    assert_int_equal(symlink("nowhere", path_of("bad/step-1/lost")), 0);
    program_assert_ends(RUN("chain", "add", "b", "bad/step-1", "-q"), 6, "step-1/lost");
    assert_int_equal(unlink(path_of("bad/step-1/lost")), 0);
    program_assert_ends(RUN("chain", "add", "b", "bad/step-1", "--dtype", "bf16"), 1,
                        "--dtype is for one file");
    assert_int_equal(mkdir(path_of("bad/step-2"), 0700), 0);
    program_assert_ends(RUN("chain", "add", "b", "bad/step-2"), 1, "is an empty directory");
    /* A link to a file is that file. */
    assert_int_equal(symlink("trainer_state.json", path_of("bad/step-1/link.json")), 0);
    program_assert_ends(RUN("chain", "add", "b", "bad/step-1", "-q"), 0, NULL);
    program_assert_ends(RUN("chain", "restore", "b", "-o", "-"), 1, "can not go to standard output");
    program_assert_ends(RUN("chain", "restore", "b", "-o", "bad", "-f"), 1, "is there already");
    program_assert_ends(RUN("chain", "restore", "b", "-o", "bad/step-1/trainer_state.json", "-f"), 1,
                        "is there already");
    /* An empty directory is no harm. */
    program_assert_ends(RUN("chain", "restore", "b", "-o", "bad/step-2", "-q"), 0, NULL);
    assert_int_equal(temp_dir_count(directory, "bad/step-2"), temp_dir_count(directory, "bad/step-1"));
    assert_int_equal(temp_dir_count(directory, "bad"), 2 * temp_dir_count(directory, "bad/step-1"));
}

static void policies_are_compared_on_directories(void **state)
{
    (void)state;
    size_t n_before = temp_dir_count(directory, ".");
    struct program_result result = RUN("chain", "compare", "run", "--policy", "full", "--policy",
                                       "consecutive", "-q", "--files", ".", "--json", "-");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(program_lines(result.out), 3);
    const char *row = strstr(result.out, "\"policy\":\"consecutive\"");
    assert_non_null(row);
    assert_non_null(strstr(row, "\"n_full\":1"));
    assert_non_null(strstr(row, "\"verified\":true"));
    assert_int_equal(temp_dir_count(directory, "."), n_before);
    program_result_free(&result);
}

static void what_changes_while_it_is_read_is_noticed(void **state)
{
    (void)state;
    static const struct timespec times[2] = {{.tv_sec = 7}, {.tv_sec = 7}};
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_opened opened;
    struct mth_error err;
    uint8_t byte;
    write_step("moving/step-1", 1);
    for (size_t what = 0; what < 3; what++) {
        const char *const file = path_of("moving/step-1/trainer_state.json");
        assert_int_equal(mth_opened_open_step(&opened, path_of("moving/step-1"), memory, &err), 0);
        const struct mth_file_attributes attributes = mth_opened_attributes(&opened);
        assert_int_equal(mth_opened_check(&opened, &attributes, &err), 0);
        if (what == 0)
            assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
        if (what == 1)
            write_file("moving/step-1", "trainer_state.json", "shorter", 7);
        if (what == 2)
            assert_int_equal(unlink(file), 0);
        assert_int_equal(mth_opened_check(&opened, &attributes, &err), MTH_ERR_IO);
        /* Who has not read a file that is another size now does not read it any more. */
        int status = MTH_OK;
        for (uint64_t at = 0; at < opened.source.n_bytes && !status; at++)
            status = mth_source_read(&opened.source, at, &byte, 1, &err);
        assert_int_equal(status != MTH_OK, what > 0);
        mth_opened_close(&opened);
    }
    mth_memory_destroy(memory);
}

/* One that is told to be a directory's, and holds what no directory can: nothing of it is written outside. */
static void a_list_that_leaves_its_directory_is_refused(void **state)
{
    (void)state;
    static const char text[] = "mithril-folder 1 36 1\n3 ../stolen.x\n\0abc0123456789abcdef";
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_error err;
    const struct mth_file_attributes unknown = {0};
    mth_source_memory("lie", (struct mth_bytes){(const uint8_t *)text, sizeof text - 1}, &source);
    assert_int_equal(mth_folder_unpack(&source, path_of("lie"), &unknown, NULL, NULL, memory, &err),
                     MTH_ERR_FORMAT);
    assert_int_equal(access(path_of("lie"), F_OK), -1);
    assert_int_equal(access(path_of("stolen.x"), F_OK), -1);
    /* A file where another wants a directory. */
    static const char twice[] = "mithril-folder 1 31 2\n1 a\n1 a/b\nxy................................";
    mth_source_memory("lie", (struct mth_bytes){(const uint8_t *)twice, 32 + 2 + 32}, &source);
    assert_int_not_equal(mth_folder_unpack(&source, path_of("lie"), &unknown, NULL, NULL, memory, &err), 0);
    assert_int_equal(access(path_of("lie"), F_OK), -1);
    mth_memory_destroy(memory);
}

/* ---- what a killed restore leaves ---- */

static bool clear_in_between(void)
{
    mth_folder_clear_unfinished(path_of("kept"));
    return false;
}

static bool die(void)
{
    (void)raise(SIGKILL);
    return false;
}

/* Mode 0700, and a time that no file system keeps. */
#define ATTRIBUTES "\xc0\x01\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0"

static int unpack(const char *name, bool (*stop)(void))
{
    /* Two entries, and 16 bytes of attributes of each. */
    static const char text[] = "mithril-folder 1 33 2\n0 a/\n2 a/b\nxy" ATTRIBUTES ATTRIBUTES;
    static const struct mth_file_attributes unknown = {0};
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_error err;
    mth_source_memory("own", (struct mth_bytes){(const uint8_t *)text, sizeof text - 1}, &source);
    int status = mth_folder_unpack(&source, path_of(name), &unknown, NULL, stop, memory, &err);
    mth_memory_destroy(memory);
    return status;
}

static size_t count_unfinished(void)
{
    struct mth_names names;
    struct mth_error err;
    size_t n = 0;
    assert_int_equal(mth_names_list(directory, &names, &err), 0);
    for (size_t i = 0; i < names.n_items; i++)
        n += mth_folder_is_unfinished(names.items[i]);
    mth_names_free(&names);
    return n;
}

static void what_a_killed_restore_leaves_goes_with_the_next(void **state)
{
    (void)state;
    /* Of the living it is not taken. */
    assert_int_equal(unpack("kept", clear_in_between), 0);
    assert_int_equal(access(path_of("kept/a/b"), F_OK), 0);
    assert_int_equal(count_unfinished(), 0);
    for (size_t i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(unpack("late-10", die));
        int how = 0;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how));
    }
    assert_int_equal(count_unfinished(), 2);
    /* Neither what is called otherwise, nor what only a link leads to. */
    write_file("late-10.mithril-abcde", "a", "x", 1);
    write_file("late-1.mithril-abcde0", "a", "x", 1);
    write_file("elsewhere", "a", "x", 1);
    assert_int_equal(symlink("elsewhere", path_of("late-10.mithril-linked")), 0);
    program_assert_ends(RUN("chain", "add", "k", "run", "-q"), 0, NULL);
    program_assert_ends(RUN("chain", "restore", "k", "-o", "late-10", "-q"), 0, NULL);
    assert_true(same_folder("late-10", "run/checkpoint-10"));
    assert_int_equal(count_unfinished(), 2);
    assert_int_equal(access(path_of("late-10.mithril-abcde/a"), F_OK), 0);
    assert_int_equal(access(path_of("late-1.mithril-abcde0/a"), F_OK), 0);
    assert_int_equal(access(path_of("elsewhere/a"), F_OK), 0);
    /* It is no step, whatever digit it ends in. */
    program_assert_ends(RUN("chain", "add", "k", "late-1.mithril-abcde0"), 6, "neither a checkpoint");
    write_file("run/checkpoint-2.mithril-abcd99", "a", "x", 1);
    program_assert_prints(RUN("chain", "add", "fresh", "run"), "step 10: ");
    program_assert_prints(RUN("chain", "verify", "fresh"), "all 3 steps restore");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directories_come_back_with_all_that_is_in_them),
        cmocka_unit_test(shards_that_are_cut_anew_find_their_base),
        cmocka_unit_test(checkpoints_of_libraries_find_their_base),
        cmocka_unit_test(an_optimizer_finds_its_weights_in_another_file),
        cmocka_unit_test(when_a_file_was_written_makes_no_other_step),
        cmocka_unit_test(what_is_a_step_and_what_a_run),
        cmocka_unit_test(a_step_within_a_step_is_a_part_of_it),
        cmocka_unit_test(directories_of_ranks_are_parts_of_a_step),
        cmocka_unit_test(what_can_not_be_a_step_is_refused),
        cmocka_unit_test(policies_are_compared_on_directories),
        cmocka_unit_test(what_changes_while_it_is_read_is_noticed),
        cmocka_unit_test(what_a_killed_restore_leaves_goes_with_the_next),
        cmocka_unit_test(a_list_that_leaves_its_directory_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
