/* Running another program; see child.h. */
#include "harness/child.h"

#include "base/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What a child writes to one of its descriptors: the beginning of it, or the end. */
struct capture {
    int fd; /* our end of the pipe; -1 once it is closed */
    char *text;
    size_t capacity; /* with room for a NUL */
    size_t n;
    bool keep_end;
};

static void capture_add(struct capture *capture, const char *bytes, size_t n)
{
    size_t room = capture->capacity ? capture->capacity - 1 : 0;
    if (!capture->keep_end) {
        n = mth_size_min(n, room - capture->n);
    } else if (n >= room) {
        bytes += n - room;
        n = room;
        capture->n = 0;
    } else if (capture->n + n > room) {
        size_t dropped = capture->n + n - room;
        memmove(capture->text, capture->text + dropped, capture->n - dropped);
        capture->n -= dropped;
    }
    if (n)
        memcpy(capture->text + capture->n, bytes, n);
    capture->n += n;
}

/* Reads both pipes until the child has closed them. */
static void drain(struct capture captures[2])
{
    while (captures[0].fd >= 0 || captures[1].fd >= 0) {
        struct pollfd polled[2] = {{.fd = captures[0].fd, .events = POLLIN},
                                   {.fd = captures[1].fd, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < 2; i++) {
            if (captures[i].fd < 0 || !polled[i].revents)
                continue;
            char piece[4096];
            ssize_t got = read(captures[i].fd, piece, sizeof piece);
            if (got > 0) {
                capture_add(&captures[i], piece, (size_t)got);
            } else if (got == 0 || errno != EINTR) {
                close(captures[i].fd);
                captures[i].fd = -1;
            }
        }
    }
}

/* The last line of a text that is not empty. Ends the text behind it. */
static const char *last_line(char *text)
{
    size_t n = strlen(text);
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        n--;
    text[n] = '\0';
    while (n && text[n - 1] != '\n' && text[n - 1] != '\r')
        n--;
    return text + n;
}

/* Set by an interrupt from the terminal, which reaches the child too. A handler, unlike SIG_IGN, is not
 * inherited. */
static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* Starts the child with standard input empty and the two others going to pipes. Returns an errno. */
static int start(const char *const *argv, const int out_pipe[2], const int err_pipe[2], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, out_pipe[1], STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, err_pipe[1], STDERR_FILENO);
    /* posix_spawnp takes a char *const[] for historical reasons and does not change it. */
    if (!failed)
        failed = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static bool open_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        return false;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return true;
}

static int outcome(const char *name, int wait_status, char *messages, struct mth_error *err)
{
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        return MTH_OK;
    if (interrupted)
        return mth_error_set(err, MTH_ERR_CANCELLED, "interrupted while %s was running", name);
    /* A shell, and a spawn without early error, say 127 for a program that is not there. */
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 127)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s is not installed", name);
    const char *line = last_line(messages);
    if (WIFSIGNALED(wait_status))
        return mth_error_set(err, MTH_ERR_LIBRARY, "%s was ended by signal %d", name, WTERMSIG(wait_status));
    return mth_error_set(err, MTH_ERR_LIBRARY, "%s failed with exit code %d%s%s", name,
                         WEXITSTATUS(wait_status), line[0] ? ": " : "", line);
}

int mth_child_run(const char *const *argv, char *out, size_t capacity, struct mth_error *err)
{
    int out_pipe[2], err_pipe[2];
    if (!open_pipe(out_pipe))
        return mth_error_set(err, MTH_ERR_IO, "cannot run %s: %s", argv[0], strerror(errno));
    if (!open_pipe(err_pipe)) {
        int failed = errno;
        close(out_pipe[0]);
        close(out_pipe[1]);
        return mth_error_set(err, MTH_ERR_IO, "cannot run %s: %s", argv[0], strerror(failed));
    }
    struct sigaction note = {.sa_handler = note_interrupt}, old_int, old_quit;
    interrupted = 0;
    sigaction(SIGINT, &note, &old_int);
    sigaction(SIGQUIT, &note, &old_quit);

    char messages[1024];
    struct capture captures[2] = {
        {.fd = out_pipe[0], .text = out, .capacity = out ? capacity : 0},
        {.fd = err_pipe[0], .text = messages, .capacity = sizeof messages, .keep_end = true}};
    pid_t pid;
    int failed = start(argv, out_pipe, err_pipe, &pid), wait_status = 0;
    close(out_pipe[1]);
    close(err_pipe[1]);
    if (!failed) {
        drain(captures);
        while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
            continue;
    }
    for (size_t i = 0; i < 2; i++)
        if (captures[i].fd >= 0)
            close(captures[i].fd);
    if (out && capacity)
        out[captures[0].n] = '\0';
    messages[captures[1].n] = '\0';
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGQUIT, &old_quit, NULL);

    if (failed)
        return mth_error_set(err, failed == ENOENT ? MTH_ERR_NOT_FOUND : MTH_ERR_IO, "%s %s%s", argv[0],
                             failed == ENOENT ? "is not installed" : "does not start: ",
                             failed == ENOENT ? "" : strerror(failed));
    return outcome(argv[0], wait_status, messages, err);
}

static const char *remembered = "mithril";

void mth_child_remember(const char *argv0)
{
    remembered = argv0;
}

const char *mth_child_self(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return remembered;
    path[n] = '\0';
    return path;
}
