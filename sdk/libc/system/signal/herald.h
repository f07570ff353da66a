// The thread that hears of signals from outside while the program does something else: from the
// parent's channel, the terminal, the alarm clock, children that end. It posts them (signal.h).
//
// It starts when the program first asks for something of that kind; a program that leaves its
// signals alone has no such thread. It runs no handler and allocates nothing: musl does not know of
// it, and takes a process that has not called pthread_create() for one without threads.
#pragma once

#include <libc/abi.h>
#include <zircon/types.h>

// Before main: takes the channel that the parent gave.
void herald_init(void);

// What the program handles, ignores or blocks has changed: tells the parent which signals are to be
// sent as messages, and sees to it that somebody reads them. 0, or an errno negated if the thread
// could not be made: then the parent is told nothing, and default actions stay.
long herald_update(void);

// The program looks for signals, or waits for some: what its starter has announced (ignored or
// blocked ones) may lie in the channel, and is heard from now on.
void herald_listen(void);

// Alarm clocks: SIGALRM, SIGVTALRM, SIGPROF. The last two count what the process has run: the
// kernel does not tell what of that was in user mode, so both count all.
enum : int { HERALD_REAL, HERALD_VIRTUAL, HERALD_PROF, HERALD_ALARMS };
// At that time of its clock, from then on each `interval_ns` (0: once). ZX_TIME_INFINITE: no more.
struct herald_alarm {
    zx_time_t at;
    zx_duration_t interval_ns;
};
long herald_set_alarm(int which, const struct herald_alarm* alarm, struct herald_alarm* old);
struct herald_alarm herald_alarm(int which);
// The clock.
zx_time_t herald_alarm_now(int which);

// A signal with a handler is pending for a thread that may compute without asking: it is stopped
// and made to run it. (A program that cannot have a herald goes on as if it had none: the thread
// notices in its next operation.)
void herald_chase(void);
// Exceptions of the process are heard from now on: those that have a handler run it. 0, or an errno
// negated.
long herald_hear_faults(void);
// Whether the calling thread is the herald.
bool herald_is_self(void);

// The terminal's events arrive here (Terminal.SetController); takes the handle.
long herald_set_controller(zx_handle_t pair);
// The terminal's other end is there.
bool herald_has_controller(void);

// For exec(): nothing is read from the parent's channel until it is released again, and what has
// been read is posted.
void herald_hold_channel(void);
void herald_release_channel(void);
// How many messages of the parent's were read.
uint64_t herald_heard(void);
// The channel from the parent, for a program that takes this one's place. It stays the herald's.
zx_handle_t herald_channel(void);
