// The bootstrap message of a new process.
#include <stdlib.h>

#include <processargs/processargs.h>
#include <zircon/syscalls.h>

#include "launcher_priv.h"

constexpr size_t SMALL_MESSAGE = 2048; // enough for almost every launch

void launch_close_handles(struct launch_handle* handles, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        (void)zx_handle_close(handles[i].handle);
        handles[i].handle = ZX_HANDLE_INVALID;
    }
}

static struct launch_result write_message(zx_handle_t channel, const struct launch_message* m,
                                          const void* bytes, size_t len) {
    zx_handle_disposition_t dispositions[ZX_CHANNEL_MAX_MSG_HANDLES];
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->own_count; i++) {
        dispositions[count++] = (zx_handle_disposition_t){.operation = ZX_HANDLE_OP_DUPLICATE,
                                                          .handle = m->own[i].handle,
                                                          .rights = ZX_RIGHT_SAME_RIGHTS};
    }
    for (uint32_t i = 0; i < m->moved_count; i++) {
        dispositions[count++] = (zx_handle_disposition_t){.operation = ZX_HANDLE_OP_MOVE,
                                                          .handle = m->moved[i].handle,
                                                          .rights = ZX_RIGHT_SAME_RIGHTS};
        m->moved[i].handle = ZX_HANDLE_INVALID; // gone, even when the call fails
    }
    return launch_step(LAUNCH_SEND_MESSAGE,
                       zx_channel_write_etc(channel, 0, bytes, (uint32_t)len, dispositions, count));
}

struct launch_result launch_send(zx_handle_t channel, const struct launch_message* m) {
    const struct launch_request* r = m->strings;
    uint32_t infos[ZX_CHANNEL_MAX_MSG_HANDLES];
    if (m->own_count > ZX_CHANNEL_MAX_MSG_HANDLES ||
        m->moved_count > ZX_CHANNEL_MAX_MSG_HANDLES - m->own_count) {
        return launch_failure(LAUNCH_TOO_MANY_HANDLES, ZX_ERR_OUT_OF_RANGE);
    }
    for (uint32_t i = 0; i < m->own_count; i++) {
        infos[i] = m->own[i].info;
    }
    for (uint32_t i = 0; i < m->moved_count; i++) {
        infos[m->own_count + i] = m->moved[i].info;
    }
    struct processargs_input in = {.handle_infos = infos,
                                   .handle_count = m->own_count + m->moved_count,
                                   .args = r->args,
                                   .arg_count = r->arg_count,
                                   .environ = r->environ,
                                   .environ_count = r->environ_count,
                                   .names = r->names,
                                   .name_count = r->name_count};
    alignas(8) char small[SMALL_MESSAGE];
    size_t len;
    if (processargs_build(&in, small, sizeof(small), &len) == PROCESSARGS_OK) {
        return write_message(channel, m, small, len);
    }
    char* large = malloc(ZX_CHANNEL_MAX_MSG_BYTES);
    if (large == nullptr) {
        return launch_failure(LAUNCH_NO_MEMORY, ZX_ERR_NO_MEMORY);
    }
    struct launch_result result = launch_failure(LAUNCH_TOO_MANY_STRINGS, ZX_ERR_OUT_OF_RANGE);
    if (processargs_build(&in, large, ZX_CHANNEL_MAX_MSG_BYTES, &len) == PROCESSARGS_OK) {
        result = write_message(channel, m, large, len);
    }
    free(large);
    return result;
}
