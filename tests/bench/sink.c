/*
 * sink - an SMTP receiver that accepts everything and keeps nothing
 *
 *   sink [SECONDS]
 *
 * Listens on a free port of 127.0.0.1 and prints "port N". Every line on standard input is answered with one line
 * "SESSIONS MESSAGES OCTETS": sessions accepted, messages accepted, octets of their content, from behind the DATA or BDAT line to
 * the end of the dot line or chunk. End of file on standard input, or SECONDS (default 3600), ends it.
 *
 * It offers PIPELINING, SIZE, 8BITMIME and CHUNKING, answers a command group in one send, and says 221 and closes after QUIT.
 * One thread, one epoll, one read buffer: it must never be what a measurement waits for. SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 18, LINE_SIZE = 4096, OUT_SIZE = 8192, BATCH = 256 };
enum mode { COMMAND, CONTENT, CHUNK };

struct session {
    int fd;
    enum mode mode;
    bool over;           /* QUIT was answered */
    bool last;           /* the chunk under way is the last one */
    size_t chunk;        /* octets still to come of it */
    size_t line_length;  /* of an incomplete command line */
    size_t tail_length;  /* of the octets kept to find CRLF.CRLF across two reads */
    char tail[4];
    char *line;          /* allocated only while a line is incomplete */
};

struct output {
    char octets[OUT_SIZE];
    size_t length;
};

static unsigned long sessions, messages, octets;
static char buffer[READ_SIZE];
static const char END[] = "\r\n.\r\n";

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void reply(struct output *out, const char *text)
{
    size_t length = strlen(text);
    if (out->length + length > OUT_SIZE) { /* a group of hundreds of commands: more than any peer here sends */
        fprintf(stderr, "sink: too many replies in one read\n");
        exit(1);
    }
    memcpy(out->octets + out->length, text, length);
    out->length += length;
}

static void enter_content(struct session *s)
{
    s->mode = CONTENT;
    memcpy(s->tail, "\r\n", 2); /* the end of the DATA line counts as the first half of the end of content */
    s->tail_length = 2;
}

static bool is(const char *line, const char *verb)
{
    return strncasecmp(line, verb, strlen(verb)) == 0;
}

static void command(struct session *s, const char *line, struct output *out)
{
    if (is(line, "EHLO"))
        reply(out, "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 1073741824\r\n250-8BITMIME\r\n250 CHUNKING\r\n");
    else if (is(line, "HELO"))
        reply(out, "250 sink.example\r\n");
    else if (is(line, "MAIL FROM:"))
        reply(out, "250 2.1.0 Ok\r\n");
    else if (is(line, "RCPT TO:"))
        reply(out, "250 2.1.5 Ok\r\n");
    else if (is(line, "DATA")) {
        reply(out, "354 End data with <CR><LF>.<CR><LF>\r\n");
        enter_content(s);
    } else if (is(line, "BDAT ")) {
        s->mode = CHUNK;
        s->chunk = strtoul(line + 5, NULL, 10);
        s->last = strcasestr(line, " LAST") != NULL;
    } else if (is(line, "RSET") || is(line, "NOOP"))
        reply(out, "250 2.0.0 Ok\r\n");
    else if (is(line, "QUIT")) {
        reply(out, "221 2.0.0 Bye\r\n");
        s->over = true;
    } else
        reply(out, "500 5.5.1 Command unrecognized\r\n");
}

/* Take one command line, or keep what there is of it; returns the octets used. */
static size_t take_line(struct session *s, const char *data, size_t length, struct output *out)
{
    char line[LINE_SIZE];
    const char *newline = memchr(data, '\n', length);
    size_t used = newline ? (size_t)(newline - data) + 1 : length;
    if (s->line_length + used >= LINE_SIZE) {
        s->over = true;
        return length;
    }
    if (s->line_length)
        memcpy(line, s->line, s->line_length);
    memcpy(line + s->line_length, data, used);
    s->line_length += used;
    if (!newline) {
        s->line = realloc(s->line, LINE_SIZE);
        memcpy(s->line, line, s->line_length);
        return used;
    }
    line[s->line_length] = '\0';
    s->line_length = 0;
    command(s, line, out);
    return used;
}

/* Take content up to the end of the dot line; returns the octets used. */
static size_t take_content(struct session *s, const char *data, size_t length, struct output *out)
{
    char seam[8];
    size_t ahead = length < 4 ? length : 4, used = length;
    memcpy(seam, s->tail, s->tail_length);
    memcpy(seam + s->tail_length, data, ahead);
    const char *end = memmem(seam, s->tail_length + ahead, END, 5);
    if (end)
        used = (size_t)(end - seam) + 5 - s->tail_length;
    else if ((end = memmem(data, length, END, 5)))
        used = (size_t)(end - data) + 5;
    octets += used;
    if (end) {
        messages++;
        s->mode = COMMAND;
        reply(out, "250 2.0.0 Ok: taken\r\n");
    } else if (length >= 4) {
        memcpy(s->tail, data + length - 4, 4);
        s->tail_length = 4;
    } else {
        size_t whole = s->tail_length + length, drop = whole > 4 ? whole - 4 : 0;
        memcpy(s->tail, seam + drop, whole - drop);
        s->tail_length = whole - drop;
    }
    return used;
}

static size_t take_chunk(struct session *s, size_t length)
{
    size_t used = length < s->chunk ? length : s->chunk;
    s->chunk -= used;
    octets += used;
    return used;
}

static void finish_chunk(struct session *s, struct output *out)
{
    s->mode = COMMAND;
    messages += s->last;
    reply(out, "250 2.0.0 Ok: octets taken\r\n");
}

static void consume(struct session *s, const char *data, size_t length, struct output *out)
{
    size_t at = 0;
    while (at < length && !s->over) {
        if (s->mode == COMMAND)
            at += take_line(s, data + at, length - at, out);
        else if (s->mode == CONTENT)
            at += take_content(s, data + at, length - at, out);
        else
            at += take_chunk(s, length - at);
        if (s->mode == CHUNK && s->chunk == 0)
            finish_chunk(s, out);
    }
}

static void drop(struct session *s)
{
    close(s->fd);
    free(s->line);
    free(s);
}

static void serve(struct session *s)
{
    struct output out = {.length = 0};
    ssize_t got = recv(s->fd, buffer, READ_SIZE, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        drop(s);
        return;
    }
    consume(s, buffer, (size_t)got, &out);
    bool told = out.length == 0 || send(s->fd, out.octets, out.length, MSG_NOSIGNAL) == (ssize_t)out.length;
    if (s->over || !told)
        drop(s);
}

static void accept_all(int listener, int poll)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct session *s = calloc(1, sizeof *s);
        struct epoll_event want = {.events = EPOLLIN, .data.ptr = s};
        s->fd = fd;
        sessions++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (send(fd, "220 sink.example ESMTP\r\n", 24, MSG_NOSIGNAL) != 24 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &want) < 0)
            drop(s);
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        die("accept");
}

static int open_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0)
        die("listen");
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void answer_question(void)
{
    char line[64];
    if (read(STDIN_FILENO, line, sizeof line) <= 0)
        exit(0);
    printf("%lu %lu %lu\n", sessions, messages, octets);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct epoll_event ready[BATCH];
    struct rlimit files;
    alarm(argc > 1 ? (unsigned)atoi(argv[1]) : 3600);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int poll = epoll_create1(0), listener = open_listener(), question = STDIN_FILENO;
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event on_question = {.events = EPOLLIN, .data.ptr = &question};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &on_listener) < 0)
        die("epoll_ctl");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, question, &on_question) < 0)
        die("epoll_ctl");
    for (;;) {
        int count = epoll_wait(poll, ready, BATCH, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr == &listener)
                accept_all(listener, poll);
            else if (ready[i].data.ptr == &question)
                answer_question();
            else
                serve(ready[i].data.ptr);
        }
    }
}
