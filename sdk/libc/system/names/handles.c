// The handles behind paths and descriptors (<jacinth/namespace.h>).
#include <jacinth/namespace.h>

#include <errno.h>

#include <fd/table.h>
#include <libc/thread_block.h>
#include <zircon/syscalls.h>

#include "names_priv.h"

// These are called by programs, not by musl, which counts otherwise (<libc/thread_record.h>).
static void begin(void) {
    thread_record_go_inside(thread_block_self()->record);
}

static int answer(long result) {
    thread_record_go_outside(thread_block_self()->record);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return 0;
}

int jacinth_open_executable(const char* path, zx_handle_t* vmo, uint64_t* size) {
    begin();
    return answer(names_get_program(ABI_AT_FDCWD, path, vmo, size));
}

struct connect_request {
    struct names_request base;
    zx_handle_t channel;
};

// Asked a second time (the directory was renewed), the channel is gone: the first directory got it.
static zx_status_t ask_connect(struct names_request* r, zx_handle_t directory, const char* path,
                               size_t len) {
    struct connect_request* c = (struct connect_request*)r;
    zx_handle_t channel = c->channel;
    c->channel = ZX_HANDLE_INVALID;
    return channel != ZX_HANDLE_INVALID ? io_connect(directory, path, len, channel)
                                        : ZX_ERR_PEER_CLOSED;
}

static long nobody_there(struct names_request*, const struct names_target*) {
    return -ABI_ENXIO;
}

int jacinth_connect(const char* path, zx_handle_t request) {
    struct connect_request r = {.base = {.ask = ask_connect, .here = nobody_there},
                                .channel = request};
    begin();
    long result = names_request(ABI_AT_FDCWD, path, &r.base);
    (void)zx_handle_close(r.channel); // not used up: the path led nowhere
    return answer(result);
}

int jacinth_fd_get_vmo(int fd, int protection, zx_handle_t* vmo) {
    begin();
    NAMES_REF o = nullptr;
    long result = fd_table_get_ref(fd_table(), fd, &o);
    if (result == 0) {
        result = o->ops->get_vmo(o, (uint32_t)protection, vmo);
    }
    return answer(result);
}
