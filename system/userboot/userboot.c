// The first program. The kernel carries it and starts it with everything there is; it finds bootfs
// in the boot image, starts the first program from there, and then serves the boot files to it and
// to those it starts.
//
//     kernel --root job, resources, ZBI, vDSO--> userboot --the same, and "/boot"--> bin/init
//
// The words of the kernel's command line are the environment; `userboot.next=PATH+ARG+...` starts
// another program than bin/init. What makes boot files executable is a VMEX resource of its own;
// the whole system resource, which goes on, could make another.
//
// When that program ends, so does userboot, with its return code, and the kernel then ends the
// machine: a system without its first program has nobody to give orders to.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <async/loop.h>
#include <bootsvc/server.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>

constexpr char default_next[] = "bin/init";
constexpr uint32_t ARGS_MAX = 16;
constexpr size_t NEXT_MAX = 512;
// Connections served. Clients make new ones as they please (Clone, Open), and what the end of
// memory would mean here is the end of the machine.
constexpr uint32_t CLIENTS_MAX = 4096;

// ---- saying what is wrong ----

[[noreturn]] static void give_up(const char* what, const char* why) {
    fprintf(stderr, "userboot: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void must(zx_status_t status, const char* what) {
    if (status != ZX_OK) {
        give_up(what, zx_status_get_string(status));
    }
}

// ---- the boot files ----

static zx_handle_t system_resource(zx_rsrc_system_base_t base, const char* name) {
    zx_handle_t all = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    zx_handle_t one;
    must(zx_resource_create(all, ZX_RSRC_KIND_SYSTEM, base, 1, name, strlen(name), &one),
         "cannot make a resource");
    zx_put_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0), all);
    return one;
}

static void open_boot_files(struct bootsvc* svc, zx_handle_t vmex) {
    zx_handle_t bootdata = zx_take_startup_handle(PA_HND(PA_VMO_BOOTDATA, 0));
    if (bootdata == ZX_HANDLE_INVALID) {
        give_up("nothing to start", "no boot image (ZBI) was loaded with the kernel");
    }
    zx_handle_t bootfs;
    zx_status_t status = ZX_OK;
    bootsvc_error_t error = bootsvc_find(bootdata, vmex, &bootfs, &status);
    if (error == BOOTSVC_OK) {
        error = bootsvc_init(svc, bootfs, &status);
    }
    if (error == BOOTSVC_FAILED) {
        give_up(bootsvc_error_text(error), zx_status_get_string(status));
    } else if (error != BOOTSVC_OK) {
        give_up("nothing to start", bootsvc_error_text(error));
    }
    (void)zx_handle_close(bootdata);
}

// ---- the next program ----

struct next {
    char text[NEXT_MAX];
    const char* args[ARGS_MAX];
    uint32_t arg_count;
};

// "bin/init+a+b": the path and arguments. The last of several options counts.
static void find_next(struct next* next, char** envp) {
    static constexpr char option[] = "userboot.next=";
    const char* value = default_next;
    for (char** e = envp; *e != nullptr; e++) {
        if (strncmp(*e, option, sizeof(option) - 1) == 0) {
            value = *e + sizeof(option) - 1;
        }
    }
    size_t len = strnlen(value, NEXT_MAX - 1);
    memcpy(next->text, value, len);
    next->text[len] = '\0';
    next->args[next->arg_count++] = next->text;
    for (char* at = next->text; *at != '\0' && next->arg_count < ARGS_MAX; at++) {
        if (*at == '+') {
            *at = '\0';
            next->args[next->arg_count++] = at + 1;
        }
    }
}

static zx_handle_t duplicate(zx_handle_t handle) {
    zx_handle_t copy = ZX_HANDLE_INVALID;
    must(zx_handle_duplicate(handle, ZX_RIGHT_SAME_RIGHTS, &copy), "cannot duplicate a handle");
    return copy;
}

static uint32_t count_strings(char** strings) {
    uint32_t count = 0;
    while (strings[count] != nullptr) {
        count++;
    }
    return count;
}

// Everything that userboot got goes on, and the boot files as "/boot".
static zx_handle_t start_next(const struct bootsvc* svc, const struct next* next, char** envp,
                              zx_handle_t boot_files) {
    struct launch_vdso vdso;
    if (launch_vdso_init(&vdso, zx_vmo_vdso()).error != LAUNCH_OK) {
        give_up("cannot start anything", launch_error_text(LAUNCH_BAD_VDSO));
    }
    struct launch_file file = {};
    must(bootsvc_open_local(svc, next->text, strlen(next->text), &file.vmo, &file.len), next->text);
    static constexpr uint32_t passed_on[] = {
        PA_HND(PA_MMIO_RESOURCE, 0), PA_HND(PA_IRQ_RESOURCE, 0), PA_HND(PA_IOPORT_RESOURCE, 0),
        PA_HND(PA_SYSTEM_RESOURCE, 0)};
    struct launch_handle handles[8];
    uint32_t count = 0;
    handles[count++] =
        (struct launch_handle){PA_HND(PA_JOB_DEFAULT, 0), duplicate(zx_job_default())};
    handles[count++] = (struct launch_handle){PA_HND(PA_NS_DIR, 0), boot_files};
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        zx_handle_t handle = zx_take_startup_handle(passed_on[i]);
        if (handle != ZX_HANDLE_INVALID) {
            handles[count++] = (struct launch_handle){passed_on[i], handle};
        }
    }
    static const char* const names[] = {"/boot"};
    struct launch_request request = {.job = zx_job_default(),
                                     .name = next->text,
                                     .file = file,
                                     .vdso = &vdso,
                                     .args = next->args,
                                     .arg_count = next->arg_count,
                                     .environ = (const char* const*)envp,
                                     .environ_count = count_strings(envp),
                                     .names = names,
                                     .name_count = 1,
                                     .handles = handles,
                                     .handle_count = count};
    zx_handle_t process;
    struct launch_result result = launch(&request, &process);
    if (result.error != LAUNCH_OK) {
        fprintf(stderr, "userboot: %s: %s: %s (%s)\n", next->text, launch_error_text(result.error),
                elf_error_text(result.elf), zx_status_get_string(result.status));
        exit(EXIT_FAILURE);
    }
    (void)zx_handle_close(file.vmo);
    return process;
}

// ---- serving ----

static struct async_loop loop;

static void on_end(struct async_wait*, const zx_packet_signal_t*) {
    async_loop_quit(&loop);
}

// Until the process ends.
static void serve(zx_handle_t process) {
    struct async_wait wait = {
        .object = process, .trigger = ZX_PROCESS_TERMINATED, .handler = on_end};
    must(async_wait_begin(&loop, &wait), "cannot watch the first program");
    must(async_loop_run(&loop), "cannot wait");
}

int main(int, char**, char** envp) {
    static struct bootsvc svc;
    static struct next next;
    open_boot_files(&svc, system_resource(ZX_RSRC_SYSTEM_VMEX_BASE, "vmex"));
    find_next(&next, envp);
    zx_handle_t ours;
    zx_handle_t theirs;
    must(zx_channel_create(0, &ours, &theirs), "cannot make a channel");
    must(async_loop_init(&loop), "cannot make a port");
    must(bootsvc_serve(&svc, &loop, CLIENTS_MAX, ours), "cannot serve the boot files");
    zx_handle_t process = start_next(&svc, &next, envp, theirs);
    serve(process);
    zx_info_process_t info;
    must(zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr),
         "cannot ask for a return code");
    fprintf(stderr, "userboot: %s ended with return code %lld\n", next.text,
            (long long)info.return_code);
    return info.return_code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
