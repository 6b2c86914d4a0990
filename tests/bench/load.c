/*
 * load - lock-step SMTP sessions, many at a time
 *
 *   load PORT SESSIONS PARALLEL MESSAGES RECIPIENTS LINES KIND SECONDS [hold]
 *
 * Runs SESSIONS sessions against 127.0.0.1:PORT, PARALLEL at a time: greeting, EHLO, then MESSAGES times MAIL, RCPT (RECIPIENTS
 * times), DATA and content of LINES lines, then QUIT, 221, close. Each step waits for the whole reply of the one before; a reply of
 * any other code, anything behind a reply and an early close end the program with status 1. A line is 76 octets and CRLF, of KIND
 * "text" (words) or "base64". SECONDS bounds the whole.
 *
 * With "hold" all SESSIONS are opened, PARALLEL at a time, and stay after EHLO; the program prints "held" when the last one stands,
 * and goes on to QUIT (MESSAGES must be 0) when its standard input says so or ends.
 *
 * At the end one line of JSON: sessions, messages, octets of content (dot line included), seconds, and of the round trips of RCPT
 * (from before its send to its reply) the number, the median and the 99th percentile in nanoseconds.
 *
 * Clients bind to twenty addresses, 127.0.1.1 to 127.0.1.20. One thread, one epoll. SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, REPLY_SIZE = 4096, LINE = 78, BLOCK = LINE * 8192, SOURCES = 20 };
enum step { GREETING, EHLO, MAIL, RCPT, DATA, CONTENT, QUIT };

static const struct {
    const char *name, *text, *code; /* what is sent, and the reply code that must answer it */
} STEPS[] = {
    [GREETING] = {"greeting", "", "220"},
    [EHLO] = {"EHLO", "EHLO load.example\r\n", "250"},
    [MAIL] = {"MAIL", "MAIL FROM:<from@load.example>\r\n", "250"},
    [RCPT] = {"RCPT", "RCPT TO:<to@sink.example>\r\n", "250"},
    [DATA] = {"DATA", "DATA\r\n", "354"},
    [CONTENT] = {"content", "", "250"},
    [QUIT] = {"QUIT", "QUIT\r\n", "221"},
};

struct session {
    int fd;
    enum step step;
    bool blocked; /* content waits for room in the socket */
    long messages, recipients;
    size_t sent; /* octets of the content */
    size_t length;
    uint64_t asked; /* when RCPT was sent */
    char reply[REPLY_SIZE];
};

static long total, parallel, per_session, recipients, opened, standing, finished;
static unsigned long messages, octets;
static size_t body;            /* octets of one content, without its dot line */
static char block[BLOCK];      /* whole lines, repeated as often as the content needs */
static uint64_t *round_trips;
static size_t round_trip_count;
static bool hold, released;
static struct sockaddr_in target = {.sin_family = AF_INET};
static struct session **all;
static int poll_fd;

static void fail(const struct session *s, const char *what)
{
    fprintf(stderr, "load: %s at %s, %s; heard %zu octets: %.*s\n", what, STEPS[s->step].name, errno ? strerror(errno) : "no error",
            s->length, (int)s->length, s->reply);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fill_block(const char *kind)
{
    static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char *WORDS[] = {"mail", "order", "of", "the", "commands", "session", "is", "a", "relay", "message", "to", "kept"};
    uint32_t seed = 1;
    bool text = strcmp(kind, "text") == 0;
    const char *word = "";
    for (size_t i = 0; i < BLOCK; i++) {
        seed = seed * 1664525u + 1013904223u;
        if (i % LINE >= LINE - 2)
            block[i] = i % LINE == LINE - 2 ? '\r' : '\n';
        else if (!text)
            block[i] = BASE64[seed >> 26];
        else if (*word)
            block[i] = *word++;
        else {
            block[i] = i % LINE ? ' ' : 'x';
            word = WORDS[(seed >> 16) % 12];
        }
    }
}

static void watch(struct session *s, int operation, uint32_t events)
{
    struct epoll_event want = {.events = events, .data.ptr = s};
    if (epoll_ctl(poll_fd, operation, s->fd, &want) < 0)
        fail(s, "epoll_ctl");
}

/* The lines, then dot and CRLF; a small message is one send. */
static void send_content(struct session *s)
{
    static const char END[] = ".\r\n";
    char small[LINE * 60 + 3];
    size_t whole = body + 3;
    if (whole <= sizeof small) {
        memcpy(small, block, body);
        memcpy(small + body, END, 3);
    }
    while (s->sent < whole) {
        const char *from = END + (s->sent - body);
        size_t at = s->sent % BLOCK, room = whole - s->sent;
        if (whole <= sizeof small)
            from = small + s->sent;
        else if (s->sent < body) {
            from = block + at;
            room = body - s->sent < BLOCK - at ? body - s->sent : BLOCK - at;
        }
        ssize_t gone = send(s->fd, from, room, MSG_NOSIGNAL);
        if (gone < 0 && errno == EAGAIN)
            break;
        if (gone < 0)
            fail(s, "send");
        s->sent += (size_t)gone;
    }
    bool blocked = s->sent < whole;
    if (blocked != s->blocked)
        watch(s, EPOLL_CTL_MOD, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    s->blocked = blocked;
}

static void enter(struct session *s, enum step step)
{
    const char *text = STEPS[step].text;
    s->step = step;
    if (step == RCPT)
        s->asked = now();
    if (step == CONTENT) {
        s->sent = 0;
        send_content(s);
    } else if (send(s->fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        fail(s, "send");
}

static void open_session(void)
{
    struct session *s = calloc(1, sizeof *s);
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101u + (uint32_t)(opened % SOURCES))};
    int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        fail(s, "socket");
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(s->fd, (struct sockaddr *)&source, sizeof source) < 0)
        fail(s, "bind");
    if (connect(s->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)
        fail(s, "connect");
    all[opened++] = s;
    watch(s, EPOLL_CTL_ADD, EPOLLIN);
}

static void close_session(struct session *s)
{
    close(s->fd);
    free(s);
    finished++;
    if (!hold && opened < total)
        open_session();
}

static void stand(void)
{
    standing++;
    if (opened < total)
        open_session();
    if (standing < total)
        return;
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &want) < 0) {
        perror("load: standard input must be a pipe");
        exit(1);
    }
    printf("held\n");
    fflush(stdout);
}

static void release(void)
{
    epoll_ctl(poll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    released = true;
    for (long i = 0; i < total; i++)
        enter(all[i], QUIT);
}

/* The whole reply to the step is in: take the next step. */
static void proceed(struct session *s)
{
    if (s->step == RCPT) {
        round_trips[round_trip_count++] = now() - s->asked;
        s->recipients++;
    }
    if (s->step == CONTENT) {
        s->messages++;
        s->recipients = 0;
        messages++;
        octets += body + 3;
    }
    bool done = s->messages == per_session;
    switch (s->step) {
    case GREETING: enter(s, EHLO); break;
    case EHLO: hold ? stand() : enter(s, done ? QUIT : MAIL); break;
    case MAIL: enter(s, RCPT); break;
    case RCPT: enter(s, s->recipients < recipients ? RCPT : DATA); break;
    case DATA: enter(s, CONTENT); break;
    case CONTENT: enter(s, done ? QUIT : MAIL); break;
    case QUIT: close_session(s); break;
    }
}

static bool complete(const struct session *s)
{
    if (s->length < 6 || memcmp(s->reply + s->length - 2, "\r\n", 2) != 0)
        return false;
    const char *before = memrchr(s->reply, '\n', s->length - 1);
    const char *last = before ? before + 1 : s->reply;
    return last[3] == ' ';
}

static void listen_to(struct session *s)
{
    ssize_t got = recv(s->fd, s->reply + s->length, REPLY_SIZE - s->length, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail(s, got < 0 ? "recv" : "closed by the other side");
    s->length += (size_t)got;
    if (s->length >= 3 && memcmp(s->reply, STEPS[s->step].code, 3) != 0)
        fail(s, "wrong reply");
    if (s->blocked)
        fail(s, "reply before the end of content");
    if (!complete(s))
        return;
    const char *newline = memchr(s->reply, '\n', s->length);
    if (s->step != EHLO && newline != s->reply + s->length - 1)
        fail(s, "more than one line");
    s->length = 0;
    proceed(s);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(uint64_t began)
{
    uint64_t median = 0, worst = 0;
    double seconds = (double)(now() - began) / 1e9;
    qsort(round_trips, round_trip_count, sizeof *round_trips, by_size);
    if (round_trip_count) {
        median = round_trips[round_trip_count / 2];
        worst = round_trips[round_trip_count * 99 / 100];
    }
    printf("{\"sessions\": %ld, \"messages\": %lu, \"octets\": %lu, \"seconds\": %.6f, "
           "\"round_trips\": %zu, \"rcpt_p50_ns\": %lu, \"rcpt_p99_ns\": %lu}\n",
           finished, messages, octets, seconds, round_trip_count, (unsigned long)median, (unsigned long)worst);
}

int main(int argc, char **argv)
{
    struct epoll_event ready[BATCH];
    struct rlimit files;
    if (argc < 9 || (strcmp(argv[7], "text") && strcmp(argv[7], "base64"))) {
        fprintf(stderr, "usage: load PORT SESSIONS PARALLEL MESSAGES RECIPIENTS LINES text|base64 SECONDS [hold]\n");
        return 2;
    }
    target.sin_port = htons((uint16_t)atoi(argv[1]));
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    total = atol(argv[2]), parallel = atol(argv[3]), per_session = atol(argv[4]), recipients = atol(argv[5]);
    body = (size_t)atol(argv[6]) * LINE;
    alarm((unsigned)atoi(argv[8]));
    hold = argc > 9;
    fill_block(argv[7]);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    all = calloc((size_t)total, sizeof *all);
    round_trips = malloc((size_t)(total * per_session * recipients + 1) * sizeof *round_trips);
    poll_fd = epoll_create1(0);
    uint64_t began = now();
    while (opened < total && opened < parallel)
        open_session();
    while (finished < total) {
        int count = epoll_wait(poll_fd, ready, BATCH, -1);
        for (int i = 0; i < count; i++) {
            struct session *s = ready[i].data.ptr;
            errno = 0;
            if (!s)
                release();
            else if (s->blocked && ready[i].events & EPOLLOUT)
                send_content(s);
            else
                listen_to(s);
        }
    }
    report(began);
    return 0;
}
