// The bootstrap message of the process: its strings, and its startup handles by the word they came
// under (<jacinth/startup.h>).
//
// Read once, before there is a second thread; taking handles is for the main thread at start-up, so
// there is no lock. Compiled without stack protector: crt0 calls it while %fs is 0.

#include <crt0/message.h>

// What programs call, also out of the shared C library.
#pragma GCC visibility push(default)
#include <jacinth/startup.h>
#pragma GCC visibility pop

#include <zircon/syscalls.h>

constexpr uint32_t HANDLES_MAX = ZX_CHANNEL_MAX_MSG_HANDLES;

static struct {
    alignas(
        8) char message[ZX_CHANNEL_MAX_MSG_BYTES]; // demand-zero: only what is used becomes memory
    zx_handle_t handles[HANDLES_MAX];
    struct processargs args;
} startup;

static size_t length_of(const char* s) {
    size_t n = 0;
    while (s[n] != '\0') {
        n++;
    }
    return n;
}

// The next message of the channel. Null, or what is wrong.
static const char* read_next(zx_handle_t bootstrap) {
    uint32_t bytes = 0;
    uint32_t handles = 0;
    zx_status_t status = zx_channel_read(bootstrap, 0, startup.message, startup.handles,
                                         sizeof(startup.message), HANDLES_MAX, &bytes, &handles);
    if (status != ZX_OK) {
        return "no bootstrap message";
    }
    return processargs_parse(startup.message, bytes, handles, &startup.args) == PROCESSARGS_OK
               ? nullptr
               : "malformed bootstrap message";
}

const struct processargs* crt0_message_read(zx_handle_t bootstrap, const char** problem) {
    *problem = read_next(bootstrap);
    if (*problem != nullptr) {
        return nullptr;
    }
    (void)zx_handle_close(bootstrap);
    return &startup.args;
}

const char* crt0_loader_message_read(zx_handle_t bootstrap, struct crt0_loader_message* out) {
    const char* problem = read_next(bootstrap);
    if (problem != nullptr) {
        return problem;
    }
    out->program = zx_take_startup_handle(PA_HND(PA_VMO_EXECUTABLE, 0));
    out->loader = zx_take_startup_handle(PA_HND(PA_LDSVC_LOADER, 0));
    (void)zx_handle_close_many(startup.handles, startup.args.handle_count);
    return out->program != ZX_HANDLE_INVALID ? nullptr : "no program to link";
}

// The first one that was not taken: several may have come under one word.
static zx_handle_t* find_handle(uint32_t info) {
    for (uint32_t i = 0; i < startup.args.handle_count; i++) {
        if (startup.args.handle_infos[i] == info && startup.handles[i] != ZX_HANDLE_INVALID) {
            return &startup.handles[i];
        }
    }
    return nullptr;
}

static zx_handle_t handle_of(uint32_t type) {
    zx_handle_t* h = find_handle(PA_HND(type, 0));
    return h != nullptr ? *h : ZX_HANDLE_INVALID;
}

zx_handle_t zx_take_startup_handle(uint32_t info) {
    zx_handle_t* h = find_handle(info);
    if (h == nullptr) {
        return ZX_HANDLE_INVALID;
    }
    zx_handle_t taken = *h;
    *h = ZX_HANDLE_INVALID;
    return taken;
}

zx_handle_t zx_take_startup_handle_of_type(uint32_t type, uint32_t* argument) {
    for (uint32_t i = 0; i < startup.args.handle_count; i++) {
        uint32_t info = startup.args.handle_infos[i];
        if (PA_HND_TYPE(info) == type && startup.handles[i] != ZX_HANDLE_INVALID) {
            *argument = PA_HND_ARG(info);
            return zx_take_startup_handle(info);
        }
    }
    return ZX_HANDLE_INVALID;
}

void zx_put_startup_handle(uint32_t info, zx_handle_t handle) {
    zx_handle_t* h = nullptr;
    for (uint32_t i = 0; i < startup.args.handle_count && h == nullptr; i++) {
        bool empty = startup.handles[i] == ZX_HANDLE_INVALID;
        h = empty && startup.args.handle_infos[i] == info ? &startup.handles[i] : nullptr;
    }
    if (h != nullptr) {
        *h = handle;
    } else {
        (void)zx_handle_close(handle); // nobody could find it
    }
}

const char* zx_startup_name(uint32_t index) {
    if (index >= startup.args.names.count) {
        return nullptr;
    }
    const char* name = startup.args.names.first;
    for (uint32_t i = 0; i < index; i++) {
        name += length_of(name) + 1;
    }
    return name;
}

zx_handle_t zx_process_self(void) {
    return handle_of(PA_PROC_SELF);
}
zx_handle_t zx_thread_self(void) {
    return handle_of(PA_THREAD_SELF);
}
zx_handle_t zx_vmar_root_self(void) {
    return handle_of(PA_VMAR_ROOT);
}
zx_handle_t crt0_vmar_loaded(void) {
    return handle_of(PA_VMAR_LOADED);
}
zx_handle_t zx_job_default(void) {
    return handle_of(PA_JOB_DEFAULT);
}
zx_handle_t zx_vmo_vdso(void) {
    return handle_of(PA_VMO_VDSO);
}
