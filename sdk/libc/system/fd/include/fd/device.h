// Devices that need nobody: what they do is known from which they are. To a child they travel as an
// event on which the user signal of that number is raised.
#pragma once

#include <fd/object.h>

enum fd_device : uint32_t {
    FD_DEVICE_NULL,
    FD_DEVICE_ZERO,
    FD_DEVICE_RANDOM,
    FD_DEVICE_FULL,
    FD_DEVICE_DEBUG, // the kernel's debug console, for writing only: no input, no server
    FD_DEVICES,
};

// `flags`: ABI_O_*.
long fd_device_new(enum fd_device which, uint32_t flags, struct fd_object** out);
// What stat() says of such a device, opened or not.
void fd_device_stat(enum fd_device which, struct abi_stat* out);
// Consumes the event.
long fd_device_from_event(zx_handle_t event, struct fd_object** out);
