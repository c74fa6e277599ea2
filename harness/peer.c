/* Talking to a peer's process; see peer.h. */
#include "harness/peer.h"

#include "harness/clock.h"
#include "harness/process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROTOCOL = 1, MAX_WORDS = 64, LINE_BYTES = 512, NAME_BYTES = 192 };

struct mth_peer {
    struct mth_process process;
    char identity[NAME_BYTES];
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

static int run_program(struct mth_peer *peer, const char *command, double limit_seconds,
                       struct mth_error *err)
{
    char *words[MAX_WORDS + 1];
    char *text = malloc(strlen(command) + 1);
    if (!text)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a peer");
    memcpy(text, command, strlen(command) + 1);
    int status = cut_words(text, words)
                     ? mth_process_start(&peer->process, "the peer", words, limit_seconds, err)
                     : mth_error_set(err, MTH_ERR_USAGE, "the command of a peer is empty");
    free(text);
    return status;
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
    mth_process_set_deadline(&peer->process);
    return mth_process_write(&peer->process, line, (size_t)n, err);
}

/* The answer: what stands behind "ok". */
static int answer(struct mth_peer *peer, char line[LINE_BYTES], const char **rest, struct mth_error *err)
{
    int status = mth_process_read_line(&peer->process, line, LINE_BYTES, err);
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
    int status = run_program(peer, config->command, config->limit_seconds, err);
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
        status = mth_process_write(&peer->process, data.data, data.n_bytes, err);
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
    return mth_process_read(&peer->process, out->data, out->n_bytes, err);
}

uint64_t mth_peer_resident_bytes(const struct mth_peer *peer, enum mth_resident which)
{
    return mth_resident_bytes(peer->process.pid, which);
}

void mth_peer_stop(struct mth_peer *peer)
{
    if (!peer)
        return;
    mth_process_stop(&peer->process);
    free(peer);
}
