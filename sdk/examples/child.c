// Started by spawn.c and spawn_service.c: says what it was given.
#include <stdio.h>
#include <stdlib.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

int main(int argc, char** argv) {
    for (int i = 1; i < argc; i++) {
        printf("argument %d: %s\n", i, argv[i]);
    }
    const char* color = getenv("COLOR");
    printf("COLOR is %s\n", color != NULL ? color : "not set");
    zx_handle_t event = zx_take_startup_handle(PA_HND(PA_USER0, 0));
    zx_status_t status = zx_object_signal(event, 0, ZX_EVENT_SIGNALED);
    printf("the event: %s\n", status == ZX_OK ? "signalled" : "not there");
    return 3;
}
