#include "collect.h"

#include <stddef.h>
#include <stdio.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

zx_status_t child_io_make(struct child_io* io) {
    zx_status_t status = zx_socket_create(ZX_SOCKET_STREAM, &io->output, &io->their_output);
    if (status == ZX_OK) {
        status = zx_handle_duplicate(io->their_output, ZX_RIGHT_SAME_RIGHTS, &io->their_errors);
    }
    if (status == ZX_OK) {
        status = zx_event_create(0, &io->event);
    }
    if (status == ZX_OK) {
        status = zx_handle_duplicate(io->event, ZX_RIGHT_SAME_RIGHTS, &io->their_event);
    }
    return status;
}

// Each line with a mark, so that one sees who says it.
static void show(const char* text, size_t len) {
    static bool in_line;
    for (size_t i = 0; i < len; i++) {
        if (!in_line) {
            printf("child| ");
        }
        putchar(text[i]);
        in_line = text[i] != '\n';
    }
}

int child_io_show(struct child_io* io, zx_handle_t process) {
    char text[256];
    size_t len;
    zx_status_t status = ZX_OK;
    while (status == ZX_OK) {
        status = zx_socket_read(io->output, 0, text, sizeof(text), &len);
        if (status == ZX_OK) {
            show(text, len);
        } else if (status == ZX_ERR_SHOULD_WAIT) {
            // The child's ends are all closed when it has ended.
            status = zx_object_wait_one(io->output, ZX_SOCKET_READABLE | ZX_SOCKET_PEER_CLOSED,
                                        ZX_TIME_INFINITE, NULL);
        }
    }
    zx_info_process_t info = {};
    zx_signals_t seen = 0;
    zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, NULL);
    zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), NULL, NULL);
    zx_object_wait_one(io->event, ZX_EVENT_SIGNALED, 0, &seen);
    printf("it returned %lld, the event is %s\n", (long long)info.return_code,
           (seen & ZX_EVENT_SIGNALED) != 0 ? "signalled" : "not signalled");
    return 0;
}
