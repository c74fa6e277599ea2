/* Talking to a peer's process; see peer.h. */
#include "harness/peer.h"

#include "base/checked.h"
#include "harness/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { PROTOCOL = 1, MAX_WORDS = 64, LINE_BYTES = 512, NAME_BYTES = 192 };

struct mth_peer {
    pid_t pid; /* 0 once it has ended */
    int to, from;
    FILE *messages; /* its standard error, a temporary file */
    double limit_seconds;
    uint64_t deadline_ns;
    char identity[NAME_BYTES];
    char program[64]; /* for messages */
    /* What was read behind the last line. */
    char ahead[4096];
    size_t ahead_begin, ahead_end;
};

/* ---- the process ---- */

/* The command cut at its blanks, in place. */
static size_t cut_words(char *command, char *words[MAX_WORDS + 1])
{
    size_t n = 0;
    for (char *word = strtok(command, " "); word && n < MAX_WORDS; word = strtok(NULL, " "))
        words[n++] = word;
    words[n] = NULL;
    return n;
}

static int make_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        return errno;
    for (int i = 0; i < 2; i++)
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

/* Returns an errno. */
static int spawn(struct mth_peer *peer, char *const *words, const int in[2], const int out[2])
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
        failed = posix_spawn_file_actions_adddup2(&actions, fileno(peer->messages), STDERR_FILENO);
    if (!failed)
        failed = posix_spawnp(&peer->pid, words[0], &actions, &attributes, words, environ);
    if (failed)
        peer->pid = 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int run_program(struct mth_peer *peer, const char *command, struct mth_error *err)
{
    char *words[MAX_WORDS + 1];
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    char *text = malloc(strlen(command) + 1);
    if (!text)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a peer");
    memcpy(text, command, strlen(command) + 1);
    if (cut_words(text, words) == 0) {
        free(text);
        return mth_error_set(err, MTH_ERR_USAGE, "the command of a peer is empty");
    }
    snprintf(peer->program, sizeof peer->program, "%.63s", words[0]);
    int failed = make_pipe(in);
    if (!failed)
        failed = make_pipe(out);
    if (!failed)
        failed = spawn(peer, words, in, out);
    peer->to = in[1];
    peer->from = out[0];
    if (in[0] >= 0)
        close(in[0]);
    if (out[1] >= 0)
        close(out[1]);
    if (!failed && (fcntl(peer->to, F_SETFL, O_NONBLOCK) != 0 || fcntl(peer->from, F_SETFL, O_NONBLOCK) != 0))
        failed = errno;
    free(text);
    if (failed == ENOENT)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s is not installed", peer->program);
    if (failed)
        return mth_error_set(err, MTH_ERR_IO, "%s does not start: %s", peer->program, strerror(failed));
    return MTH_OK;
}

/* The last line that it wrote to standard error. */
static void last_message(struct mth_peer *peer, char *out, size_t capacity)
{
    char line[LINE_BYTES];
    out[0] = '\0';
    rewind(peer->messages);
    while (fgets(line, sizeof line, peer->messages)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0])
            snprintf(out, capacity, "%.*s", (int)capacity - 1, line);
    }
}

/* How a peer that closed its pipes came to its end. */
static int ended(struct mth_peer *peer, struct mth_error *err)
{
    char message[200];
    int status = 0;
    pid_t pid = peer->pid;
    peer->pid = 0;
    /* It closed its pipe: it is about to end, or lives on and is ended. */
    const struct timespec millisecond = {.tv_nsec = 1000000};
    int patience = 2000;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (--patience == 0)
            kill(pid, SIGKILL);
        nanosleep(&millisecond, NULL);
    }
    last_message(peer, message, sizeof message);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return mth_error_set(err, MTH_ERR_NOT_FOUND, "%s is not installed", peer->program);
    if (WIFSIGNALED(status))
        return mth_error_set(err, MTH_ERR_LIBRARY, "the peer was ended by signal %d%s%s", WTERMSIG(status),
                             message[0] ? ": " : "", message);
    return mth_error_set(err, MTH_ERR_LIBRARY, "the peer ended with exit code %d%s%s", WEXITSTATUS(status),
                         message[0] ? ": " : "", message);
}

/* ---- bytes, until the deadline ---- */

static void set_deadline(struct mth_peer *peer)
{
    peer->deadline_ns = mth_clock_ns() + (uint64_t)(peer->limit_seconds * 1e9);
}

/* Waits until the descriptor is ready for events or at its end. */
static int await(struct mth_peer *peer, int fd, short events, struct mth_error *err)
{
    for (;;) {
        uint64_t now = mth_clock_ns();
        struct pollfd polled = {.fd = fd, .events = events};
        if (now >= peer->deadline_ns)
            return mth_error_set(err, MTH_ERR_LIMIT, "the peer gave no answer in %g seconds",
                                 peer->limit_seconds);
        uint64_t left_ms = (peer->deadline_ns - now) / 1000000 + 1;
        int n = poll(&polled, 1, left_ms > 1000 ? 1000 : (int)left_ms);
        if (n > 0)
            return MTH_OK;
        if (n < 0 && errno != EINTR)
            return mth_error_set(err, MTH_ERR_IO, "cannot wait for a peer: %s", strerror(errno));
    }
}

static int write_all(struct mth_peer *peer, const void *data, size_t n_bytes, struct mth_error *err)
{
    const char *at = data;
    while (n_bytes) {
        int status = await(peer, peer->to, POLLOUT, err);
        if (status)
            return status;
        ssize_t n = write(peer->to, at, n_bytes);
        if (n < 0 && errno == EPIPE)
            return ended(peer, err);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return mth_error_set(err, MTH_ERR_IO, "cannot write to a peer: %s", strerror(errno));
        if (n > 0) {
            at += n;
            n_bytes -= (size_t)n;
        }
    }
    return MTH_OK;
}

/* At least one byte. */
static int read_some(struct mth_peer *peer, void *data, size_t capacity, size_t *n_bytes,
                     struct mth_error *err)
{
    for (;;) {
        int status = await(peer, peer->from, POLLIN, err);
        if (status)
            return status;
        ssize_t n = read(peer->from, data, capacity);
        if (n == 0)
            return ended(peer, err);
        if (n > 0) {
            *n_bytes = (size_t)n;
            return MTH_OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return mth_error_set(err, MTH_ERR_IO, "cannot read from a peer: %s", strerror(errno));
    }
}

static int read_line(struct mth_peer *peer, char line[LINE_BYTES], struct mth_error *err)
{
    for (size_t n = 0;; n++) {
        if (peer->ahead_begin == peer->ahead_end) {
            peer->ahead_begin = 0;
            peer->ahead_end = 0;
            int status = read_some(peer, peer->ahead, sizeof peer->ahead, &peer->ahead_end, err);
            if (status)
                return status;
        }
        if (n == LINE_BYTES)
            return mth_error_set(err, MTH_ERR_LIBRARY, "the peer breaks the protocol: a line has no end");
        line[n] = peer->ahead[peer->ahead_begin++];
        if (line[n] == '\n') {
            line[n] = '\0';
            return MTH_OK;
        }
    }
}

static int read_payload(struct mth_peer *peer, uint8_t *out, size_t n_bytes, struct mth_error *err)
{
    size_t n = mth_size_min(n_bytes, peer->ahead_end - peer->ahead_begin);
    if (n)
        memcpy(out, peer->ahead + peer->ahead_begin, n);
    peer->ahead_begin += n;
    while (n < n_bytes) {
        size_t got = 0;
        int status = read_some(peer, out + n, n_bytes - n, &got, err);
        if (status)
            return status;
        n += got;
    }
    return MTH_OK;
}

/* ---- requests and answers ---- */

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static int
ask(struct mth_peer *peer, struct mth_error *err, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    set_deadline(peer);
    return write_all(peer, line, (size_t)n, err);
}

/* The answer: what stands behind "ok". */
static int answer(struct mth_peer *peer, char line[LINE_BYTES], const char **rest, struct mth_error *err)
{
    int status = read_line(peer, line, err);
    if (status)
        return status;
    size_t n = strcspn(line, " ");
    *rest = line[n] == ' ' ? line + n + 1 : line + n;
    if (n == 2 && memcmp(line, "ok", 2) == 0)
        return MTH_OK;
    if (n == 5 && memcmp(line, "error", 5) == 0)
        return mth_error_set(err, MTH_ERR_LIBRARY, "the peer reports: %.200s", *rest);
    if (n == 11 && memcmp(line, "unsupported", 11) == 0)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "%.200s", *rest);
    return mth_error_set(err, MTH_ERR_LIBRARY, "the peer breaks the protocol: it says '%.60s'", line);
}

/* The decimal numbers of an answer, apart by one blank, and nothing else. */
static int numbers(const char *rest, uint64_t *values, size_t n_values, struct mth_error *err)
{
    for (size_t i = 0; i < n_values; i++) {
        char *end;
        errno = 0;
        uintmax_t value = strtoumax(rest, &end, 10);
        if (rest[0] < '0' || rest[0] > '9' || errno || *end != (i + 1 < n_values ? ' ' : '\0'))
            return mth_error_set(err, MTH_ERR_LIBRARY,
                                 "the peer breaks the protocol: %zu numbers were to follow, not '%.60s'",
                                 n_values, rest);
        values[i] = value;
        rest = end + 1;
    }
    return MTH_OK;
}

/* Identities go into rows and tables: what a shell or a terminal would touch stays out. */
static int take_identity(struct mth_peer *peer, const char *text, struct mth_error *err)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@:=,+_-");
    if (n == 0 || text[n] != '\0' || n >= sizeof peer->identity)
        return mth_error_set(err, MTH_ERR_LIBRARY,
                             "the peer breaks the protocol: '%.60s' is no NAME@VERSION:SETTINGS", text);
    memcpy(peer->identity, text, n + 1);
    return MTH_OK;
}

static int greet(struct mth_peer *peer, const struct mth_peer_config *config, struct mth_error *err)
{
    char line[LINE_BYTES];
    const char *rest;
    int status = ask(peer, err, "hello %d\n", PROTOCOL);
    if (!status)
        status = answer(peer, line, &rest, err);
    if (!status)
        status = take_identity(peer, rest, err);
    if (!status)
        status = ask(peer, err, "setup %s %zu %zu %zu %s %zu\n",
                     config->role == MTH_PEER_COMPRESS ? "compress" : "decompress", config->n_threads,
                     config->n_slots, config->sweep_bytes, config->dtype, config->element_bytes);
    return status ? status : answer(peer, line, &rest, err);
}

int mth_peer_start(const struct mth_peer_config *config, struct mth_peer **out, struct mth_error *err)
{
    struct mth_peer *peer = calloc(1, sizeof *peer);
    *out = NULL;
    if (!peer)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a peer");
    peer->to = -1;
    peer->from = -1;
    peer->limit_seconds = config->limit_seconds;
    peer->messages = tmpfile();
    if (!peer->messages) {
        free(peer);
        return mth_error_set(err, MTH_ERR_IO, "cannot make a temporary file for a peer: %s", strerror(errno));
    }
    fcntl(fileno(peer->messages), F_SETFD, FD_CLOEXEC);
    /* A peer that died is told by its pipe's error, not by a signal. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    int status = run_program(peer, config->command, err);
    if (!status)
        status = greet(peer, config, err);
    if (status)
        mth_peer_stop(peer);
    else
        *out = peer;
    return status;
}

const char *mth_peer_identity(const struct mth_peer *peer)
{
    return peer->identity;
}

static int hand_over(struct mth_peer *peer, const char *request, struct mth_bytes data, struct mth_error *err)
{
    char line[LINE_BYTES];
    const char *rest;
    int status = ask(peer, err, "%s %zu\n", request, data.n_bytes);
    if (!status)
        status = write_all(peer, data.data, data.n_bytes, err);
    return status ? status : answer(peer, line, &rest, err);
}

int mth_peer_send_base(struct mth_peer *peer, struct mth_bytes base, struct mth_error *err)
{
    return hand_over(peer, "base", base, err);
}

int mth_peer_send(struct mth_peer *peer, struct mth_bytes data, struct mth_error *err)
{
    return hand_over(peer, "data", data, err);
}

int mth_peer_pass(struct mth_peer *peer, size_t first, size_t n, uint64_t *wall_ns, uint64_t *cpu_ns,
                  struct mth_error *err)
{
    char line[LINE_BYTES];
    const char *rest;
    uint64_t times[2] = {0};
    uint64_t begin = mth_clock_ns();
    int status = ask(peer, err, "pass %zu %zu\n", first, n);
    if (!status)
        status = answer(peer, line, &rest, err);
    uint64_t passed = mth_clock_ns() - begin;
    if (!status)
        status = numbers(rest, times, 2, err);
    if (status)
        return status;
    /* That its clock runs slow can not be seen, that it runs fast or stands still can. */
    if (times[0] == 0 || times[0] > passed)
        return mth_error_set(err, MTH_ERR_LIBRARY,
                             "the peer reports a sample of %" PRIu64 " ns, of %" PRIu64
                             " that it took to answer",
                             times[0], passed);
    *wall_ns = times[0];
    *cpu_ns = times[1];
    return MTH_OK;
}

int mth_peer_fetch(struct mth_peer *peer, size_t slot, struct mth_buffer *out, struct mth_error *err)
{
    char line[LINE_BYTES];
    const char *rest;
    uint64_t n_bytes = 0;
    int status = ask(peer, err, "output %zu\n", slot);
    if (!status)
        status = answer(peer, line, &rest, err);
    if (!status)
        status = numbers(rest, &n_bytes, 1, err);
    if (!status && n_bytes > out->capacity_bytes)
        status =
            mth_error_set(err, MTH_ERR_LIBRARY, "the peer's output of %" PRIu64 " bytes is longer than %zu",
                          n_bytes, out->capacity_bytes);
    if (status)
        return status;
    out->n_bytes = (size_t)n_bytes;
    return read_payload(peer, out->data, out->n_bytes, err);
}

void mth_peer_stop(struct mth_peer *peer)
{
    if (!peer)
        return;
    if (peer->to >= 0)
        close(peer->to);
    if (peer->from >= 0)
        close(peer->from);
    if (peer->pid) {
        /* Between two requests it has nothing to finish, and one that hangs would not listen. */
        kill(peer->pid, SIGKILL);
        while (waitpid(peer->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    fclose(peer->messages);
    free(peer);
}
