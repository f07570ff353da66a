// The other half of echo.c: answers each message of its channel with the same bytes, in capitals.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

// The first four bytes are the call's number: they go back as they came.
enum { NUMBER = sizeof(zx_txid_t) };

static zx_status_t answer(zx_handle_t channel) {
    char message[256];
    uint32_t len;
    zx_status_t status = zx_channel_read(channel, 0, message, NULL, sizeof(message), 0, &len, NULL);
    if (status != ZX_OK || len < NUMBER) {
        return status != ZX_OK ? status : ZX_ERR_INVALID_ARGS;
    }
    for (uint32_t i = NUMBER; i < len; i++) {
        message[i] = (char)toupper((unsigned char)message[i]);
    }
    return zx_channel_write(channel, 0, message, len, NULL, 0);
}

int main(void) {
    zx_handle_t channel = zx_take_startup_handle(PA_HND(PA_USER0, 0));
    zx_status_t status = ZX_OK;
    while (status == ZX_OK) {
        zx_signals_t seen;
        status = zx_object_wait_one(channel, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                    ZX_TIME_INFINITE, &seen);
        if (status == ZX_OK) {
            // What was written before the client went away can still be read.
            status = (seen & ZX_CHANNEL_READABLE) != 0 ? answer(channel) : ZX_ERR_PEER_CLOSED;
        }
    }
    printf("server: the client is gone\n");
    return status == ZX_ERR_PEER_CLOSED ? 0 : 1;
}
