// Starts the tally service as init would, and uses it: tally-client NUMBER...
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <fidl/example.tally.h>
#include <io/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

// *offers: the directory of what it offers.
static zx_status_t start_service(zx_handle_t* offers, zx_handle_t* process) {
    zx_handle_t theirs;
    const char* args[] = {"tally"};
    struct launch_vdso vdso;
    struct launch_request request = {.job = zx_job_default(),
                                     .name = "tally",
                                     .vdso = &vdso,
                                     .args = args,
                                     .arg_count = 1,
                                     .handle_count = 1};
    zx_status_t status =
        bootsvc_open(bootsvc_startup(), "bin/tally", &request.file.vmo, &request.file.len);
    if (status == ZX_OK) {
        status = launch_vdso_init(&vdso, zx_vmo_vdso()).status;
    }
    if (status == ZX_OK) {
        status = zx_channel_create(0, offers, &theirs);
    }
    if (status == ZX_OK) {
        struct launch_handle handle = {PA_HND(PA_DIRECTORY_REQUEST, 0), theirs};
        request.handles = &handle;
        status = launch(&request, process).status;
    }
    return status;
}

static zx_status_t add(zx_handle_t service, int64_t number) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct example_tally_tally_add_request request = {.number = number};
    struct example_tally_tally_add_response* response;
    zx_status_t status =
        example_tally_tally_add_call(service, ZX_TIME_INFINITE, &request, storage, &response);
    if (status == ZX_OK) {
        printf("the sum is %lld\n", (long long)response->sum);
    } else {
        printf("adding %lld: %s\n", (long long)number, zx_status_get_string(status));
    }
    (void)fflush(stdout);
    return status;
}

int main(int argc, char** argv) {
    static constexpr char name[] = "example.tally.Tally";
    zx_handle_t offers, process, service, theirs;
    zx_status_t status = start_service(&offers, &process);
    if (status == ZX_OK) {
        status = zx_channel_create(0, &service, &theirs);
    }
    if (status == ZX_OK) {
        status = io_connect(offers, name, strlen(name), theirs);
    }
    if (status != ZX_OK) {
        printf("no service: %s\n", zx_status_get_string(status));
        return EXIT_FAILURE;
    }
    for (int i = 1; i < argc; i++) {
        (void)add(service, strtoll(argv[i], nullptr, 10));
    }
    (void)zx_handle_close(service);
    (void)zx_handle_close(offers); // the service ends
    status = zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr);
    return status == ZX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
