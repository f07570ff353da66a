// The first program of the boot image: reads the services file, supervises the services, serves
// /svc and /dev, and runs the commands of etc/run or, if its own prompt is wanted, those that are
// typed.
//
// It holds everything that userboot was given but the boot image, and hands programs what the
// services file says (authority.h). The main thread runs the loop of supervisor and views; another
// one runs the commands.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <io/client.h>
#include <jacinth/startup.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>
#include <zircon/syscalls/system.h>

#include "authority.h"
#include "clock.h"
#include "commands.h"
#include "marker.h"
#include "root.h"
#include "supervisor.h"
#include "views.h"

constexpr char services_path[] = "etc/services";

static struct authority authority;
static struct async_loop loop;
static char* list; // of commands; null: prompts

[[noreturn]] static void give_up(const char* what, zx_status_t status) {
    fprintf(stderr, "init: %s: %s\n", what, zx_status_get_string(status));
    (void)fflush(stdout);
    if (authority.system != ZX_HANDLE_INVALID) {
        zx_handle_t power = authority_system_part(&authority, ZX_RSRC_SYSTEM_POWER_BASE, "power");
        (void)zx_system_powerctl(power, ZX_SYSTEM_POWERCTL_SHUTDOWN, nullptr);
    }
    exit(EXIT_FAILURE);
}

static void must(zx_status_t status, const char* what) {
    if (status != ZX_OK) {
        give_up(what, status);
    }
}

// ---- what init is given ----

static void take_startup(struct authority* a, char** envp) {
    a->root_job = zx_job_default();
    a->boot_files = bootsvc_startup();
    a->mmio = zx_take_startup_handle(PA_HND(PA_MMIO_RESOURCE, 0));
    a->irq = zx_take_startup_handle(PA_HND(PA_IRQ_RESOURCE, 0));
    a->ioport = zx_take_startup_handle(PA_HND(PA_IOPORT_RESOURCE, 0));
    a->system = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    a->environ = (const char* const*)envp;
    while (envp[a->environ_count] != nullptr) {
        a->environ_count++;
    }
    if (a->system == ZX_HANDLE_INVALID) { // started like any program
        fprintf(stderr, "init: no prompt without a console\n");
        exit(EXIT_FAILURE);
    }
    a->utc = clock_make(a->ioport);
    must(zx_job_create(a->root_job, 0, &a->programs), "no job");
    (void)zx_object_set_property(a->programs, ZX_PROP_NAME, "programs", 8);
    struct io_opened bin;
    must(io_open(a->boot_files, "bin", 3, JACINTH_IO_FLAGS_DIRECTORY, 0, &bin, nullptr),
         "/boot/bin");
    a->bin = bin.connection;
    struct launch_result result = launch_vdso_init(&a->vdso, zx_vmo_vdso());
    if (result.error != LAUNCH_OK) {
        give_up(launch_error_text(result.error), result.status);
    }
}

static void read_services(struct authority* a) {
    static char text[SERVICES_TEXT_MAX + 1];
    zx_handle_t vmo;
    uint64_t size;
    must(bootsvc_open(a->boot_files, services_path, &vmo, &size), "/boot/etc/services");
    must(size <= SERVICES_TEXT_MAX ? zx_vmo_read(vmo, text, 0, size) : ZX_ERR_FILE_BIG,
         "/boot/etc/services");
    (void)zx_handle_close(vmo);
    struct services_error error;
    if (!services_read(&a->services, text, size, &error)) {
        fprintf(stderr, "/boot/etc/services:%u: %s\n", error.line, error.text);
        give_up("the services file is refused", ZX_ERR_INVALID_ARGS);
    }
}

// ---- figures ----

// With `bench.boot=1` on the kernel's command line: how far from the reset this program began, in
// ticks of the CPU's counter (instructions, when the emulator counts them), and how much memory was
// in use by then. A little more than at its first instruction, which ran in crt0.
static void report_boot(const struct authority* a, uint64_t ticks) {
    if (!authority_has_word(a, "bench.boot=1")) {
        return;
    }
    zx_info_kmem_stats_t memory;
    zx_handle_t info = authority_system_part(a, ZX_RSRC_SYSTEM_INFO_BASE, "info");
    if (zx_object_get_info(info, ZX_INFO_KMEM_STATS, &memory, sizeof(memory), nullptr, nullptr) ==
        ZX_OK) {
        mark("[bench] 31 %llu", (unsigned long long)ticks);
        mark("[bench] 32 %llu", (unsigned long long)(memory.total_bytes - memory.free_bytes));
    }
    (void)zx_handle_close(info);
}

static void start_commands(void) {
    if (list != nullptr) {
        must(commands_start(&authority, list, SERVICES_NONE), "no commands");
    } else {
        supervisor_start_prompts();
    }
}

int main(int, char**, char** envp) {
    uint64_t ticks = __builtin_ia32_rdtsc();
    struct authority* a = &authority;
    take_startup(a, envp);
    report_boot(a, ticks);
    read_services(a);
    zx_status_t status = commands_read_list(a, &list);
    if (status != ZX_ERR_NOT_FOUND) {
        must(status, "/boot/etc/run");
    }
    if (list == nullptr) {
        uint32_t cpus = zx_system_get_num_cpus();
        printf("Jacinth on %u CPU%s, %llu MiB.\n", cpus, cpus == 1 ? "" : "s",
               (unsigned long long)(zx_system_get_physmem() >> 20));
        (void)fflush(stdout);
    }
    must(async_loop_init(&loop), "no loop");
    views_init(a, &loop);
    must(supervisor_start(a, &loop), "no services");
    root_begin(a, &loop, start_commands);
    give_up("cannot go on", async_loop_run(&loop));
}
