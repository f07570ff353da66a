// The PS/2 keyboard, by asking its controller a hundred times a second: there are no
// interrupts for programs yet. Only where there is a screen to type at.
#pragma once

#include <async/loop.h>
#include <console/keys.h>
#include <zircon/types.h>

struct keyboard {
    struct async_loop* loop;
    void (*typed)(void* ctx, const uint8_t* bytes, size_t count);
    void (*scroll)(void* ctx, bool up);
    void* ctx;

    bool works;
    struct keys keys;
    struct async_task poll;
};

// `ports`: the resource for the controller's ports, which is gone. NOT_FOUND: there is no
// controller.
zx_status_t keyboard_start(struct keyboard* k, zx_handle_t ports);
