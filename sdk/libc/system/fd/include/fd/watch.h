// What objects tell whoever watches them (wait/epoll.c). All are weak: a program without epoll does
// not get it by having descriptors.
#pragma once

#include <stdint.h>

struct fd_object;

// The last reference is gone; called before the object closes.
[[gnu::weak]] void watch_object_closed(struct fd_object* o);
// The program has read or written, or an event has come that no change of the object's signals
// shows: ABI_POLLIN, ABI_POLLOUT.
[[gnu::weak]] void watch_object_moved(struct fd_object* o, uint32_t events);
