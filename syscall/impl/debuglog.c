// Debug log calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/log.h>

#include <lib/string.h>
#include <object/debuglog.h>
#include <object/process.h>

static_assert(LOG_DATA_MAX == ZX_LOG_RECORD_DATA_MAX);

status_t sys_debuglog_create(struct resource*, uint32_t options, struct user_out_handle* out) {
    if ((options & ~ZX_LOG_FLAG_READABLE) != 0) {
        return STATUS_INVALID_ARGS;
    }
    bool readable = options != 0;
    struct debuglog* d;
    TRY(debuglog_create(readable, &d));
    zx_rights_t rights = ZX_DEFAULT_LOG_RIGHTS | (readable ? ZX_RIGHT_READ : 0);
    out->handle = handle_make(debuglog_object(d), rights);
    return STATUS_OK;
}

status_t sys_debuglog_write(struct debuglog*, uint32_t options, const void __user* buffer,
                            size_t buffer_size) {
    UNINITIALIZED char text[ZX_LOG_RECORD_DATA_MAX];
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    size_t n = min(buffer_size, sizeof(text));
    if (arch_copy_from_user(text, buffer, n) != 0) {
        return STATUS_INVALID_ARGS;
    }
    log_write(LOG_INFO, 0, process_object(process_current())->koid, thread_current()->tid, text, n);
    return STATUS_OK;
}

// The record's public form; its length.
static size_t encode(const struct log_record* r, uint8_t out[ZX_LOG_RECORD_MAX]) {
    const zx_log_record_t head = {.sequence = r->sequence,
                                  .datalen = r->length,
                                  .severity = r->severity,
                                  .flags = r->flags,
                                  .timestamp = r->time_ns,
                                  .pid = r->process_koid,
                                  .tid = r->thread_koid};
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), r->data, r->length);
    return sizeof(head) + r->length;
}

// Success is the length: a positive status.
status_t sys_debuglog_read(struct debuglog* log, uint32_t options, void __user* buffer,
                           size_t buffer_size) {
    UNINITIALIZED struct log_record record;
    UNINITIALIZED uint8_t bytes[ZX_LOG_RECORD_MAX];
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    if (buffer_size < sizeof(zx_log_record_t)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    TRY(debuglog_read(log, buffer_size - sizeof(zx_log_record_t), &record));
    size_t length = encode(&record, bytes);
    if (arch_copy_to_user(buffer, bytes, length) != 0) {
        debuglog_unread(log, record.sequence);
        return STATUS_INVALID_ARGS;
    }
    return (status_t)length;
}
