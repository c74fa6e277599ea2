/* Laws of files: what can be read, and that a name holds either its old content or all of the new. */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/mithril-test-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

/* A path in the test's directory; lives until the fourth call after. */
static const char *in_directory(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

/* Entries of the test's directory, with their names in text. */
static size_t n_entries(char *text, size_t capacity)
{
    size_t n = 0, used = 0;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    text[0] = '\0';
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n++;
        if (used < capacity)
            used += (size_t)snprintf(text + used, capacity - used, "%s ", entry->d_name);
    }
    closedir(dir);
    return n;
}

static int remove_directory(void **state)
{
    (void)state;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        remove(in_directory(entry->d_name));
    closedir(dir);
    return rmdir(directory);
}

static void write_text(const char *path, const char *text)
{
    struct mth_error err;
    const struct mth_bytes bytes = {(const uint8_t *)text, strlen(text)};
    if (mth_file_write_all(path, bytes, &err) != MTH_OK)
        fail_msg("%s", err.text);
}

static void holds(const char *path, const char *text)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer file;
    struct mth_error err;
    assert_int_equal(mth_file_read_all(path, memory, &file, &err), MTH_OK);
    assert_int_equal(file.n_bytes, strlen(text));
    if (file.n_bytes)
        assert_memory_equal(file.data, text, file.n_bytes);
    mth_memory_free(memory, file.data);
    mth_memory_destroy(memory);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    write_text(in_directory("a"), "hello");
    holds(in_directory("a"), "hello");
    write_text(in_directory("a"), "");
    holds(in_directory("a"), "");
}

static void bytes_are_read_at_their_offsets(void **state)
{
    (void)state;
    static const char text[] = "0123456789";
    struct mth_source file, memory;
    struct mth_error err;
    write_text(in_directory("a"), text);
    assert_int_equal(mth_source_open(in_directory("a"), &file, &err), MTH_OK);
    mth_source_memory("memory", (struct mth_bytes){(const uint8_t *)text, 10}, &memory);
    const struct mth_source *const sources[] = {&file, &memory};
    for (size_t s = 0; s < 2; s++) {
        assert_int_equal(sources[s]->n_bytes, 10);
        for (uint64_t offset = 0; offset <= 12; offset++) {
            for (size_t n = 0; n <= 12; n++) {
                char out[16] = "################";
                int status = mth_source_read(sources[s], offset, out, n, &err);
                assert_int_equal(status, offset + n <= 10 ? MTH_OK : MTH_ERR_TRUNCATED);
                if (status == MTH_OK)
                    assert_memory_equal(out, text + offset, n);
                assert_int_equal(out[n], '#');
            }
        }
        assert_int_equal(mth_source_read(sources[s], UINT64_MAX, &err, 1, NULL), MTH_ERR_TRUNCATED);
        assert_int_equal(mth_source_read(sources[s], 1, &err, SIZE_MAX, NULL), MTH_ERR_TRUNCATED);
    }
    mth_source_close(&file);
    mth_source_close(&file);
    mth_source_close(&memory);
}

static void a_file_that_shrinks_is_truncated(void **state)
{
    (void)state;
    struct mth_source source;
    struct mth_error err;
    char out[10];
    write_text(in_directory("a"), "0123456789");
    assert_int_equal(mth_source_open(in_directory("a"), &source, &err), MTH_OK);
    assert_int_equal(truncate(in_directory("a"), 4), 0);
    assert_int_equal(mth_source_read(&source, 0, out, 10, &err), MTH_ERR_TRUNCATED);
    assert_non_null(strstr(err.text, in_directory("a")));
    assert_int_equal(mth_source_read(&source, 0, out, 4, &err), MTH_OK);
    mth_source_close(&source);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
    (void)state;
    struct mth_source source;
    struct mth_error err;
    assert_int_equal(mkfifo(in_directory("fifo"), 0600), 0);
    assert_int_equal(mkdir(in_directory("folder"), 0700), 0);
    const char *const paths[] = {in_directory("fifo"), in_directory("folder"), "/dev/zero"};
    alarm(60); /* a hang ends here */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mth_source_open(paths[i], &source, &err), MTH_ERR_IO);
        assert_non_null(strstr(err.text, paths[i]));
    }
    assert_int_equal(mth_source_open(in_directory("missing"), &source, &err), MTH_ERR_NOT_FOUND);
    assert_int_equal(mth_source_open(in_directory("fifo/x"), &source, &err), MTH_ERR_NOT_FOUND);
    assert_int_equal(mth_source_open("", &source, &err), MTH_ERR_NOT_FOUND);
    alarm(0);
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer file;
    assert_int_equal(mth_file_read_all(in_directory("folder"), memory, &file, &err), MTH_ERR_IO);
    mth_memory_destroy(memory);
}

static void a_file_larger_than_the_account_is_refused(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(4);
    struct mth_buffer file;
    struct mth_error err;
    write_text(in_directory("a"), "hello");
    assert_int_equal(mth_file_read_all(in_directory("a"), memory, &file, &err), MTH_ERR_NO_MEMORY);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

static void a_write_shows_only_when_it_is_whole(void **state)
{
    (void)state;
    struct mth_file_writer *writer;
    struct mth_error err;
    char names[256];
    write_text(in_directory("a"), "old");
    assert_int_equal(mth_file_writer_open(in_directory("a"), &writer, &err), MTH_OK);
    assert_int_equal(mth_file_writer_write(writer, "new ", 4, &err), MTH_OK);
    holds(in_directory("a"), "old");
    assert_int_equal(mth_file_writer_write(writer, "content", 7, &err), MTH_OK);
    holds(in_directory("a"), "old");
    assert_int_equal(mth_file_writer_commit(writer, &err), MTH_OK);
    holds(in_directory("a"), "new content");
    assert_int_equal(n_entries(names, sizeof names), 1);
}

static void an_aborted_write_leaves_no_trace(void **state)
{
    (void)state;
    struct mth_file_writer *writer;
    struct mth_error err;
    char names[256];
    write_text(in_directory("a"), "old");
    assert_int_equal(mth_file_writer_open(in_directory("a"), &writer, &err), MTH_OK);
    assert_int_equal(mth_file_writer_write(writer, "new", 3, &err), MTH_OK);
    mth_file_writer_abort(writer);
    mth_file_writer_abort(NULL);
    holds(in_directory("a"), "old");
    assert_int_equal(n_entries(names, sizeof names), 1);
}

/* In a process whose files may not pass 64 KiB, which is how a full disk looks without being root. */
static int write_too_much(const char *path)
{
    const struct rlimit limit = {65536, 65536};
    uint8_t *data = calloc(1, 100000);
    struct mth_error err = {0};
    signal(SIGXFSZ, SIG_IGN);
    if (!data || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 10;
    int status = mth_file_write_all(path, (struct mth_bytes){data, 100000}, &err);
    free(data);
    return status == MTH_ERR_IO && strstr(err.text, path) ? 0 : 11;
}

static void a_write_that_does_not_fit_leaves_the_old_file_alone(void **state)
{
    (void)state;
    char names[256];
    write_text(in_directory("a"), "old");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(write_too_much(in_directory("a")));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    holds(in_directory("a"), "old");
    assert_int_equal(n_entries(names, sizeof names), 1);
}

static void a_name_that_cannot_be_a_file_is_refused(void **state)
{
    (void)state;
    struct mth_file_writer *writer;
    struct mth_error err;
    struct stat before, after;
    char names[256];
    assert_int_equal(mkdir(in_directory("folder"), 0700), 0);
    assert_int_equal(mth_file_writer_open(in_directory("folder"), &writer, &err), MTH_ERR_IO);
    assert_int_equal(mth_file_writer_open(in_directory("missing/a"), &writer, &err), MTH_ERR_IO);
    assert_int_equal(n_entries(names, sizeof names), 1);
    /* Replacing a device would be worse than failing. */
    assert_int_equal(mkfifo(in_directory("fifo"), 0600), 0);
    assert_int_equal(stat(in_directory("fifo"), &before), 0);
    assert_int_equal(mth_file_write_all(in_directory("fifo"), (struct mth_bytes){NULL, 0}, &err), MTH_ERR_IO);
    assert_int_equal(stat(in_directory("fifo"), &after), 0);
    assert_true(S_ISFIFO(after.st_mode) && before.st_ino == after.st_ino);
    assert_int_equal(n_entries(names, sizeof names), 2);
}

static void a_new_file_has_the_mode_that_the_umask_grants(void **state)
{
    (void)state;
    struct stat st;
    mode_t mask = umask(027);
    write_text(in_directory("a"), "x");
    umask(mask);
    assert_int_equal(stat(in_directory("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void directories_are_made_with_their_parents(void **state)
{
    (void)state;
    struct mth_error err;
    struct stat st;
    assert_int_equal(mth_file_make_directory(in_directory("x//y/z/"), &err), MTH_OK);
    assert_int_equal(mth_file_make_directory(in_directory("x/y/z"), &err), MTH_OK);
    assert_int_equal(stat(in_directory("x/y/z"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    write_text(in_directory("a"), "x");
    assert_int_equal(mth_file_make_directory(in_directory("a"), &err), MTH_ERR_IO);
    assert_int_equal(mth_file_make_directory(in_directory("a/b"), &err), MTH_ERR_IO);
    assert_int_equal(rmdir(in_directory("x/y/z")) | rmdir(in_directory("x/y")) | rmdir(in_directory("x")), 0);
}

static void directories_that_were_made_are_taken_back_where_they_are_empty(void **state)
{
    (void)state;
    struct mth_error err;
    struct stat st;
    size_t n_there, n_directory = strlen(in_directory("")) - 1;
    static const char *const paths[] = {"x/y/z", "x/y/z/", "x//y///z//", "x"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *path = in_directory(paths[i]);
        assert_int_equal(mth_file_make_directory_noted(path, &n_there, &err), MTH_OK);
        assert_int_equal(n_there, n_directory);
        assert_int_equal(stat(path, &st), 0);
        mth_file_take_back_directory(path, n_there);
        assert_int_not_equal(stat(in_directory("x"), &st), 0);
    }
    /* What was there stays, and what holds something. */
    assert_int_equal(mkdir(in_directory("x"), 0777), 0);
    assert_int_equal(mth_file_make_directory_noted(in_directory("x"), &n_there, &err), MTH_OK);
    mth_file_take_back_directory(in_directory("x"), n_there);
    assert_int_equal(mth_file_make_directory_noted(in_directory("x/y/z"), &n_there, &err), MTH_OK);
    write_text(in_directory("x/y/a"), "x");
    mth_file_take_back_directory(in_directory("x/y/z"), n_there);
    assert_int_not_equal(stat(in_directory("x/y/z"), &st), 0);
    assert_int_equal(unlink(in_directory("x/y/a")), 0);
    mth_file_take_back_directory(in_directory("x/y/z"), n_there);
    assert_int_not_equal(stat(in_directory("x/y"), &st), 0);
    assert_int_equal(rmdir(in_directory("x")), 0);
    /* Where not all could be made nothing is. */
    char path[320] = "x/y/";
    memset(path + strlen(path), 'z', 300);
    assert_int_equal(mth_file_make_directory(in_directory(path), &err), MTH_ERR_IO);
    assert_int_not_equal(stat(in_directory("x"), &st), 0);
}

#define TEST(law) cmocka_unit_test_setup_teardown(law, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),
        TEST(bytes_are_read_at_their_offsets),
        TEST(a_file_that_shrinks_is_truncated),
        TEST(what_is_no_file_is_refused_without_waiting),
        TEST(a_file_larger_than_the_account_is_refused),
        TEST(a_write_shows_only_when_it_is_whole),
        TEST(an_aborted_write_leaves_no_trace),
        TEST(a_write_that_does_not_fit_leaves_the_old_file_alone),
        TEST(a_name_that_cannot_be_a_file_is_refused),
        TEST(a_new_file_has_the_mode_that_the_umask_grants),
        TEST(directories_are_made_with_their_parents),
        TEST(directories_that_were_made_are_taken_back_where_they_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
