// Two processes and a channel: this one starts echo_server and calls it.
#include <stdio.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

#include "start.h"

// The kernel puts the number of the call into the first four bytes, and finds the answer by it.
static zx_status_t call(zx_handle_t server, const char* text) {
    char request[64] = {0};
    char reply[64];
    uint32_t len = (uint32_t)strlen(text);
    memcpy(request + sizeof(zx_txid_t), text, len);
    zx_channel_call_args_t args = {.wr_bytes = request,
                                   .wr_num_bytes = (uint32_t)sizeof(zx_txid_t) + len,
                                   .rd_bytes = reply,
                                   .rd_num_bytes = sizeof(reply)};
    uint32_t reply_len;
    uint32_t reply_handles;
    zx_status_t status =
        zx_channel_call(server, 0, ZX_TIME_INFINITE, &args, &reply_len, &reply_handles);
    if (status == ZX_OK) {
        printf("client: %s -> %.*s\n", text, (int)(reply_len - sizeof(zx_txid_t)),
               reply + sizeof(zx_txid_t));
        fflush(stdout);
    }
    return status;
}

int main(int argc, char** argv) {
    (void)argc;
    zx_handle_t ours;
    zx_handle_t theirs;
    zx_handle_t process;
    zx_status_t status = zx_channel_create(0, &ours, &theirs);
    if (status == ZX_OK) {
        struct launch_handle handles[] = {{PA_HND(PA_USER0, 0), theirs}};
        status = start_beside(argv[0], "echo_server", NULL, handles, 1, zx_job_default(), &process);
    }
    if (status == ZX_OK) {
        status = call(ours, "one");
    }
    if (status == ZX_OK) {
        status = call(ours, "two words");
    }
    if (status != ZX_OK) {
        return 1;
    }
    zx_handle_close(ours); // the server ends when there is nobody left to serve
    return (int)wait_for(process);
}
