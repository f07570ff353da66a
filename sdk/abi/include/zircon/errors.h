// Status codes: what a system call answers. Zero is success, every error is negative, and the
// numbers are fixed for ever. A call's reference page says which of them it returns and when.
#pragma once

#define ZX_OK (0)

// The kernel or the caller is at fault.
#define ZX_ERR_INTERNAL      (-1) // a broken invariant inside the kernel
#define ZX_ERR_NOT_SUPPORTED (-2) // the operation does not exist for this object or machine
#define ZX_ERR_NO_RESOURCES  (-3) // something other than memory ran out
#define ZX_ERR_NO_MEMORY     (-4) // memory ran out
// Never seen by programs: the vDSO repeats the call.
#define ZX_ERR_INTERNAL_INTR_RETRY (-6)

// Wrong parameters.
#define ZX_ERR_INVALID_ARGS     (-10)
#define ZX_ERR_BAD_HANDLE       (-11) // the value names no handle of this process
#define ZX_ERR_WRONG_TYPE       (-12) // the object is of another type
#define ZX_ERR_BAD_SYSCALL      (-13)
#define ZX_ERR_OUT_OF_RANGE     (-14)
#define ZX_ERR_BUFFER_TOO_SMALL (-15)

// The state of the object forbids it, or the event did not happen.
#define ZX_ERR_BAD_STATE      (-20)
#define ZX_ERR_TIMED_OUT      (-21)
#define ZX_ERR_SHOULD_WAIT    (-22)
#define ZX_ERR_CANCELED       (-23)
#define ZX_ERR_PEER_CLOSED    (-24)
#define ZX_ERR_NOT_FOUND      (-25)
#define ZX_ERR_ALREADY_EXISTS (-26)
#define ZX_ERR_ALREADY_BOUND  (-27)
#define ZX_ERR_UNAVAILABLE    (-28)

// The handle lacks a right, or policy forbids it.
#define ZX_ERR_ACCESS_DENIED (-30)

// Input and output.
#define ZX_ERR_IO                 (-40)
#define ZX_ERR_IO_REFUSED         (-41)
#define ZX_ERR_IO_DATA_INTEGRITY  (-42)
#define ZX_ERR_IO_DATA_LOSS       (-43)
#define ZX_ERR_IO_NOT_PRESENT     (-44)
#define ZX_ERR_IO_OVERRUN         (-45)
#define ZX_ERR_IO_MISSED_DEADLINE (-46)
#define ZX_ERR_IO_INVALID         (-47)

// File systems.
#define ZX_ERR_BAD_PATH  (-50)
#define ZX_ERR_NOT_DIR   (-51)
#define ZX_ERR_NOT_FILE  (-52)
#define ZX_ERR_FILE_BIG  (-53)
#define ZX_ERR_NO_SPACE  (-54)
#define ZX_ERR_NOT_EMPTY (-55)

// Control flow of callbacks; the kernel returns none of them.
#define ZX_ERR_STOP  (-60)
#define ZX_ERR_NEXT  (-61)
#define ZX_ERR_ASYNC (-62)

// Networking.
#define ZX_ERR_PROTOCOL_NOT_SUPPORTED (-70)
#define ZX_ERR_ADDRESS_UNREACHABLE    (-71)
#define ZX_ERR_ADDRESS_IN_USE         (-72)
#define ZX_ERR_NOT_CONNECTED          (-73)
#define ZX_ERR_CONNECTION_REFUSED     (-74)
#define ZX_ERR_CONNECTION_RESET       (-75)
#define ZX_ERR_CONNECTION_ABORTED     (-76)

// Inside the kernel and the vDSO only: a killed thread leaves its wait.
#define ZX_ERR_INTERNAL_INTR_KILLED (-502)

// X(NAME) for every code a program can meet, in order: the source of names for printing.
#define ZX_STATUS_LIST(X)         \
    X(ERR_INTERNAL)               \
    X(ERR_NOT_SUPPORTED)          \
    X(ERR_NO_RESOURCES)           \
    X(ERR_NO_MEMORY)              \
    X(ERR_INTERNAL_INTR_RETRY)    \
    X(ERR_INVALID_ARGS)           \
    X(ERR_BAD_HANDLE)             \
    X(ERR_WRONG_TYPE)             \
    X(ERR_BAD_SYSCALL)            \
    X(ERR_OUT_OF_RANGE)           \
    X(ERR_BUFFER_TOO_SMALL)       \
    X(ERR_BAD_STATE)              \
    X(ERR_TIMED_OUT)              \
    X(ERR_SHOULD_WAIT)            \
    X(ERR_CANCELED)               \
    X(ERR_PEER_CLOSED)            \
    X(ERR_NOT_FOUND)              \
    X(ERR_ALREADY_EXISTS)         \
    X(ERR_ALREADY_BOUND)          \
    X(ERR_UNAVAILABLE)            \
    X(ERR_ACCESS_DENIED)          \
    X(ERR_IO)                     \
    X(ERR_IO_REFUSED)             \
    X(ERR_IO_DATA_INTEGRITY)      \
    X(ERR_IO_DATA_LOSS)           \
    X(ERR_IO_NOT_PRESENT)         \
    X(ERR_IO_OVERRUN)             \
    X(ERR_IO_MISSED_DEADLINE)     \
    X(ERR_IO_INVALID)             \
    X(ERR_BAD_PATH)               \
    X(ERR_NOT_DIR)                \
    X(ERR_NOT_FILE)               \
    X(ERR_FILE_BIG)               \
    X(ERR_NO_SPACE)               \
    X(ERR_NOT_EMPTY)              \
    X(ERR_STOP)                   \
    X(ERR_NEXT)                   \
    X(ERR_ASYNC)                  \
    X(ERR_PROTOCOL_NOT_SUPPORTED) \
    X(ERR_ADDRESS_UNREACHABLE)    \
    X(ERR_ADDRESS_IN_USE)         \
    X(ERR_NOT_CONNECTED)          \
    X(ERR_CONNECTION_REFUSED)     \
    X(ERR_CONNECTION_RESET)       \
    X(ERR_CONNECTION_ABORTED)     \
    X(ERR_INTERNAL_INTR_KILLED)
