// The kernel's debug log, record by record.
#pragma once

#include <zircon/compiler.h>
#include <zircon/types.h>

__BEGIN_CDECLS

__extension__ typedef struct zx_log_record {
    uint64_t sequence; // one more than the record before it; a gap means records were lost
    uint8_t padding1[4];
    uint16_t datalen;
    uint8_t severity;
    uint8_t flags;
    zx_time_t timestamp;
    uint64_t pid;
    uint64_t tid;
    char data[];
} zx_log_record_t;
ZX_ABI_SIZE(zx_log_record_t, 40);
ZX_ABI_OFFSET(zx_log_record_t, timestamp, 16);

#define ZX_LOG_RECORD_MAX      ((size_t)256)
#define ZX_LOG_RECORD_DATA_MAX (ZX_LOG_RECORD_MAX - sizeof(zx_log_record_t))

// Severities.
#define ZX_LOG_TRACE   (0x10)
#define ZX_LOG_DEBUG   (0x20)
#define ZX_LOG_INFO    (0x30)
#define ZX_LOG_WARNING (0x40)
#define ZX_LOG_ERROR   (0x50)
#define ZX_LOG_FATAL   (0x60)

#define ZX_LOG_LOCAL      (0x10)
#define ZX_LOG_FLAGS_MASK (0x10)

// Option of zx_debuglog_create.
#define ZX_LOG_FLAG_READABLE 0x40000000u

__END_CDECLS
