/* A web server on a thread and a free port of 127.0.0.1, that answers what a test tells it to. */
#ifndef MTH_TESTS_HTTP_SERVER_H
#define MTH_TESTS_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct http_answer {
    const char *path;     /* what is asked for; a path that no answer has gets 404 */
    int status;           /* 200, 302, 404 ... */
    const char *location; /* of a redirect, or NULL */
    const void *body;
    size_t n_body;
    size_t n_missing; /* so many bytes more are announced than are sent */
    bool interrupts;  /* this process gets SIGINT before the answer is sent */
};

struct http_server;

/* Answers are borrowed, and may be changed while nothing is being asked for. Ends the test when there is no port. */
struct http_server *http_server_start(const struct http_answer *answers, size_t n_answers);
void http_server_stop(struct http_server *server);

/* "http://127.0.0.1:PORT", borrowed. */
const char *http_server_url(const struct http_server *server);
/* Requests so far. */
size_t http_server_requests(const struct http_server *server);

#endif
