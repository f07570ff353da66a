// Calls between two processes.

#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

#include "bench.h"

static char out_buffer[1024];
static char in_buffer[1024];

// ---- the partner ----

static void serve_classic(zx_handle_t channel) {
    for (;;) {
        zx_signals_t observed;
        (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                 ZX_TIME_INFINITE, &observed);
        uint32_t bytes;
        if (zx_channel_read(channel, 0, in_buffer, nullptr, sizeof(in_buffer), 0, &bytes,
                            nullptr) != ZX_OK) {
            return;
        }
        // The answer carries the question's transaction id.
        (void)zx_channel_write(channel, 0, in_buffer, bytes, nullptr, 0);
    }
}

static void serve_combined(zx_handle_t channel) {
    zx_channel_call_args_t args = {
        .wr_bytes = in_buffer, .rd_bytes = in_buffer, .rd_num_bytes = sizeof(in_buffer)};
    uint32_t options = ZX_CHANNEL_REPLY_WAIT_SKIP_REPLY;
    uint32_t bytes;
    uint32_t handles;
    while (zx_channel_reply_wait(channel, options, ZX_TIME_INFINITE, &args, &bytes, &handles) ==
           ZX_OK) {
        args.wr_num_bytes = bytes;
        options = 0;
    }
}

bool bench_serve(const char* mode) {
    zx_handle_t channel = zx_take_startup_handle(PA_HND(PA_USER0, 0));
    if (strcmp(mode, "classic") == 0) {
        serve_classic(channel);
        return true;
    }
    if (strcmp(mode, "canary") == 0) {
        storm_serve(channel);
        return true;
    }
    if (strcmp(mode, "combined") == 0) {
        serve_combined(channel);
        return true;
    }
    return false;
}

// ---- the caller ----

struct caller {
    zx_handle_t channel;
    uint32_t size;
};

static void call(void* arg) {
    const struct caller* c = arg;
    zx_channel_call_args_t args = {.wr_bytes = out_buffer,
                                   .rd_bytes = in_buffer,
                                   .wr_num_bytes = c->size,
                                   .rd_num_bytes = sizeof(in_buffer)};
    uint32_t bytes;
    uint32_t handles;
    bench_check(zx_channel_call(c->channel, 0, ZX_TIME_INFINITE, &args, &bytes, &handles), "call");
}

void bench_ipc(void) {
    zx_handle_t process;
    struct caller c = {.channel = bench_partner("classic", &process), .size = 64};
    bench_row("8", call, &c);
    c.size = 1024;
    bench_row("10", call, &c);
    bench_check(zx_handle_close(c.channel), "close");
    bench_check(zx_handle_close(process), "close");
    c = (struct caller){.channel = bench_partner("combined", &process), .size = 64};
    bench_row("9", call, &c);
    bench_check(zx_handle_close(c.channel), "close");
    bench_check(zx_handle_close(process), "close");
}
