// What loading a program costs, before its first instruction: load PATH...
//
// For each path two values: what of anonymous memory the new process holds, and by how much the
// kernel's heap has grown.
#include <stdio.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

static bool kernel_memory(zx_info_kmem_stats_t* out) {
    zx_handle_t system = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    zx_status_t status =
        zx_object_get_info(system, ZX_INFO_KMEM_STATS, out, sizeof(*out), nullptr, nullptr);
    zx_put_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0), system);
    if (status != ZX_OK) {
        fprintf(stderr, "load: no memory statistics: %s\n", zx_status_get_string(status));
    }
    return status == ZX_OK;
}

static void print_value(const char* name, long long value) {
    char line[128];
    int len = snprintf(line, sizeof(line), "\x1e[value] %s %lld\n", name, value);
    (void)zx_debug_write(line, (size_t)len);
}

static bool measure(const char* path, const struct launch_vdso* vdso, uint32_t index) {
    struct launch_file file = {};
    zx_status_t status = bootsvc_open(bootsvc_startup(), path, &file.vmo, &file.len);
    if (status != ZX_OK) {
        fprintf(stderr, "load: %s: %s\n", path, zx_status_get_string(status));
        return false;
    }
    struct launch_request request = {
        .job = zx_job_default(), .name = path, .file = file, .vdso = vdso};
    zx_info_kmem_stats_t before;
    zx_info_kmem_stats_t after;
    struct launched launched;
    if (!kernel_memory(&before)) {
        return false;
    }
    struct launch_result result = launch_prepare(&request, &launched);
    if (result.error != LAUNCH_OK) {
        fprintf(stderr, "load: %s: %s: %s\n", path, launch_error_name(result.error),
                elf_error_name(result.elf));
        return false;
    }
    zx_info_task_stats_t stats = {};
    status = zx_object_get_info(launched.process, ZX_INFO_TASK_STATS, &stats, sizeof(stats),
                                nullptr, nullptr);
    bool ok = kernel_memory(&after) && status == ZX_OK;
    launch_abandon(&launched);
    (void)zx_handle_close(file.vmo);
    if (ok) {
        char name[32];
        (void)snprintf(name, sizeof(name), "private_%u", index);
        print_value(name, (long long)stats.mem_private_bytes);
        (void)snprintf(name, sizeof(name), "vmo_%u", index);
        print_value(name, (long long)after.vmo_bytes - (long long)before.vmo_bytes);
        (void)snprintf(name, sizeof(name), "heap_%u", index);
        print_value(name, (long long)after.total_heap_bytes - (long long)before.total_heap_bytes);
    }
    return ok;
}

int main(int argc, char** argv) {
    struct launch_vdso vdso;
    if (launch_vdso_init(&vdso, zx_vmo_vdso()).error != LAUNCH_OK) {
        return 1;
    }
    bool ok = true;
    for (int i = 1; i < argc; i++) {
        ok = measure(argv[i], &vdso, (uint32_t)i) && ok;
    }
    return ok ? 0 : 1;
}
