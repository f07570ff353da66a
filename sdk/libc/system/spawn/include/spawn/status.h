// How a process ended: from the kernel's return code to the word that waitpid() answers.
#pragma once

#include <stdint.h>

#include <zircon/syscalls/exception.h>

// A program of this library that ends by the default action of signal n exits with this code minus
// n. (The kernel's own are -1024 and a few below; exit() gives 0 to 255.)
constexpr int64_t spawn_retcode_signal = -2000;
// It was replaced by exec(): its parent finds the new process on the channel of signals.
constexpr int64_t spawn_retcode_replaced = -3000;

constexpr int spawn_signal_max = 64;

static inline int64_t spawn_retcode_of_signal(int signal) {
    return spawn_retcode_signal - signal;
}

// `by`: the exception that ended it, where that is known; null: it is not, or it was none. `sent`:
// the signal whose default action the parent carried out by killing it; 0: none.
int spawn_status(int64_t retcode, const zx_exception_report_t* by, int sent);

static inline int spawn_status_exited(int code) {
    return (code & 0xff) << 8;
}
static inline int spawn_status_signaled(int signal) {
    return signal;
}
// It did not end but was stopped, or goes on.
static inline int spawn_status_stopped(int signal) {
    return signal << 8 | 0x7f;
}
static inline bool spawn_status_is_stop(int status) {
    return (status & 0xff) == 0x7f;
}
constexpr int spawn_status_continued = 0xffff;
// The signal that ended it; 0: it exited.
static inline int spawn_status_signal(int status) {
    return status & 0x7f;
}
static inline int spawn_status_code(int status) {
    return status >> 8 & 0xff;
}
