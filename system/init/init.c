// The first program of the boot image: runs the commands of etc/run, or reads commands from the
// console.
//
// It holds everything that userboot was given except VMEX, and hands programs what they are meant
// to have (system/shell). The lines that it writes for tests are described in tests/README.md.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launchsvc/client.h>
#include <shell/shell.h>
#include <shell/words.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>
#include <zircon/syscalls/system.h>

#include "console.h"

constexpr size_t MARKER_MAX = 1024; // what one zx_debug_write keeps together
constexpr uint64_t RUN_LIST_MAX = 1 << 20;
constexpr char prompt[] = "jacinth> ";

// ---- markers ----

// One line in one call, whatever stdout holds comes before it.
[[gnu::format(printf, 1, 2)]] static void mark(const char* format, ...) {
    char line[MARKER_MAX];
    line[0] = 0x1e;
    va_list args;
    va_start(args);
    int len = vsnprintf(line + 1, sizeof(line) - 2, format, args) + 1;
    va_end(args);
    size_t end = len < (int)sizeof(line) - 2 ? (size_t)len : sizeof(line) - 2;
    line[end++] = '\n';
    (void)fflush(stdout);
    (void)zx_debug_write(line, end);
}

// ---- what init is given ----

static zx_handle_t system_part(zx_handle_t system, zx_rsrc_system_base_t base, const char* name) {
    zx_handle_t part = ZX_HANDLE_INVALID;
    zx_status_t status =
        zx_resource_create(system, ZX_RSRC_KIND_SYSTEM, base, 1, name, strlen(name), &part);
    if (status != ZX_OK) {
        fprintf(stderr, "init: no %s resource: %s\n", name, zx_status_get_string(status));
    }
    return part;
}

static zx_handle_t make_job(zx_handle_t parent, const char* name) {
    zx_handle_t job = ZX_HANDLE_INVALID;
    zx_status_t status = zx_job_create(parent, 0, &job);
    if (status != ZX_OK) {
        fprintf(stderr, "init: no job: %s\n", zx_status_get_string(status));
        exit(EXIT_FAILURE);
    }
    (void)zx_object_set_property(job, ZX_PROP_NAME, name, strlen(name));
    return job;
}

static void take_startup(struct shell* sh, char** envp) {
    sh->root_job = zx_job_default();
    sh->jobs = make_job(sh->root_job, "programs");
    sh->boot_files = bootsvc_startup();
    sh->mmio = zx_take_startup_handle(PA_HND(PA_MMIO_RESOURCE, 0));
    sh->irq = zx_take_startup_handle(PA_HND(PA_IRQ_RESOURCE, 0));
    sh->ioport = zx_take_startup_handle(PA_HND(PA_IOPORT_RESOURCE, 0));
    sh->system = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    sh->debug = system_part(sh->system, ZX_RSRC_SYSTEM_DEBUG_BASE, "debug");
    sh->power = system_part(sh->system, ZX_RSRC_SYSTEM_POWER_BASE, "power");
    sh->environ = (const char* const*)envp;
    while (envp[sh->environ_count] != nullptr) {
        sh->environ_count++;
    }
    struct launch_result result = launch_vdso_init(&sh->vdso, zx_vmo_vdso());
    if (result.error != LAUNCH_OK) {
        fprintf(stderr, "init: %s: %s\n", launch_error_text(result.error),
                zx_status_get_string(result.status));
        exit(EXIT_FAILURE);
    }
}

// The launcher service, for the programs that are granted it. The system works without.
static void start_launcher(struct shell* sh) {
    zx_handle_t theirs;
    zx_status_t status = zx_channel_create(0, &sh->launcher, &theirs);
    if (status == ZX_OK) {
        zx_handle_t jobs = make_job(sh->root_job, "services");
        status = shell_start_service(sh, jobs, "svc/launcher", LAUNCHSVC_STARTUP, theirs);
        (void)zx_handle_close(jobs);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "init: no launcher service: %s\n", zx_status_get_string(status));
    }
}

// Ends the machine; if that fails userboot does, after this process.
[[noreturn]] static void power_off(const struct shell* sh, int code) {
    (void)fflush(stdout);
    (void)zx_system_powerctl(sh->power, ZX_SYSTEM_POWERCTL_SHUTDOWN, nullptr);
    exit(code);
}

// ---- the run list ----

// The text of etc/run, terminated; null: there is none.
static char* read_run_list(const struct shell* sh) {
    zx_handle_t vmo;
    uint64_t size;
    if (bootsvc_open(sh->boot_files, "etc/run", &vmo, &size) != ZX_OK) {
        return nullptr;
    }
    char* text = size <= RUN_LIST_MAX ? malloc(size + 1) : nullptr;
    zx_status_t status = text != nullptr ? zx_vmo_read(vmo, text, 0, size) : ZX_ERR_NO_MEMORY;
    (void)zx_handle_close(vmo);
    if (status != ZX_OK) {
        fprintf(stderr, "init: etc/run: %s\n", zx_status_get_string(status));
        power_off(sh, EXIT_FAILURE);
    }
    text[size] = '\0';
    return text;
}

static void run_list(const struct shell* sh, char* text) {
    uint32_t index = 0;
    while (*text != '\0') {
        char* line = text;
        char* newline = strchr(text, '\n');
        text = newline != nullptr ? newline + 1 : text + strlen(text);
        if (newline != nullptr) {
            *newline = '\0';
        }
        if (line[0] == '\0') {
            continue;
        }
        mark("[run] %u %s", index++, line);
        int64_t code = shell_run(sh, line);
        mark("[exit] %lld", (long long)code);
    }
    mark("[done]");
}

// ---- the prompt ----

static void run_prompt(struct shell* sh) {
    static char line[shell_line_max];
    if (sh->debug == ZX_HANDLE_INVALID) {
        fprintf(stderr, "init: no prompt without a console\n");
        exit(EXIT_FAILURE);
    }
    zx_status_t status = console_start(sh->debug);
    if (status != ZX_OK) {
        fprintf(stderr, "init: no console: %s\n", zx_status_get_string(status));
        return;
    }
    sh->interrupt = console_interrupt();
    mark("[ready]");
    for (;;) {
        printf("%s", prompt);
        (void)fflush(stdout);
        console_result_t result = console_read_line(line, sizeof(line));
        if (result == CONSOLE_END) {
            return;
        }
        if (result == CONSOLE_LINE) {
            shell_explain(shell_run(sh, line));
        }
    }
}

// ---- figures ----

// With `bench.boot=1` on the kernel's command line: how far from the reset this program began, in
// ticks of the CPU's counter (instructions, when the emulator counts them), and how much memory was
// in use by then. A little more than at its first instruction, which ran in crt0.
static void report_boot(zx_handle_t system, char** envp, uint64_t ticks) {
    bool wanted = false;
    for (char** e = envp; *e != nullptr; e++) {
        wanted = wanted || strcmp(*e, "bench.boot=1") == 0;
    }
    if (!wanted) {
        return;
    }
    zx_info_kmem_stats_t memory;
    zx_handle_t info = system_part(system, ZX_RSRC_SYSTEM_INFO_BASE, "info");
    if (zx_object_get_info(info, ZX_INFO_KMEM_STATS, &memory, sizeof(memory), nullptr, nullptr) ==
        ZX_OK) {
        mark("[bench] 31 %llu", (unsigned long long)ticks);
        mark("[bench] 32 %llu", (unsigned long long)(memory.total_bytes - memory.free_bytes));
    }
    (void)zx_handle_close(info);
}

int main(int, char**, char** envp) {
    uint64_t ticks = __builtin_ia32_rdtsc();
    static struct shell shell;
    take_startup(&shell, envp);
    report_boot(shell.system, envp, ticks);
    start_launcher(&shell);
    char* list = read_run_list(&shell);
    if (list != nullptr) {
        run_list(&shell, list);
    } else {
        printf("Jacinth on %u CPUs, %llu MiB. Type help for help.\n", zx_system_get_num_cpus(),
               (unsigned long long)(zx_system_get_physmem() >> 20));
        run_prompt(&shell);
    }
    power_off(&shell, EXIT_SUCCESS);
}
