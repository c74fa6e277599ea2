/* A process and its pipes; see process.h. */
#include "harness/process.h"

#include "base/checked.h"
#include "harness/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { LINE_BYTES = 512 };

static int make_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        return errno;
    for (int i = 0; i < 2; i++)
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

/* Returns an errno. */
static int spawn(struct mth_process *process, char *const *words, const int in[2], const int out[2])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); /* which we ignore ourselves */
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    failed = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, fileno(process->messages), STDERR_FILENO);
    if (!failed)
        failed = posix_spawnp(&process->pid, words[0], &actions, &attributes, words, environ);
    if (failed)
        process->pid = 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

int mth_process_start(struct mth_process *process, const char *who, char *const *argv, double limit_seconds,
                      struct mth_error *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    *process = (struct mth_process){.who = who, .to = -1, .from = -1, .limit_seconds = limit_seconds};
    process->messages = tmpfile();
    if (!process->messages)
        return mth_error_set(err, MTH_ERR_IO, "cannot make a temporary file for %s: %s", who,
                             strerror(errno));
    fcntl(fileno(process->messages), F_SETFD, FD_CLOEXEC);
    /* One that died is told by its pipe's error, not by a signal. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    int failed = make_pipe(in);
    if (!failed)
        failed = make_pipe(out);
    if (!failed)
        failed = spawn(process, argv, in, out);
    process->to = in[1];
    process->from = out[0];
    if (in[0] >= 0)
        close(in[0]);
    if (out[1] >= 0)
        close(out[1]);
    if (!failed &&
        (fcntl(process->to, F_SETFL, O_NONBLOCK) != 0 || fcntl(process->from, F_SETFL, O_NONBLOCK) != 0))
        failed = errno;
    if (failed == ENOENT)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%.200s is not installed", argv[0]);
    if (failed)
        return mth_error_set(err, MTH_ERR_IO, "%.200s does not start: %s", argv[0], strerror(failed));
    mth_process_set_deadline(process);
    return MTH_OK;
}

/* The last line that it wrote to standard error. */
static void last_message(struct mth_process *process, char *out, size_t capacity)
{
    char line[LINE_BYTES];
    out[0] = '\0';
    rewind(process->messages);
    while (fgets(line, sizeof line, process->messages)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0])
            snprintf(out, capacity, "%.*s", (int)capacity - 1, line);
    }
}

/* How one that closed its pipes came to its end. */
static int ended(struct mth_process *process, struct mth_error *err)
{
    char message[200];
    int status = 0;
    pid_t pid = process->pid;
    process->pid = 0;
    /* It closed its pipe: it is about to end, or lives on and is ended. */
    const struct timespec millisecond = {.tv_nsec = 1000000};
    int patience = 2000;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (--patience == 0)
            kill(pid, SIGKILL);
        nanosleep(&millisecond, NULL);
    }
    last_message(process, message, sizeof message);
    process->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (process->exit_code == 127)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s is not installed", process->who);
    if (WIFSIGNALED(status))
        return mth_error_set(err, MTH_ERR_LIBRARY, "%s was ended by signal %d%s%s", process->who,
                             WTERMSIG(status), message[0] ? ": " : "", message);
    return mth_error_set(err, MTH_ERR_LIBRARY, "%s ended with exit code %d%s%s", process->who,
                         process->exit_code, message[0] ? ": " : "", message);
}

/* ---- bytes, until the deadline ---- */

void mth_process_set_deadline(struct mth_process *process)
{
    process->deadline_ns = mth_clock_ns() + (uint64_t)(process->limit_seconds * 1e9);
}

/* Waits until the descriptor is ready for events or at its end. */
static int await(struct mth_process *process, int fd, short events, struct mth_error *err)
{
    for (;;) {
        uint64_t now = mth_clock_ns();
        struct pollfd polled = {.fd = fd, .events = events};
        if (now >= process->deadline_ns)
            return mth_error_set(err, MTH_ERR_LIMIT, "%s gave no answer in %g seconds", process->who,
                                 process->limit_seconds);
        uint64_t left_ms = (process->deadline_ns - now) / 1000000 + 1;
        int n = poll(&polled, 1, left_ms > 1000 ? 1000 : (int)left_ms);
        if (n > 0)
            return MTH_OK;
        if (n < 0 && errno != EINTR)
            return mth_error_set(err, MTH_ERR_IO, "cannot wait for %s: %s", process->who, strerror(errno));
    }
}

int mth_process_write(struct mth_process *process, const void *data, size_t n_bytes, struct mth_error *err)
{
    const char *at = data;
    while (n_bytes) {
        int status = await(process, process->to, POLLOUT, err);
        if (status)
            return status;
        ssize_t n = write(process->to, at, n_bytes);
        if (n < 0 && errno == EPIPE)
            return ended(process, err);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return mth_error_set(err, MTH_ERR_IO, "cannot write to %s: %s", process->who, strerror(errno));
        if (n > 0) {
            at += n;
            n_bytes -= (size_t)n;
        }
    }
    return MTH_OK;
}

/* At least one byte. */
static int read_some(struct mth_process *process, void *data, size_t capacity, size_t *n_bytes,
                     struct mth_error *err)
{
    for (;;) {
        int status = await(process, process->from, POLLIN, err);
        if (status)
            return status;
        ssize_t n = read(process->from, data, capacity);
        if (n == 0)
            return ended(process, err);
        if (n > 0) {
            *n_bytes = (size_t)n;
            return MTH_OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return mth_error_set(err, MTH_ERR_IO, "cannot read from %s: %s", process->who, strerror(errno));
    }
}

int mth_process_read_line(struct mth_process *process, char *line, size_t capacity, struct mth_error *err)
{
    for (size_t n = 0;; n++) {
        if (process->ahead_begin == process->ahead_end) {
            process->ahead_begin = 0;
            process->ahead_end = 0;
            int status = read_some(process, process->ahead, sizeof process->ahead, &process->ahead_end, err);
            if (status)
                return status;
        }
        if (n == capacity)
            return mth_error_set(err, MTH_ERR_LIBRARY, "%s breaks the protocol: a line has no end",
                                 process->who);
        line[n] = process->ahead[process->ahead_begin++];
        if (line[n] == '\n') {
            line[n] = '\0';
            return MTH_OK;
        }
    }
}

int mth_process_read(struct mth_process *process, void *data, size_t n_bytes, struct mth_error *err)
{
    char *out = data;
    size_t n = mth_size_min(n_bytes, process->ahead_end - process->ahead_begin);
    if (n)
        memcpy(out, process->ahead + process->ahead_begin, n);
    process->ahead_begin += n;
    while (n < n_bytes) {
        size_t got = 0;
        int status = read_some(process, out + n, n_bytes - n, &got, err);
        if (status)
            return status;
        n += got;
    }
    return MTH_OK;
}

int mth_process_finish(struct mth_process *process, FILE *out, struct mth_error *err)
{
    for (;;) {
        size_t n = process->ahead_end - process->ahead_begin;
        if (fwrite(process->ahead + process->ahead_begin, 1, n, out) != n)
            return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for what %s writes", process->who);
        process->ahead_begin = 0;
        process->ahead_end = 0;
        int status = read_some(process, process->ahead, sizeof process->ahead, &process->ahead_end, err);
        if (status && process->pid == 0 && process->exit_code == 0) {
            *err = (struct mth_error){0};
            return MTH_OK;
        }
        if (status)
            return status;
    }
}

void mth_process_stop(struct mth_process *process)
{
    if (!process->messages)
        return;
    if (process->to >= 0)
        close(process->to);
    if (process->from >= 0)
        close(process->from);
    if (process->pid) {
        /* Between two requests it has nothing to finish, and one that hangs would not listen. */
        kill(process->pid, SIGKILL);
        while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    fclose(process->messages);
    *process = (struct mth_process){0};
}
