// Processes: made by hand, and spawned from a file.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "bench.h"

constexpr size_t PAGE = 4096;

// ---- row 26: no ELF ----
//
// The new process gets the vDSO, one page of code that is in a VMO already, and no stack worth the
// name: its first instruction is the measure's end point for "first user instruction", its next
// ones call zx_process_exit(0) in the vDSO.

static struct {
    struct launch_vdso vdso;
    zx_handle_t code;     // one executable page
    uint64_t exit_offset; // of zx_process_exit in the vDSO
} made;

// entry(rdi = handle, rsi = vDSO base): xor edi, edi; add rsi, imm32; jmp rsi
static void write_code(uint8_t code[16]) {
    uint32_t offset = (uint32_t)made.exit_offset;
    static const uint8_t head[] = {0x31, 0xff, 0x48, 0x81, 0xc6};
    memcpy(code, head, sizeof(head));
    memcpy(code + sizeof(head), &offset, sizeof(offset));
    code[9] = 0xff;
    code[10] = 0xe6;
}

static void map_vdso(zx_handle_t root, zx_vaddr_t* base) {
    zx_handle_t region;
    size_t size = made.vdso.code_offset + made.vdso.code_len;
    zx_vaddr_t at;
    bench_check(
        zx_vmar_allocate(root, ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_EXECUTE | ZX_VM_CAN_MAP_SPECIFIC,
                         0, size, &region, base),
        "region");
    bench_check(zx_vmar_map(region, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 0, made.vdso.vmo, 0,
                            made.vdso.code_offset, &at),
                "vdso");
    bench_check(zx_vmar_map(region, ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE | ZX_VM_SPECIFIC,
                            made.vdso.code_offset, made.vdso.vmo, made.vdso.code_offset,
                            made.vdso.code_len, &at),
                "vdso code");
    bench_check(zx_handle_close(region), "close");
}

static void process_by_hand(void*) {
    zx_handle_t process;
    zx_handle_t root;
    zx_handle_t thread;
    zx_vaddr_t vdso_base;
    zx_vaddr_t entry;
    bench_check(zx_process_create(zx_job_default(), "p", 1, 0, &process, &root), "process_create");
    map_vdso(root, &vdso_base);
    bench_check(
        zx_vmar_map(root, ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, 0, made.code, 0, PAGE, &entry),
        "code");
    bench_check(zx_thread_create(process, "t", 1, 0, &thread), "thread_create");
    bench_check(zx_process_start(process, thread, entry, entry, ZX_HANDLE_INVALID, vdso_base),
                "process_start");
    bench_check(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr),
                "wait");
    (void)zx_handle_close(thread);
    (void)zx_handle_close(root);
    (void)zx_handle_close(process);
}

static zx_status_t prepare_by_hand(void) {
    uintptr_t base;
    zx_status_t status = zx_object_get_property(
        zx_process_self(), ZX_PROP_PROCESS_VDSO_BASE_ADDRESS, &base, sizeof(base));
    made.exit_offset = (uintptr_t)zx_process_exit - base;
    uint8_t code[16] = {};
    write_code(code);
    zx_handle_t vmo;
    if (status == ZX_OK) {
        status = zx_vmo_create(PAGE, 0, &vmo);
    }
    if (status == ZX_OK) {
        status = zx_vmo_write(vmo, code, 0, sizeof(code));
    }
    if (status != ZX_OK) {
        return status;
    }
    zx_handle_t vmex;
    zx_handle_t system = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    status = zx_resource_create(system, ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_VMEX_BASE, 1, "vmex", 4,
                                &vmex);
    return status == ZX_OK ? zx_vmo_replace_as_executable(vmo, vmex, &made.code) : status;
}

// ---- rows 27 and 28: from a file ----

struct program {
    const char* name;
    struct launch_file file, interpreter; // of a dynamic one: ld.so.1
};

static zx_status_t find_interpreter(void* ctx, const char*, struct launch_file* out) {
    *out = ((struct program*)ctx)->interpreter;
    return ZX_OK;
}

static void spawn(void* arg) {
    struct program* program = arg;
    const char* args[] = {program->name, "0"};
    struct launch_request request = {.job = zx_job_default(),
                                     .name = program->name,
                                     .file = program->file,
                                     .vdso = &made.vdso,
                                     .args = args,
                                     .arg_count = 2,
                                     .find_interpreter = find_interpreter,
                                     .find_ctx = program};
    zx_handle_t process;
    struct launch_result result = launch(&request, &process);
    if (result.error != LAUNCH_OK) {
        printf("bench: spawn: %s\n", launch_error_text(result.error));
        exit(1);
    }
    bench_check(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr),
                "wait");
    zx_info_process_t info;
    bench_check(zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr),
                "info");
    if (info.return_code != 0) {
        printf("bench: %s returned %lld\n", program->name, (long long)info.return_code);
        exit(1);
    }
    (void)zx_handle_close(process);
}

static void open_file(const char* path, struct launch_file* out) {
    bench_check(bootsvc_open(bootsvc_startup(), path, &out->vmo, &out->len), path);
}

void bench_processes(void) {
    struct launch_result result = launch_vdso_init(&made.vdso, zx_vmo_vdso());
    bench_check(result.status, "vdso");
    bench_check(prepare_by_hand(), "process by hand");
    bench_row("26", process_by_hand, nullptr);
    if (bench_wanted("27")) {
        struct program tiny = {.name = "exit"};
        open_file("bin/exit", &tiny.file);
        bench_row("27", spawn, &tiny);
    }
    if (bench_wanted("28")) {
        struct program dynamic = {.name = "nothing"};
        open_file("measure/nothing", &dynamic.file);
        open_file("lib/ld.so.1", &dynamic.interpreter);
        bench_row("28", spawn, &dynamic);
    }
}
