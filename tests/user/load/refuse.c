// Tries to start programs that no loader may accept: refuse PATH...
//
// Prints for each the name of the error; ends with 1 if one of them was accepted.
#include <stdio.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

// True: it was refused.
static bool try_path(const char* path, const struct launch_vdso* vdso) {
    struct launch_file file = {};
    zx_status_t status = bootsvc_open(bootsvc_startup(), path, &file.vmo, &file.len);
    if (status != ZX_OK) {
        printf("%s %s\n", path, zx_status_get_string(status));
        return false;
    }
    struct launch_request request = {
        .job = zx_job_default(), .name = path, .file = file, .vdso = vdso};
    zx_handle_t process = ZX_HANDLE_INVALID;
    struct launch_result result = launch(&request, &process);
    printf("%s %s %s\n", path, launch_error_name(result.error), elf_error_name(result.elf));
    (void)zx_handle_close(process);
    (void)zx_handle_close(file.vmo);
    return result.error != LAUNCH_OK;
}

int main(int argc, char** argv) {
    struct launch_vdso vdso;
    if (launch_vdso_init(&vdso, zx_vmo_vdso()).error != LAUNCH_OK) {
        return 1;
    }
    bool ok = true;
    for (int i = 1; i < argc; i++) {
        ok = try_path(argv[i], &vdso) && ok;
    }
    return ok ? 0 : 1;
}
