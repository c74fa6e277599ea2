/* Running the program; see program.h. */
#include "tests/support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ARGUMENTS = 32 };

bool program_is_installed(const char *name)
{
    char path[4096];
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t n = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)(n < 2048 ? n : 2048), at, name);
        if (access(path, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

/* The absolute path of the program, which stays valid after a change of directory. */
char *program_path(void)
{
    const char *asked = getenv("MITHRIL");
    char here[2048] = "", beside[2048];
    if (!asked) {
        ssize_t n = readlink("/proc/self/exe", beside, sizeof beside - 16);
        if (n <= 0)
            fail_msg("MITHRIL is not set");
        beside[n] = '\0';
        strcpy(strrchr(beside, '/'), "/../mithril");
        asked = beside;
    }
    if (asked[0] != '/')
        assert_non_null(getcwd(here, sizeof here - 1));
    size_t n_path = strlen(here) + strlen(asked) + 2;
    char *path = malloc(n_path);
    assert_non_null(path);
    snprintf(path, n_path, "%s%s%s", here, here[0] ? "/" : "", asked);
    if (access(path, X_OK) != 0)
        fail_msg("%s: the program is not there", path);
    return path;
}

static char *read_back(FILE *file)
{
    size_t n = 0, capacity = 4096;
    char *text = malloc(capacity + 1);
    assert_non_null(text);
    rewind(file);
    for (size_t got; (got = fread(text + n, 1, capacity - n, file)) > 0;) {
        n += got;
        if (n == capacity) {
            capacity *= 2;
            text = realloc(text, capacity + 1);
            assert_non_null(text);
        }
    }
    text[n] = '\0';
    fclose(file);
    return text;
}

struct program_result program_run(const char *directory, const char *const *arguments)
{
    return program_run_prepared(directory, arguments, NULL, NULL);
}

struct program_result program_run_prepared(const char *directory, const char *const *arguments,
                                           int (*prepare)(void *arg), void *arg)
{
    char *argv[MAX_ARGUMENTS + 2] = {program_path()};
    for (size_t i = 0; arguments[i]; i++) {
        assert_true(i < MAX_ARGUMENTS);
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    FILE *out = tmpfile(), *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (directory && chdir(directory) != 0)
            _exit(127);
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        if (prepare && prepare(arg) != 0)
            _exit(126);
        execv(argv[0], argv);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    free(argv[0]);
    return (struct program_result){.exit_code =
                                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                                   .out = read_back(out),
                                   .err = read_back(err)};
}

void program_result_free(struct program_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct program_result){0};
}

size_t program_lines(const char *text)
{
    size_t n = 0;
    for (const char *p = text; *p; p++)
        n += *p == '\n' || p[1] == '\0';
    return n;
}

void program_assert_ends(struct program_result result, int exit_code, const char *err_part)
{
    if (result.exit_code != exit_code || (err_part ? !strstr(result.err, err_part) : result.err[0] != '\0') ||
        program_lines(result.err) > 1)
        fail_msg("exit code %d (expected %d), errors '%s' (expected '%s')", result.exit_code, exit_code,
                 result.err, err_part ? err_part : "");
    program_result_free(&result);
}

void program_assert_prints(struct program_result result, const char *part)
{
    if (result.exit_code != 0 || !strstr(result.out, part))
        fail_msg("exit code %d, errors '%s', printed '%s' (expected '%s')", result.exit_code, result.err,
                 result.out, part);
    program_result_free(&result);
}
