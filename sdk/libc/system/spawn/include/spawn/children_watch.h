// What other modules ask about children, without being linked with all of spawn: weak.
#pragma once

#include <signal/signal.h>
#include <zircon/types.h>

// What children that were waited for have run.
[[gnu::weak]] int64_t spawn_children_run_ns(void);

// From now on each child, also those that there are, sends a packet with its pid as key when its
// process ends. Again: nothing happens.
[[gnu::weak]] void spawn_watch_children(zx_handle_t port);
// Such a packet has come. True: a child has ended, and *info says how. (A process that execed ends,
// too, and the child lives on in another.)
[[gnu::weak]] bool spawn_child_changed(int pid, struct signal_info* info);

// sigqueue() for a child. -ABI_ESRCH: there is none with this pid; -ABI_EAGAIN: it has no room.
struct signal_message;
[[gnu::weak]] long spawn_send_value(int pid, const struct signal_message* message);
