// Packets of a port: 48 bytes, a key chosen by whoever registered, a type, and 32 bytes by type.
#pragma once

#include <zircon/compiler.h>
#include <zircon/types.h>

__BEGIN_CDECLS

// Options of zx_object_wait_async.
#define ZX_WAIT_ASYNC_ONCE           ((uint32_t)0u)
#define ZX_WAIT_ASYNC_TIMESTAMP      ((uint32_t)1u) // the packet carries the monotonic time
#define ZX_WAIT_ASYNC_EDGE           ((uint32_t)2u) // only a signal that rises from now on
#define ZX_WAIT_ASYNC_BOOT_TIMESTAMP ((uint32_t)4u) // the packet carries the boot time

// Option of zx_port_create.
#define ZX_PORT_BIND_TO_INTERRUPT ((uint32_t)1u << 0)

typedef uint32_t zx_packet_type_t;
#define ZX_PKT_TYPE_USER         ((zx_packet_type_t)0x00u)
#define ZX_PKT_TYPE_SIGNAL_ONE   ((zx_packet_type_t)0x01u)
#define ZX_PKT_TYPE_GUEST_BELL   ((zx_packet_type_t)0x03u)
#define ZX_PKT_TYPE_GUEST_MEM    ((zx_packet_type_t)0x04u)
#define ZX_PKT_TYPE_GUEST_IO     ((zx_packet_type_t)0x05u)
#define ZX_PKT_TYPE_GUEST_VCPU   ((zx_packet_type_t)0x06u)
#define ZX_PKT_TYPE_INTERRUPT    ((zx_packet_type_t)0x07u)
#define ZX_PKT_TYPE_PAGE_REQUEST ((zx_packet_type_t)0x09u)

#define ZX_PKT_IS_USER(type)         ((type) == ZX_PKT_TYPE_USER)
#define ZX_PKT_IS_SIGNAL_ONE(type)   ((type) == ZX_PKT_TYPE_SIGNAL_ONE)
#define ZX_PKT_IS_INTERRUPT(type)    ((type) == ZX_PKT_TYPE_INTERRUPT)
#define ZX_PKT_IS_PAGE_REQUEST(type) ((type) == ZX_PKT_TYPE_PAGE_REQUEST)

// zx_packet_page_request_t.command
#define ZX_PAGER_VMO_READ     ((uint16_t)0)
#define ZX_PAGER_VMO_COMPLETE ((uint16_t)1)
#define ZX_PAGER_VMO_DIRTY    ((uint16_t)2)

typedef union zx_packet_user {
    uint64_t u64[4];
    uint32_t u32[8];
    uint16_t u16[16];
    uint8_t c8[32];
} zx_packet_user_t;
ZX_ABI_SIZE(zx_packet_user_t, 32);

typedef struct zx_packet_signal {
    zx_signals_t trigger;  // what was waited for
    zx_signals_t observed; // what was there
    uint64_t count;
    zx_time_t timestamp;
    uint64_t reserved1;
} zx_packet_signal_t;
ZX_ABI_SIZE(zx_packet_signal_t, 32);

typedef struct zx_packet_interrupt {
    zx_time_t timestamp;
    uint64_t reserved0;
    uint64_t reserved1;
    uint64_t reserved2;
} zx_packet_interrupt_t;
ZX_ABI_SIZE(zx_packet_interrupt_t, 32);

typedef struct zx_packet_page_request {
    uint16_t command;
    uint16_t flags;
    uint32_t reserved0;
    uint64_t offset;
    uint64_t length;
    uint64_t reserved1;
} zx_packet_page_request_t;
ZX_ABI_SIZE(zx_packet_page_request_t, 32);

typedef struct zx_port_packet {
    uint64_t key;
    zx_packet_type_t type;
    zx_status_t status;
    __extension__ union {
        zx_packet_user_t user;
        zx_packet_signal_t signal;
        zx_packet_interrupt_t interrupt;
        zx_packet_page_request_t page_request;
    };
} zx_port_packet_t;
ZX_ABI_SIZE(zx_port_packet_t, 48);
ZX_ABI_OFFSET(zx_port_packet_t, user, 16);

__END_CDECLS
