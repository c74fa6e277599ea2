/* A web server for tests; see http_server.h. */
#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct http_server {
    const struct http_answer *answers;
    size_t n_answers;
    int listener;
    int stop[2]; /* a pipe: closed to stop */
    pthread_t thread;
    char url[64];
    atomic_size_t n_requests;
};

static void send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t put = send(fd, bytes, n, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return;
        bytes += put;
        n -= (size_t)put;
    }
}

/* Reads a request's head. Returns its path, which is inside request, or NULL. */
static char *read_request(int fd, char *request, size_t capacity)
{
    size_t n = 0;
    request[0] = '\0';
    while (!strstr(request, "\r\n\r\n")) {
        ssize_t got = n < capacity - 1 ? recv(fd, request + n, capacity - 1 - n, 0) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return NULL;
        n += (size_t)got;
        request[n] = '\0';
    }
    char *path = strchr(request, ' ');
    char *end = path ? strchr(path + 1, ' ') : NULL;
    if (!end)
        return NULL;
    *end = '\0';
    return path + 1;
}

static void answer(const struct http_server *server, int fd)
{
    char request[8192], head[512];
    const char *path = read_request(fd, request, sizeof request);
    if (!path)
        return;
    struct http_answer found = {.status = 404};
    for (size_t i = 0; i < server->n_answers; i++)
        if (strcmp(server->answers[i].path, path) == 0)
            found = server->answers[i];
    if (found.interrupts)
        kill(getpid(), SIGINT);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d Test\r\nContent-Length: %zu\r\nConnection: close\r\n%s%s%s\r\n",
                     found.status, found.n_body + found.n_missing, found.location ? "Location: " : "",
                     found.location ? found.location : "", found.location ? "\r\n" : "");
    send_all(fd, head, (size_t)n);
    send_all(fd, found.body, found.n_body);
}

static void *serve(void *arg)
{
    struct http_server *server = arg;
    for (;;) {
        struct pollfd polled[2] = {{.fd = server->listener, .events = POLLIN},
                                   {.fd = server->stop[0], .events = POLLIN}};
        if (poll(polled, 2, -1) < 0)
            continue;
        if (polled[1].revents)
            return NULL;
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            continue;
        atomic_fetch_add(&server->n_requests, 1);
        answer(server, fd);
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
}

struct http_server *http_server_start(const struct http_answer *answers, size_t n_answers)
{
    struct http_server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    server->answers = answers;
    server->n_answers = n_answers;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n_address = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &n_address), 0);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    assert_int_equal(pipe(server->stop), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

void http_server_stop(struct http_server *server)
{
    close(server->stop[1]);
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->listener);
    free(server);
}

const char *http_server_url(const struct http_server *server)
{
    return server->url;
}

size_t http_server_requests(const struct http_server *server)
{
    return atomic_load(&server->n_requests);
}
