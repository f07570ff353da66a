// Watches a child that crashes and starts it again, three times. The child runs in a job of its
// own, whose exception channel says what happened before the kernel ends the process. (The program
// starts itself as the child.)
#include <stdio.h>
#include <stdlib.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/exception.h>

#include "start.h"

enum { STARTS = 3 };

// Crashes, but for the last time.
static int child(const char* number) {
    int start = atoi(number);
    printf("child %d runs\n", start);
    fflush(stdout);
    if (start < STARTS) {
        *(volatile int*)8 = 1;
    }
    return 0;
}

static zx_status_t read_exception(zx_handle_t channel) {
    zx_exception_info_t info;
    zx_handle_t exception;
    uint32_t len;
    uint32_t count;
    zx_status_t status =
        zx_channel_read(channel, 0, &info, &exception, sizeof(info), 1, &len, &count);
    if (status != ZX_OK) {
        return status;
    }
    printf("supervisor: exception %#x\n", info.type);
    // The thread waits until the exception is closed. If nothing is done until then, it is offered
    // to the next one up (the system's crash reporter); here the process is ended, and nobody else
    // hears of it.
    zx_handle_t process;
    status = zx_exception_get_process(exception, &process);
    if (status == ZX_OK) {
        status = zx_task_kill(process);
        zx_handle_close(process);
    }
    zx_handle_close(exception);
    return status;
}

// Until the process has ended; exceptions are looked at on the way.
static zx_status_t watch(zx_handle_t process, zx_handle_t channel) {
    for (;;) {
        zx_wait_item_t items[] = {
            {.handle = channel, .waitfor = ZX_CHANNEL_READABLE},
            {.handle = process, .waitfor = ZX_PROCESS_TERMINATED},
        };
        zx_status_t status = zx_object_wait_many(items, 2, ZX_TIME_INFINITE);
        if (status == ZX_OK && (items[0].pending & ZX_CHANNEL_READABLE) != 0) {
            status = read_exception(channel);
        } else if (status == ZX_OK) {
            return ZX_OK;
        }
        if (status != ZX_OK) {
            return status;
        }
    }
}

static zx_status_t supervise(const char* path0, zx_handle_t job, zx_handle_t channel) {
    for (int i = 1; i <= STARTS; i++) {
        char number[16];
        zx_handle_t process;
        snprintf(number, sizeof(number), "%d", i);
        zx_status_t status = start_beside(path0, "supervisor", number, NULL, 0, job, &process);
        if (status == ZX_OK) {
            status = watch(process, channel);
        }
        if (status != ZX_OK) {
            return status;
        }
        int64_t code = wait_for(process);
        zx_handle_close(process);
        printf("supervisor: start %d ended with %lld\n", i, (long long)code);
        fflush(stdout);
        if (code == 0) {
            return ZX_OK;
        }
    }
    return ZX_ERR_BAD_STATE;
}

int main(int argc, char** argv) {
    if (argc > 1) {
        return child(argv[1]);
    }
    zx_handle_t job;
    zx_handle_t channel;
    zx_status_t status = zx_job_create(zx_job_default(), 0, &job);
    if (status == ZX_OK) {
        status = zx_task_create_exception_channel(job, 0, &channel);
    }
    if (status == ZX_OK) {
        status = supervise(argv[0], job, channel);
    }
    return status == ZX_OK ? 0 : 1;
}
