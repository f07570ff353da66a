// A thread that waits for a pager cannot be called back, so it is not ours that waits but a
// helper's: a thread that does nothing but this one system call, into a buffer of its own. One that
// does not come back in time is left alone, with its handle of the process, until it does (at the
// latest when that pager ends); the next space takes another. With all of them stuck nothing is
// read.
//
// A helper and the user's thread hand its fields to each other by `state`.
#include "reader.h"

#include <stdatomic.h>
#include <string.h>

#include <zircon/process.h>
#include <zircon/syscalls.h>

constexpr uint32_t HELPERS_MAX = 4;
constexpr size_t PIECE = 4096;

typedef enum helper_state : int { // whose the fields are
    HELPER_OURS,                  // no thread yet, or it waits for a question
    HELPER_ITS,
    HELPER_DONE, // ours, with an answer
} helper_state_t;

struct helper {
    _Atomic int state; // of helper_state_t; a futex
    bool has_thread;
    zx_handle_t process; // while a space, or the helper, needs it
    uint64_t at;
    size_t len, got;
    zx_status_t status;
    uint8_t bytes[PIECE];
    alignas(16) uint8_t stack[4096];
};

static struct {
    struct helper helpers[HELPERS_MAX];
    struct helper* current; // null: none for this space
    zx_time_t end;          // of this space's patience; 0: nothing was read yet
    bool has_failed;
} reader; // the user's thread, but for what is a helper's

static void set_state(struct helper* h, helper_state_t state) {
    atomic_store(&h->state, state);
    (void)zx_futex_wake((zx_futex_t*)&h->state, 1);
}

static void help(uintptr_t arg, uintptr_t) {
    struct helper* h = (struct helper*)arg;
    for (;;) {
        int state = atomic_load(&h->state);
        if (state == HELPER_ITS) {
            h->status = zx_process_read_memory(h->process, h->at, h->bytes, h->len, &h->got);
            set_state(h, HELPER_DONE);
        } else {
            (void)zx_futex_wait((zx_futex_t*)&h->state, state, ZX_HANDLE_INVALID, ZX_TIME_INFINITE);
        }
    }
}

static bool start(struct helper* h) {
    zx_handle_t thread;
    if (h->has_thread) {
        return true;
    }
    if (zx_thread_create(zx_process_self(), "reader", 6, 0, &thread) != ZX_OK) {
        return false;
    }
    // As after a call: a multiple of 16, less the return address.
    uintptr_t top = (uintptr_t)h->stack + sizeof(h->stack) - 8;
    h->has_thread = zx_thread_start(thread, (zx_vaddr_t)help, top, (uintptr_t)h, 0) == ZX_OK;
    (void)zx_handle_close(thread);
    return h->has_thread;
}

static void let_go(struct helper* h) {
    (void)zx_handle_close(h->process);
    h->process = ZX_HANDLE_INVALID;
    atomic_store(&h->state, HELPER_OURS);
}

void reader_begin(zx_handle_t process) {
    reader.current = nullptr;
    reader.end = 0;
    reader.has_failed = false;
    for (uint32_t i = 0; i < HELPERS_MAX && reader.current == nullptr; i++) {
        struct helper* h = &reader.helpers[i];
        if (atomic_load(&h->state) == HELPER_ITS) {
            continue; // stuck
        }
        let_go(h); // what it was stuck with has come
        if (start(h) && zx_handle_duplicate(process, ZX_RIGHT_SAME_RIGHTS, &h->process) == ZX_OK) {
            reader.current = h;
        }
    }
    reader.has_failed = reader.current == nullptr;
}

// False: the time is over.
static bool wait_for(struct helper* h) {
    while (atomic_load(&h->state) == HELPER_ITS) {
        if (zx_futex_wait((zx_futex_t*)&h->state, HELPER_ITS, ZX_HANDLE_INVALID, reader.end) ==
            ZX_ERR_TIMED_OUT) {
            return atomic_load(&h->state) == HELPER_DONE;
        }
    }
    return true;
}

static size_t read_piece(uint64_t at, uint8_t* to, size_t len) {
    struct helper* h = reader.current;
    if (reader.has_failed) {
        return 0;
    }
    if (reader.end == 0) {
        reader.end = zx_deadline_after(READER_WAIT);
    }
    h->at = at;
    h->len = len;
    h->got = 0;
    set_state(h, HELPER_ITS);
    if (!wait_for(h)) {
        reader.has_failed = true;
        reader.current = nullptr; // it keeps the process's handle
        return 0;
    }
    if (h->status != ZX_OK) {
        return 0;
    }
    memcpy(to, h->bytes, h->got);
    return h->got;
}

size_t reader_read(uint64_t at, void* to, size_t len) {
    size_t done = 0;
    while (done < len) {
        size_t want = len - done < PIECE ? len - done : PIECE;
        size_t got = read_piece(at + done, (uint8_t*)to + done, want);
        done += got;
        if (got < want) {
            break;
        }
    }
    return done;
}

bool reader_end(void) {
    if (reader.current != nullptr) {
        let_go(reader.current);
    }
    return !reader.has_failed;
}
