// Sends its first argument through a channel to itself, and says what arrived.
#include <stdio.h>
#include <string.h>

#include <zircon/syscalls.h>

int main(int argc, char** argv) {
    const char* text = argc > 1 ? argv[1] : "nothing to say";
    zx_handle_t near, far;
    char got[64];
    uint32_t len;
    if (zx_channel_create(0, &near, &far) != ZX_OK ||
        zx_channel_write(near, 0, text, (uint32_t)strlen(text), NULL, 0) != ZX_OK ||
        zx_channel_read(far, 0, got, NULL, sizeof(got), 0, &len, NULL) != ZX_OK) {
        return 1;
    }
    printf("%u bytes came through the channel: %.*s\n", len, (int)len, got);
    return 0;
}
