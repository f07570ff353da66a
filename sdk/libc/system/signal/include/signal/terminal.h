// What ioctl() asks a terminal about sessions and groups.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

// TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSCTTY, TIOCNOTTY on a terminal's connection; -ABI_ENOTTY for
// all others. Weak where it is called: a program that starts no others has no job control, and each
// group is in front.
[[gnu::weak]] long signal_terminal_control(zx_handle_t terminal, uint64_t request, void* argument);
