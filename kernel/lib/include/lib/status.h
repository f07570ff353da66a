// The kernel's result type: the public status codes as an enum that must not be dropped.
#pragma once

#include <stdint.h>

#include <zircon/errors.h>

typedef enum [[nodiscard("check the status")]] status : int32_t {
    STATUS_OK = ZX_OK,
    STATUS_INTERNAL = ZX_ERR_INTERNAL,
    STATUS_NOT_SUPPORTED = ZX_ERR_NOT_SUPPORTED,
    STATUS_NO_RESOURCES = ZX_ERR_NO_RESOURCES,
    STATUS_NO_MEMORY = ZX_ERR_NO_MEMORY,
    STATUS_INTR_RETRY = ZX_ERR_INTERNAL_INTR_RETRY,
    STATUS_INVALID_ARGS = ZX_ERR_INVALID_ARGS,
    STATUS_BAD_HANDLE = ZX_ERR_BAD_HANDLE,
    STATUS_WRONG_TYPE = ZX_ERR_WRONG_TYPE,
    STATUS_BAD_SYSCALL = ZX_ERR_BAD_SYSCALL,
    STATUS_OUT_OF_RANGE = ZX_ERR_OUT_OF_RANGE,
    STATUS_BUFFER_TOO_SMALL = ZX_ERR_BUFFER_TOO_SMALL,
    STATUS_BAD_STATE = ZX_ERR_BAD_STATE,
    STATUS_TIMED_OUT = ZX_ERR_TIMED_OUT,
    STATUS_SHOULD_WAIT = ZX_ERR_SHOULD_WAIT,
    STATUS_CANCELED = ZX_ERR_CANCELED,
    STATUS_PEER_CLOSED = ZX_ERR_PEER_CLOSED,
    STATUS_NOT_FOUND = ZX_ERR_NOT_FOUND,
    STATUS_ALREADY_EXISTS = ZX_ERR_ALREADY_EXISTS,
    STATUS_ALREADY_BOUND = ZX_ERR_ALREADY_BOUND,
    STATUS_UNAVAILABLE = ZX_ERR_UNAVAILABLE,
    STATUS_ACCESS_DENIED = ZX_ERR_ACCESS_DENIED,
    STATUS_IO = ZX_ERR_IO,
    STATUS_IO_DATA_INTEGRITY = ZX_ERR_IO_DATA_INTEGRITY,
    STATUS_FILE_BIG = ZX_ERR_FILE_BIG,
    STATUS_NO_SPACE = ZX_ERR_NO_SPACE,
    STATUS_STOP = ZX_ERR_STOP,
    STATUS_NEXT = ZX_ERR_NEXT,
    // Kernel-private: the thread was killed while it waited. Never reaches user mode, because a
    // killed thread does not return there.
    STATUS_INTR_KILLED = -502,
} status_t;

// The only macro that returns.
#define TRY(expr)                       \
    do {                                \
        status_t try_status_ = (expr);  \
        if (try_status_ != STATUS_OK) { \
            return try_status_;         \
        }                               \
    } while (0)
