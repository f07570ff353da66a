// What a process costs while it lives: cost COUNT PATH ARGUMENT...
//
// Starts the program COUNT times, waits until each is blocked in a call, and prints per process:
// what the machine's free memory has lost, what of it is kernel heap and page tables, and what the
// process has for itself by its own statistics. Then it ends them.
#include <stdio.h>
#include <stdlib.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr size_t COUNT_MAX = 256;

static bool fail(const char* what, zx_status_t status) {
    fprintf(stderr, "cost: %s: %s\n", what, zx_status_get_string(status));
    return false;
}

static bool kernel_memory(zx_info_kmem_stats_t* out) {
    zx_handle_t system = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    zx_status_t status =
        zx_object_get_info(system, ZX_INFO_KMEM_STATS, out, sizeof(*out), nullptr, nullptr);
    zx_put_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0), system);
    return status == ZX_OK || fail("no memory statistics", status);
}

static void print_value(const char* name, uint64_t before, uint64_t after, size_t count) {
    char line[128];
    long long each = ((long long)after - (long long)before) / (long long)count;
    int len = snprintf(line, sizeof(line), "\x1e[value] %s %lld\n", name, each);
    (void)zx_debug_write(line, (size_t)len);
}

// Until the program waits for something: it is as large as it gets.
static bool wait_blocked(zx_handle_t thread) {
    for (uint32_t tries = 0; tries < 3000; tries++) {
        zx_info_thread_t info;
        zx_status_t status =
            zx_object_get_info(thread, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr);
        if (status != ZX_OK || info.state == ZX_THREAD_STATE_DEAD) {
            return fail("the program ended", status);
        }
        if (ZX_THREAD_STATE_BASIC(info.state) == ZX_THREAD_STATE_BLOCKED) {
            return true;
        }
        (void)zx_nanosleep(zx_deadline_after(10'000'000));
    }
    return fail("the program does not wait", ZX_ERR_TIMED_OUT);
}

static bool start(const struct launch_request* request, zx_handle_t* process) {
    struct launched launched;
    struct launch_result result = launch_prepare(request, &launched);
    if (result.error != LAUNCH_OK) {
        return fail(launch_error_name(result.error), result.status);
    }
    zx_handle_t thread = ZX_HANDLE_INVALID;
    zx_status_t status = zx_handle_duplicate(launched.thread, ZX_RIGHT_SAME_RIGHTS, &thread);
    if (status != ZX_OK) {
        launch_abandon(&launched);
        return fail("no second handle", status);
    }
    result = launch_start(&launched, process);
    bool ok = result.error == LAUNCH_OK ? wait_blocked(thread)
                                        : fail(launch_error_name(result.error), result.status);
    (void)zx_handle_close(thread);
    return ok;
}

static bool measure(const struct launch_request* request, size_t count) {
    static zx_handle_t process[COUNT_MAX];
    zx_info_kmem_stats_t before;
    zx_info_kmem_stats_t after;
    zx_info_task_stats_t own = {};
    bool ok = start(request, &process[0]); // what only the first one costs
    ok = ok && kernel_memory(&before);
    for (size_t i = 1; i <= count && ok; i++) {
        ok = start(request, &process[i]);
    }
    ok = ok && kernel_memory(&after);
    if (ok) {
        zx_status_t status = zx_object_get_info(process[count], ZX_INFO_TASK_STATS, &own,
                                                sizeof(own), nullptr, nullptr);
        ok = status == ZX_OK || fail("no statistics", status);
    }
    for (size_t i = 0; i <= count; i++) {
        (void)zx_task_kill(process[i]);
        (void)zx_handle_close(process[i]);
    }
    if (ok) {
        print_value("cost_all", after.free_bytes, before.free_bytes, count);
        print_value("cost_heap", before.total_heap_bytes, after.total_heap_bytes, count);
        print_value("cost_tables", before.mmu_overhead_bytes, after.mmu_overhead_bytes, count);
        print_value("cost_vmo", before.vmo_bytes, after.vmo_bytes, count);
        print_value("cost_private", 0, own.mem_private_bytes, 1);
    }
    return ok;
}

int main(int argc, char** argv) {
    size_t count = argc > 2 ? (size_t)strtoull(argv[1], nullptr, 10) : 0;
    if (count == 0 || count >= COUNT_MAX) {
        fprintf(stderr, "usage: cost COUNT PATH ARGUMENT...\n");
        return 2;
    }
    struct launch_vdso vdso;
    struct launch_file file = {};
    if (launch_vdso_init(&vdso, zx_vmo_vdso()).error != LAUNCH_OK) {
        return 1;
    }
    zx_status_t status = bootsvc_open(bootsvc_startup(), argv[2], &file.vmo, &file.len);
    if (status != ZX_OK) {
        fail(argv[2], status);
        return 1;
    }
    const struct launch_request request = {.job = zx_job_default(),
                                           .name = argv[2],
                                           .file = file,
                                           .vdso = &vdso,
                                           .args = (const char* const*)&argv[2],
                                           .arg_count = (uint32_t)argc - 2};
    return measure(&request, count) ? 0 : 1;
}
