// The kernel's log, from the oldest record that is still there.
#include <stdio.h>
#include <string.h>

#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/log.h>

#include "tool.h"
#include "tools.h"

static const char* severity_name(uint8_t severity) {
    switch (severity) {
    case ZX_LOG_TRACE:
        return "trace";
    case ZX_LOG_DEBUG:
        return "debug";
    case ZX_LOG_INFO:
        return "info";
    case ZX_LOG_WARNING:
        return "warning";
    case ZX_LOG_ERROR:
        return "error";
    case ZX_LOG_FATAL:
        return "fatal";
    default:
        return "?";
    }
}

static void print_record(const zx_log_record_t* r) {
    size_t len = r->datalen <= ZX_LOG_RECORD_DATA_MAX ? r->datalen : ZX_LOG_RECORD_DATA_MAX;
    while (len > 0 && r->data[len - 1] == '\n') {
        len--;
    }
    uint64_t us = (uint64_t)r->timestamp / 1000;
    printf("[%5llu.%06llu] %llu.%llu %s: ", (unsigned long long)us / 1'000'000,
           (unsigned long long)us % 1'000'000, (unsigned long long)r->pid,
           (unsigned long long)r->tid, severity_name(r->severity));
    for (size_t i = 0; i < len; i++) {
        char ch = r->data[i];
        printf("%c", (ch >= ' ' && ch <= '~') || ch == '\t' ? ch : '?');
    }
    printf("\n");
}

static zx_status_t open_log(zx_handle_t* out) {
    alignas(8) uint8_t buffer[64];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_system_log_open_response* answer;
    zx_handle_t service;
    zx_status_t status = tool_connect("jacinth.system.Log", &service);
    if (status == ZX_OK) {
        status = jacinth_system_log_open_call(service, ZX_TIME_INFINITE, storage, &answer);
    }
    if (status == ZX_OK) {
        *out = answer->log;
    }
    return status;
}

int dmesg_main(int argc, char** argv) {
    static const char usage[] = "dmesg [-f]";
    if (tool_wants_help(argc, argv, usage)) {
        printf("SECONDS PROCESS.THREAD SEVERITY: TEXT. -f: goes on with what comes.\n");
        return 0;
    }
    bool follow = argc == 2 && strcmp(argv[1], "-f") == 0;
    if (argc != 1 && !follow) {
        return tool_bad_usage(usage);
    }
    zx_handle_t log;
    zx_status_t status = open_log(&log);
    uint64_t next = 0;
    while (status == ZX_OK) {
        alignas(zx_log_record_t) char buffer[ZX_LOG_RECORD_MAX];
        zx_status_t got = zx_debuglog_read(log, 0, buffer, sizeof(buffer));
        if (got == ZX_ERR_SHOULD_WAIT && follow) {
            (void)fflush(stdout);
            status = zx_object_wait_one(log, ZX_LOG_READABLE, ZX_TIME_INFINITE, nullptr);
            continue;
        }
        if (got <= 0) {
            status = got;
            break;
        }
        const zx_log_record_t* record = (const zx_log_record_t*)buffer;
        if (record->sequence > next) {
            printf("(%llu records are gone)\n", (unsigned long long)(record->sequence - next));
        }
        next = record->sequence + 1;
        print_record(record);
    }
    return status == ZX_ERR_SHOULD_WAIT ? 0 : tool_failed("dmesg", "the log", status);
}
