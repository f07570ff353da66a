// How abort() of the C library ends a program: by `int JACINTH_ABORT_TRAP`, which no program may
// execute. That is a general protection fault whose error code says which interrupt it was: an
// exception like others, with a crash report, that whoever sees it (crash reporter, debugger,
// parent) can tell from others.
#pragma once

#define JACINTH_ABORT_TRAP 0x29
// The error code of the exception: the gate's index, and that it is a gate.
#define JACINTH_ABORT_ERROR (JACINTH_ABORT_TRAP * 8 + 2)
// QEMU up to 7.2 counts gates in long mode as twice as wide.
#define JACINTH_ABORT_ERROR_WIDE (JACINTH_ABORT_TRAP * 16 + 2)

#define JACINTH_IS_ABORT(vector, error_code) \
    ((vector) == 13 &&                       \
     ((error_code) == JACINTH_ABORT_ERROR || (error_code) == JACINTH_ABORT_ERROR_WIDE))
