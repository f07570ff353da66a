// Calls of the small objects: events, eventpairs, ports, timers, resources and I/O ports.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/exception.h>

#include <arch/port_io.h>
#include <lib/string.h>
#include <object/event.h>
#include <object/io_ports.h>
#include <object/port.h>
#include <object/process.h>
#include <object/resource.h>
#include <object/timer_object.h>

#include "impl_priv.h"

status_t sys_event_create(uint32_t options, struct user_out_handle* out) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct object* o;
    TRY(event_create(&o));
    out->handle = handle_make(o, ZX_DEFAULT_EVENT_RIGHTS);
    return STATUS_OK;
}

status_t sys_eventpair_create(uint32_t options, struct user_out_handle* out0,
                              struct user_out_handle* out1) {
    if (options != 0) {
        return STATUS_NOT_SUPPORTED; // unlike events
    }
    struct object* a;
    struct object* b;
    TRY(eventpair_create(&a, &b));
    out0->handle = handle_make(a, ZX_DEFAULT_EVENTPAIR_RIGHTS);
    out1->handle = handle_make(b, ZX_DEFAULT_EVENTPAIR_RIGHTS);
    return STATUS_OK;
}

// ---- ports ----

status_t sys_port_create(uint32_t options, struct user_out_handle* out) {
    if ((options & ~ZX_PORT_BIND_TO_INTERRUPT) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct port* p;
    TRY(port_create(options, &p));
    out->handle = handle_make(port_object(p), ZX_DEFAULT_PORT_RIGHTS);
    return STATUS_OK;
}

status_t sys_port_queue(struct port* port, const zx_port_packet_t* packet) {
    status_t status = port_queue_user(port, packet);
    return likely(status != STATUS_NO_RESOURCES)
               ? status
               : policy_exception(ZX_EXCP_POLICY_CODE_PORT_TOO_MANY_PACKETS, STATUS_SHOULD_WAIT);
}

status_t sys_port_wait(struct port* port, zx_time_t deadline, zx_port_packet_t* packet) {
    return port_wait(port, deadline, packet);
}

status_t sys_port_cancel(struct port* port, struct object* source, const void* source_identity,
                         zx_handle_t, uint64_t key) {
    if (!source->ops->waitable) {
        return STATUS_NOT_SUPPORTED;
    }
    return port_cancel(port, source, source_identity, key);
}

status_t sys_port_cancel_key(struct port* port, uint32_t options, uint64_t key) {
    return options == 0 ? port_cancel_key(port, key) : STATUS_INVALID_ARGS;
}

// ---- timers ----

status_t sys_timer_create(uint32_t options, zx_clock_t clock_id, struct user_out_handle* out) {
    if (options > ZX_TIMER_SLACK_LATE ||
        (clock_id != ZX_CLOCK_MONOTONIC && clock_id != ZX_CLOCK_BOOT)) {
        return STATUS_INVALID_ARGS;
    }
    struct timer_object* t;
    TRY(timer_object_create((enum timer_slack)options, clock_id, &t));
    out->handle = handle_make(timer_object_base(t), ZX_DEFAULT_TIMER_RIGHTS);
    return STATUS_OK;
}

status_t sys_timer_set(struct timer_object* timer, zx_time_t deadline, zx_duration_t slack) {
    if (slack < 0) {
        return STATUS_OUT_OF_RANGE;
    }
    timer_object_set(timer, deadline, slack);
    return STATUS_OK;
}

status_t sys_timer_cancel(struct timer_object* timer) {
    timer_object_cancel(timer);
    return STATUS_OK;
}

// ---- resources ----

status_t sys_resource_create(struct resource* parent, uint32_t options, uint64_t base, size_t size,
                             const char __user* name, size_t name_size,
                             struct user_out_handle* out) {
    char text[ZX_MAX_NAME_LEN];
    TRY(copy_name(text, name, name_size));
    struct resource* r;
    TRY(resource_create(parent, options, base, size, text, strlen(text), &r));
    out->handle = handle_make(resource_object(r), ZX_DEFAULT_RESOURCE_RIGHTS);
    return STATUS_OK;
}

// ---- I/O ports ----

static status_t check_ports(const struct resource* r, uint16_t first, uint32_t count) {
    if (count == 0 || count > PORT_COUNT - first) {
        return STATUS_INVALID_ARGS;
    }
    TRY(resource_check(r, ZX_RSRC_KIND_IOPORT, first, count));
    return arch_ports_claimed(first, count) ? STATUS_ACCESS_DENIED : STATUS_OK;
}

status_t sys_ioports_request(struct resource* resource, uint16_t io_addr, uint32_t len) {
    TRY(check_ports(resource, io_addr, len));
    return io_ports_grant(process_io_ports(process_current()), io_addr, len);
}

status_t sys_ioports_release(struct resource* resource, uint16_t io_addr, uint32_t len) {
    TRY(check_ports(resource, io_addr, len));
    io_ports_revoke(process_io_ports(process_current()), io_addr, len);
    return STATUS_OK;
}
