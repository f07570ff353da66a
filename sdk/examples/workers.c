/*
 * A program as one writes it for Zircon, in C11, with its public headers alone: threads that sum
 * a shared VMO, asked over channels, watched through one port, started together by an event, and
 * given up at a timer's deadline. Then it tries what its handles do not allow.
 *
 *     workers [COUNT]     prints the sum; exit code 0 only if everything was as it should be
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/port.h>
#include <zircon/time.h>
#include <zircon/types.h>

#define MAX_WORKERS 16
#define WORDS       (256u * 1024u)
#define DATA_SIZE   (WORDS * sizeof(uint32_t))
#define STACK_SIZE  (64u * 1024u)

/* What the port's packets are about: a kind and the number of a worker. */
enum { KEY_ANSWER = 1, KEY_ENDED = 2, KEY_DEADLINE = 3 };
#define KEY(kind, worker) ((uint64_t)(kind) << 32 | (worker))

/* With the request travels a handle to the data; the answer has the same transaction id. */
struct request {
    zx_txid_t txid;
    uint32_t first_word;
    uint32_t word_count;
};

struct answer {
    zx_txid_t txid;
    zx_status_t status;
    uint64_t sum;
};

struct worker {
    zx_handle_t thread;
    zx_handle_t ours;   /* the channel's ends */
    zx_handle_t theirs; /* the worker's, which closes it */
    zx_vaddr_t stack;
    uint64_t sum;
};

static zx_handle_t start_event;
static struct worker workers[MAX_WORKERS];

static void check(zx_status_t status, zx_status_t expected, const char* what) {
    if (status != expected) {
        printf("workers: %s: %s, not %s\n", what, zx_status_get_string(status),
               zx_status_get_string(expected));
        zx_process_exit(1);
    }
}

static void must(zx_status_t status, const char* what) {
    check(status, ZX_OK, what);
}

/* ---- the workers: no C library on their small stacks ---- */

static zx_status_t sum_part(zx_handle_t data, const struct request* request, uint64_t* sum) {
    zx_vaddr_t at = 0;
    zx_status_t status =
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, data, 0, DATA_SIZE, &at);
    if (status != ZX_OK) {
        return status;
    }
    const uint32_t* words = (const uint32_t*)at;
    for (uint32_t i = 0; i < request->word_count; i++) {
        *sum += words[request->first_word + i];
    }
    return zx_vmar_unmap(zx_vmar_root_self(), at, DATA_SIZE);
}

/* Serves one request; an error ends the worker. */
static zx_status_t serve(zx_handle_t channel) {
    struct request request;
    zx_handle_t data = ZX_HANDLE_INVALID;
    uint32_t bytes = 0, handles = 0;
    zx_status_t status = zx_object_wait_one(channel, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                            ZX_TIME_INFINITE, NULL);
    if (status == ZX_OK) {
        status = zx_channel_read(channel, 0, &request, &data, sizeof(request), 1, &bytes, &handles);
    }
    if (status != ZX_OK) {
        return status; /* ZX_ERR_PEER_CLOSED: nobody wants anything more */
    }
    struct answer answer = {0, ZX_ERR_INVALID_ARGS, 0};
    if (bytes == sizeof(request) && handles == 1) {
        answer.txid = request.txid;
        answer.status = sum_part(data, &request, &answer.sum);
    }
    zx_handle_close(data);
    return zx_channel_write(channel, 0, &answer, sizeof(answer), NULL, 0);
}

static void worker_main(uintptr_t arg1, uintptr_t arg2) {
    zx_handle_t channel = (zx_handle_t)arg1;
    (void)arg2;
    zx_object_wait_one(start_event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, NULL);
    while (serve(channel) == ZX_OK) {
    }
    zx_handle_close(channel);
    zx_thread_exit();
}

static void worker_start(struct worker* worker, uint32_t number, zx_handle_t port) {
    zx_handle_t stack_vmo;
    must(zx_vmo_create(STACK_SIZE, 0, &stack_vmo), "a stack");
    must(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, stack_vmo, 0,
                     STACK_SIZE, &worker->stack),
         "mapping a stack");
    must(zx_handle_close(stack_vmo), "closing what stays mapped");
    must(zx_channel_create(0, &worker->ours, &worker->theirs), "a channel");
    must(zx_thread_create(zx_process_self(), "worker", strlen("worker"), 0, &worker->thread),
         "a thread");
    must(zx_object_wait_async(worker->ours, port, KEY(KEY_ANSWER, number), ZX_CHANNEL_READABLE,
                              ZX_WAIT_ASYNC_ONCE),
         "watching a channel");
    must(zx_object_wait_async(worker->thread, port, KEY(KEY_ENDED, number), ZX_THREAD_TERMINATED,
                              ZX_WAIT_ASYNC_ONCE),
         "watching a thread");
    /* As after a call, the stack pointer is 8 off a multiple of 16. */
    must(zx_thread_start(worker->thread, (zx_vaddr_t)worker_main, worker->stack + STACK_SIZE - 8,
                         worker->theirs, 0),
         "starting a thread");
}

/* ---- the main thread ---- */

static void ask(struct worker* worker, zx_handle_t data, struct request request) {
    zx_handle_t copy;
    must(zx_handle_duplicate(data, ZX_RIGHT_READ | ZX_RIGHT_MAP | ZX_RIGHT_TRANSFER, &copy),
         "a handle that can only be read through");
    must(zx_channel_write(worker->ours, 0, &request, sizeof(request), &copy, 1), "a request");
    check(zx_handle_close(copy), ZX_ERR_BAD_HANDLE, "a handle that was sent");
}

static void take_answer(struct worker* worker, uint32_t number) {
    struct answer answer;
    uint32_t bytes = 0, handles = 0;
    must(zx_channel_read(worker->ours, 0, &answer, NULL, sizeof(answer), 0, &bytes, &handles),
         "an answer");
    must(answer.status, "a worker's part");
    check(bytes == sizeof(answer) && answer.txid == number + 1 ? ZX_OK : ZX_ERR_INTERNAL, ZX_OK,
          "the answer to another question");
    worker->sum = answer.sum;
    must(zx_handle_close(worker->ours), "closing a channel"); /* the worker sees it and ends */
}

static void wait_for_all(zx_handle_t port, uint32_t count) {
    for (uint32_t open = 2 * count; open > 0; open--) {
        zx_port_packet_t packet;
        must(zx_port_wait(port, ZX_TIME_INFINITE, &packet), "the port");
        uint32_t number = (uint32_t)packet.key;
        switch (packet.key >> 32) {
        case KEY_ANSWER:
            check(packet.type == ZX_PKT_TYPE_SIGNAL_ONE ? ZX_OK : ZX_ERR_INTERNAL, ZX_OK, "packet");
            take_answer(&workers[number], number);
            break;
        case KEY_ENDED:
            must(zx_handle_close(workers[number].thread), "closing a thread");
            must(zx_vmar_unmap(zx_vmar_root_self(), workers[number].stack, STACK_SIZE), "a stack");
            break;
        default:
            check(ZX_ERR_TIMED_OUT, ZX_OK, "waiting for the workers");
        }
    }
}

static uint64_t fill(zx_handle_t data) {
    zx_vaddr_t at;
    must(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, data, 0, DATA_SIZE,
                     &at),
         "mapping the data");
    uint32_t* words = (uint32_t*)at;
    uint64_t sum = 0;
    zx_cprng_draw(words, DATA_SIZE);
    for (uint32_t i = 0; i < WORDS; i++) {
        sum += words[i];
    }
    must(zx_vmar_unmap(zx_vmar_root_self(), at, DATA_SIZE), "unmapping the data");
    return sum;
}

/* What a handle does not allow, and what is not there, is refused by name. */
static void try_refusals(zx_handle_t data) {
    zx_handle_t read_only, near, far, other;
    zx_vaddr_t at;
    uint32_t word = 0;
    must(zx_handle_duplicate(data, ZX_RIGHT_READ | ZX_RIGHT_MAP, &read_only), "a copy");
    check(zx_vmo_write(read_only, &word, 0, sizeof(word)), ZX_ERR_ACCESS_DENIED, "writing");
    check(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, read_only, 0,
                      DATA_SIZE, &at),
          ZX_ERR_ACCESS_DENIED, "mapping to write");
    check(zx_handle_duplicate(read_only, ZX_RIGHT_SAME_RIGHTS, &other), ZX_ERR_ACCESS_DENIED,
          "duplicating");
    check(zx_vmo_read(data, &word, DATA_SIZE, sizeof(word)), ZX_ERR_OUT_OF_RANGE, "past the end");
    check(zx_vmo_set_size(data, 0), ZX_ERR_UNAVAILABLE, "resizing");
    check(zx_object_signal(data, 0, ZX_USER_SIGNAL_0), ZX_OK, "a user signal");
    check(zx_object_wait_one(data, ZX_USER_SIGNAL_0, 0, NULL), ZX_OK, "waiting for what is there");
    check(zx_event_create(1, &other), ZX_ERR_INVALID_ARGS, "an option that does not exist");
    check(zx_channel_write(data, 0, NULL, 0, NULL, 0), ZX_ERR_WRONG_TYPE, "the wrong type");
    must(zx_handle_close(read_only), "closing");
    check(zx_handle_close(read_only), ZX_ERR_BAD_HANDLE, "closing twice");

    must(zx_channel_create(0, &near, &far), "a channel");
    check(zx_channel_read(near, 0, &word, NULL, sizeof(word), 0, NULL, NULL), ZX_ERR_SHOULD_WAIT,
          "an empty channel");
    must(zx_channel_write(far, 0, "last words", 10, NULL, 0), "writing");
    must(zx_handle_close(far), "closing");
    char text[16];
    uint32_t len = 0;
    check(zx_channel_read(near, 0, text, NULL, 4, 0, &len, NULL), ZX_ERR_BUFFER_TOO_SMALL,
          "4 of 10");
    must(zx_channel_read(near, 0, text, NULL, sizeof(text), 0, &len, NULL), "after the end");
    check(len == 10 && memcmp(text, "last words", 10) == 0 ? ZX_OK : ZX_ERR_INTERNAL, ZX_OK,
          "text");
    check(zx_channel_read(near, 0, text, NULL, sizeof(text), 0, &len, NULL), ZX_ERR_PEER_CLOSED,
          "nothing left");
    must(zx_handle_close(near), "closing");
}

/* A snapshot keeps what was, whatever is written to either side afterwards. */
static void try_snapshot(zx_handle_t data) {
    zx_handle_t copy;
    zx_info_vmo_t info;
    uint32_t before, after, mark;
    must(zx_vmo_read(data, &before, 4096, sizeof(before)), "reading");
    must(zx_vmo_create_child(data, ZX_VMO_CHILD_SNAPSHOT, 4096, 8192, &copy), "a snapshot");
    must(zx_object_get_info(data, ZX_INFO_VMO, &info, sizeof(info), NULL, NULL), "information");
    check(info.num_children == 1 ? ZX_OK : ZX_ERR_INTERNAL, ZX_OK, "one child");
    mark = ~before;
    must(zx_vmo_write(data, &mark, 4096, sizeof(mark)), "writing to the parent");
    must(zx_vmo_read(copy, &after, 0, sizeof(after)), "reading the child");
    check(after == before ? ZX_OK : ZX_ERR_INTERNAL, ZX_OK, "the snapshot");
    must(zx_handle_close(copy), "closing the child");
    must(zx_object_wait_one(data, ZX_VMO_ZERO_CHILDREN, zx_deadline_after(ZX_SEC(10)), NULL),
         "the last child's end");
}

int main(int argc, char** argv) {
    uint32_t count = argc > 1 ? (uint32_t)strtoull(argv[1], NULL, 10) : 4;
    if (count < 1 || count > MAX_WORKERS) {
        printf("usage: workers [1 to %d]\n", MAX_WORKERS);
        return 2;
    }
    zx_handle_t port, data, timer;
    must(zx_port_create(0, &port), "a port");
    must(zx_event_create(0, &start_event), "an event");
    must(zx_vmo_create(DATA_SIZE, 0, &data), "a VMO");
    must(zx_object_set_property(data, ZX_PROP_NAME, "data", 4), "a name");
    must(zx_timer_create(ZX_TIMER_SLACK_LATE, ZX_CLOCK_MONOTONIC, &timer), "a timer");
    must(zx_timer_set(timer, zx_deadline_after(ZX_SEC(30)), ZX_MSEC(1)), "a deadline");
    must(zx_object_wait_async(timer, port, KEY(KEY_DEADLINE, 0), ZX_TIMER_SIGNALED, 0), "watching");

    uint64_t expected = fill(data);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = WORDS / count * i;
        struct request request = {i + 1, first, i + 1 < count ? WORDS / count : WORDS - first};
        worker_start(&workers[i], i, port);
        ask(&workers[i], data, request);
    }
    must(zx_object_signal(start_event, 0, ZX_EVENT_SIGNALED), "the start");
    wait_for_all(port, count);

    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += workers[i].sum;
    }
    check(sum == expected ? ZX_OK : ZX_ERR_IO_DATA_INTEGRITY, ZX_OK, "the sum");
    try_refusals(data);
    try_snapshot(data);
    must(zx_timer_cancel(timer), "the timer");
    check(zx_port_cancel(port, timer, KEY(KEY_DEADLINE, 0)), ZX_OK, "the wait for the timer");
    zx_handle_t left[] = {port, start_event, data, timer};
    must(zx_handle_close_many(left, sizeof(left) / sizeof(left[0])), "closing what is left");
    printf("%u workers agree on the sum\n", count);
    return 0;
}
