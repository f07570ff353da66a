// See loader.h.
#include "loader.h"

#include <string.h>

#include <fd/file.h>
#include <fd/table.h>
#include <fidl/channel.h>
#include <fidl/fuchsia.ldsvc.h>
#include <libc/abi.h>
#include <libc/error.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

constexpr zx_duration_t PATIENCE = ZX_SEC(10); // as long as the launcher service waits

// musl's lock of the dynamic linker guards it.
static struct {
    zx_handle_t service;
    long gone; // the answer to all further questions; 0: it answers itself
} loader;

void dl_set_loader(zx_handle_t service) {
    loader.service = service;
}

static long call_error(zx_status_t status) {
    switch (status) {
    case ZX_ERR_TIMED_OUT:
        return -ABI_ETIMEDOUT;
    case ZX_ERR_PEER_CLOSED:
        return -ABI_ECONNRESET;
    case ZX_ERR_IO_INVALID:
        return -ABI_EPROTO;
    default:
        return errno_from_status(status);
    }
}

// Its channel may hold an answer that comes late: no question follows one that failed.
static long give_up(long error) {
    (void)zx_handle_close(loader.service);
    loader.service = ZX_HANDLE_INVALID;
    loader.gone = error;
    return error;
}

static long ask(const char* name, zx_handle_t* out) {
    struct fuchsia_ldsvc_loader_load_object_request request = {
        .object_name = {.count = strlen(name), .data = (char*)name}};
    alignas(8) char bytes[1024];
    void* response;
    zx_status_t status = fidl_call(loader.service, zx_deadline_after(PATIENCE),
                                   &fuchsia_ldsvc_loader_load_object_method, &request,
                                   (struct fidl_storage){bytes, sizeof(bytes)}, &response);
    if (status != ZX_OK) {
        return give_up(call_error(status));
    }
    struct fuchsia_ldsvc_loader_load_object_response* answer = response;
    *out = fidl_take(&answer->object);
    if ((*out != ZX_HANDLE_INVALID) != (answer->rv == ZX_OK)) {
        (void)zx_handle_close(*out);
        return give_up(-ABI_EPROTO);
    }
    return errno_from_status(answer->rv);
}

int dl_open_library(const char* name) {
    if (loader.service == ZX_HANDLE_INVALID) {
        return (int)(loader.gone != 0 ? loader.gone : -ABI_ENOENT);
    }
    zx_handle_t vmo;
    struct fd_object* file;
    long result = ask(name, &vmo);
    if (result == 0) {
        result = fd_file_of_memory(vmo, &file);
    }
    if (result == 0) {
        result = fd_table_add(fd_table(), file, 0, ABI_FD_CLOEXEC);
    }
    return (int)result;
}
