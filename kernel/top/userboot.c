// Starting the first process, userboot.
//
// Its image, the vDSO's and the boot image (ZBI) are RAM that exists already: wired VMOs show them
// in place. Read-only segments are mapped from there; writable ones are fresh memory with the
// image's bytes copied in. What userboot gets to start with is everything there is: the root job,
// the resources of every kind, the ZBI and the vDSO. What it passes on is its own policy.
//
// Runs once, in a kernel thread, after every initialisation level.

#include "kernel/top/userboot.h"

#include <zircon/processargs.h>
#include <zircon/syscalls/resource.h>

#include <acpi/acpi.h>
#include <arch/acpi.h>
#include <arch/cpu.h>
#include <arch/power.h>
#include <debug/boot.h>
#include <debug/init.h>
#include <debug/log.h>
#include <debug/panic.h>
#include <lib/align.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <object/channel.h>
#include <object/cprng.h>
#include <object/job.h>
#include <object/process.h>
#include <object/resource.h>
#include <object/thread_object.h>
#include <object/vmo_object.h>
#include <object/wait.h>
#include <processargs/processargs.h>
#include <syscall/vdso_image.h>
#include <vm/heap.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

#include "kernel/top/userboot_image.h"

constexpr size_t STACK_BYTES = 64 * 1024;
constexpr uint32_t STARTUP_HANDLES_MAX = 16;
constexpr uint32_t ENVIRON_MAX = 64;

#define MUST(expr)                                                      \
    do {                                                                \
        status_t must_status_ = (expr);                                 \
        if (must_status_ != STATUS_OK) {                                \
            panic("userboot: %s: status %d", #expr, (int)must_status_); \
        }                                                               \
    } while (0)

// What the bootstrap message will carry.
struct startup {
    struct handle handles[STARTUP_HANDLES_MAX];
    uint32_t infos[STARTUP_HANDLES_MAX];
    uint32_t count;
};

static void add_handle(struct startup* s, uint32_t info, struct object* o_ref, zx_rights_t rights) {
    ASSERT(s->count < STARTUP_HANDLES_MAX);
    s->handles[s->count] = handle_make(o_ref, rights);
    s->infos[s->count++] = info;
}

static void add_vmo(struct startup* s, uint32_t info, struct vmo* v, const char* name,
                    zx_rights_t rights) {
    struct object* o;
    vmo_set_name(v, name, strlen(name));
    MUST(vmo_object_create(vmo_ref(v), &o));
    add_handle(s, info, o, rights);
}

// ---- images that lie in memory already ----

static paddr_t image_paddr(const struct handoff* handoff, const void* kernel_address) {
    uint64_t offset = (uintptr_t)kernel_address - handoff->kernel_vaddr;
    return (paddr_t){handoff->taken[HANDOFF_TAKEN_KERNEL].base + offset};
}

static struct vmo* image_vmo(const struct handoff* handoff, const void* image, size_t size) {
    struct vmo* v;
    MUST(vmo_create_wired(image_paddr(handoff, image), size, size, &v));
    return v;
}

// ---- the address space ----

static vaddr_t map_at(struct vmar* region, size_t offset, struct vmo* v, uint64_t vmo_offset,
                      size_t size, zx_vm_option_t perms) {
    vaddr_t address;
    zx_vm_option_t place = offset == SIZE_MAX ? 0 : ZX_VM_SPECIFIC;
    uint32_t all = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
    MUST(vmar_map(region, perms | place, place != 0 ? offset : 0, all, v, vmo_offset, all, size,
                  &address));
    return address;
}

// A region at a random place for an image that is laid out from address 0.
static struct vmar* image_region(struct vmar* root, size_t span, zx_vm_option_t can_map,
                                 vaddr_t* base) {
    struct vmar* region;
    uint32_t all = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
    MUST(vmar_allocate(root, can_map | ZX_VM_CAN_MAP_SPECIFIC, 0, span, all, &region, base));
    return region;
}

static void map_segment(struct vmar* region, struct vmo* image, const struct userboot_segment* s) {
    if ((s->permissions & ZX_VM_PERM_WRITE) == 0) {
        map_at(region, s->address, image, s->image_offset, s->memory_size, s->permissions);
        return;
    }
    VMO_REF data = nullptr;
    MUST(vmo_create(s->memory_size, 0, &data));
    vmo_set_name(data, "userboot:data", strlen("userboot:data"));
    MUST(vmo_write(data, userboot_image + s->image_offset, 0, s->image_size));
    map_at(region, s->address, data, 0, s->memory_size, s->permissions);
}

static vaddr_t map_userboot(struct vmar* root, struct vmo* image) {
    vaddr_t base;
    VMAR_REF region =
        image_region(root, userboot_layout.span,
                     ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE, &base);
    for (size_t i = 0; i < userboot_layout.segment_count; i++) {
        map_segment(region, image, &userboot_layout.segments[i]);
    }
    return base;
}

static vaddr_t map_vdso(struct vmar* root, struct vmo* vdso) {
    vaddr_t base;
    VMAR_REF region =
        image_region(root, vdso_layout.size, ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_EXECUTE, &base);
    map_at(region, 0, vdso, 0, vdso_layout.code_offset, ZX_VM_PERM_READ);
    map_at(region, vdso_layout.code_offset, vdso, vdso_layout.code_offset, vdso_layout.code_size,
           ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE);
    return base;
}

// Returns the initial stack pointer.
static vaddr_t map_stack(struct startup* s, struct vmar* root) {
    VMO_REF stack = nullptr;
    MUST(vmo_create(STACK_BYTES, 0, &stack));
    // The page below stays unmapped: the region is one page larger than the stack.
    vaddr_t base;
    VMAR_REF region = image_region(root, PAGE_SIZE + STACK_BYTES,
                                   ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE, &base);
    map_at(region, PAGE_SIZE, stack, 0, STACK_BYTES, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
    add_vmo(s, PA_HND(PA_VMO_STACK, 0), stack, "userboot:stack", ZX_DEFAULT_VMO_RIGHTS);
    return base + PAGE_SIZE + STACK_BYTES;
}

// ---- the message ----

static void add_resource(struct startup* s, uint32_t type, zx_rsrc_kind_t kind, uint64_t size,
                         const char* name) {
    struct resource* r;
    MUST(resource_create_root(kind, 0, size, name, &r));
    add_handle(s, PA_HND(type, 0), resource_object(r), ZX_DEFAULT_RESOURCE_RIGHTS);
}

static void add_resources(struct startup* s) {
    add_resource(s, PA_MMIO_RESOURCE, ZX_RSRC_KIND_MMIO, (uint64_t)1 << 52, "mmio");
    add_resource(s, PA_IRQ_RESOURCE, ZX_RSRC_KIND_IRQ, 1 << 16, "irq");
    add_resource(s, PA_IOPORT_RESOURCE, ZX_RSRC_KIND_IOPORT, 1 << 16, "ioport");
    add_resource(s, PA_SYSTEM_RESOURCE, ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_COUNT, "system");
}

// The words of the kernel's command line are userboot's environment. `copy` is cut in place.
static uint32_t split_command_line(char* copy, const char* words[ENVIRON_MAX]) {
    uint32_t count = 0;
    for (char* at = copy; *at != '\0' && count < ENVIRON_MAX;) {
        while (*at == ' ') {
            *at++ = '\0';
        }
        if (*at == '\0') {
            break;
        }
        words[count++] = at;
        while (*at != ' ' && *at != '\0') {
            at++;
        }
    }
    return count;
}

// Where the screen's pixels are, if the firmware has set up a screen, as one more word:
// framebuffer=BASE,LENGTH,WIDTH,HEIGHT,STRIDE,FORMAT (a stride in pixels, ZBI's number of the
// format).
static uint32_t add_framebuffer(const struct handoff_framebuffer* f, char* word, size_t capacity,
                                const char* words[ENVIRON_MAX], uint32_t count) {
    if (f->length_bytes == 0 || count == ENVIRON_MAX) {
        return count;
    }
    size_t len = fmt_snprintf(word, capacity, "framebuffer=0x%llx,0x%llx,%u,%u,%u,0x%x",
                              (unsigned long long)f->base, (unsigned long long)f->length_bytes,
                              f->width, f->height, f->stride_pixels, f->format);
    ASSERT(len < capacity);
    words[count] = word;
    return count + 1;
}

// Where PCI configuration space is mapped, if the firmware says so:
// pci.ecam=BASE,SEGMENT,FIRST,LAST (buses), of the first region. It is no authority: reading there
// takes a resource.
static uint32_t add_ecam(const struct acpi_info* acpi, char* word, size_t capacity,
                         const char* words[ENVIRON_MAX], uint32_t count) {
    if (acpi == nullptr || acpi->mcfg_count == 0 || count == ENVIRON_MAX) {
        return count;
    }
    const struct acpi_mcfg* m = &acpi->mcfg[0];
    size_t len = fmt_snprintf(word, capacity, "pci.ecam=0x%llx,%u,%u,%u",
                              (unsigned long long)m->base, m->segment, m->bus_first, m->bus_last);
    ASSERT(len < capacity);
    words[count] = word;
    return count + 1;
}

static struct message* make_message(struct startup* s, const struct handoff* handoff) {
    size_t capacity = handoff->cmdline_len + 1024;
    char* command_line = heap_alloc(handoff->cmdline_len + 1);
    uint32_t* buffer = heap_alloc(capacity);
    const char** environ = heap_alloc(ENVIRON_MAX * sizeof(*environ));
    ASSERT(command_line != nullptr && buffer != nullptr && environ != nullptr);
    memcpy(command_line, handoff->cmdline, handoff->cmdline_len + 1);
    char framebuffer[96], ecam[64];
    uint32_t environ_count = split_command_line(command_line, environ);
    environ_count = add_framebuffer(&handoff->framebuffer, framebuffer, sizeof(framebuffer),
                                    environ, environ_count);
    environ_count = add_ecam(arch_acpi_info(), ecam, sizeof(ecam), environ, environ_count);
    static const char* const args[] = {"userboot"};
    struct processargs_input in = {.handle_infos = s->infos,
                                   .handle_count = s->count,
                                   .args = args,
                                   .arg_count = array_size(args),
                                   .environ = environ,
                                   .environ_count = environ_count};
    size_t len;
    if (processargs_build(&in, buffer, capacity, &len) != PROCESSARGS_OK) {
        panic("userboot: the command line does not fit its message");
    }
    struct message* m = message_new((uint32_t)len, s->count);
    ASSERT(m != nullptr);
    message_fill_kernel(m, buffer);
    memcpy(m->handle, s->handles, s->count * sizeof(s->handles[0]));
    heap_free(buffer);
    heap_free(environ);
    heap_free(command_line);
    return m;
}

// ---- start ----

static void add_zbi(struct startup* s, const struct handoff* handoff) {
    const struct handoff_span* span = &handoff->taken[HANDOFF_TAKEN_ZBI];
    if (span->length == 0) {
        klog(LOG_ERROR, "no boot image (ZBI) was loaded");
        return;
    }
    VMO_REF zbi = nullptr;
    MUST(vmo_create_wired((paddr_t){span->base}, span->length, handoff->zbi_length_bytes, &zbi));
    add_vmo(s, PA_HND(PA_VMO_BOOTDATA, 0), zbi, "zbi",
            ZX_RIGHTS_BASIC | ZX_RIGHT_READ | ZX_RIGHT_MAP | ZX_RIGHTS_PROPERTY);
}

static struct process* start(const struct handoff* handoff) {
    struct startup s = {};
    struct process* process;
    struct vmar* root_taken;
    MUST(process_create(job_root(), "userboot", strlen("userboot"), &process, &root_taken));
    VMAR_REF root = root_taken;

    VMO_REF image = image_vmo(handoff, userboot_image, userboot_layout.image_size);
    vmo_set_name(image, "userboot", strlen("userboot"));
    vaddr_t base = map_userboot(root, image);
    VMO_REF vdso = image_vmo(handoff, vdso_image, vdso_layout.size);
    vmo_set_vdso(vdso, vdso_layout.code_offset, vdso_layout.code_size);
    vaddr_t vdso_base = map_vdso(root, vdso);
    vaddr_t stack_top = map_stack(&s, root);

    struct thread_object* thread;
    MUST(thread_object_create(process, "initial-thread", strlen("initial-thread"), &thread));
    struct object* root_object;
    MUST(vmar_object_create(vmar_ref(root), &root_object));
    add_handle(&s, PA_HND(PA_PROC_SELF, 0), object_ref(process_object(process)),
               ZX_DEFAULT_PROCESS_RIGHTS);
    add_handle(&s, PA_HND(PA_THREAD_SELF, 0), object_ref(thread_object_base(thread)),
               ZX_DEFAULT_THREAD_RIGHTS);
    add_handle(&s, PA_HND(PA_JOB_DEFAULT, 0), object_ref(job_object(job_root())),
               ZX_DEFAULT_JOB_RIGHTS);
    add_handle(&s, PA_HND(PA_VMAR_ROOT, 0), root_object, vmar_rights_for(vmar_can_map(root)));
    add_vmo(&s, PA_HND(PA_VMO_VDSO, 0), vdso, "vdso",
            ZX_RIGHTS_BASIC | ZX_RIGHT_READ | ZX_RIGHT_EXECUTE | ZX_RIGHT_MAP |
                ZX_RIGHT_GET_PROPERTY);
    add_zbi(&s, handoff);
    add_resources(&s);

    struct channel* ours;
    struct channel* theirs;
    MUST(channel_create(&ours, &theirs));
    HANDLE our_end = handle_make(channel_object(ours), ZX_DEFAULT_CHANNEL_RIGHTS);
    struct handle their_end = handle_make(channel_object(theirs), ZX_DEFAULT_CHANNEL_RIGHTS);
    MUST(channel_write(ours, make_message(&s, handoff)));
    MUST(process_start(process, thread, base + userboot_layout.entry, stack_top, &their_end,
                       vdso_base));
    object_unref(thread_object_base(thread));
    (void)our_end; // closes: the message stays readable
    return process;
}

// ---- end ----

void userboot_run(const struct handoff* handoff) {
    struct process* process = start(handoff);
    struct wait_target target = {.object = process_object(process),
                                 .signals = ZX_PROCESS_TERMINATED};
    MUST(wait_one(&target, TIME_INFINITE));
    zx_info_process_t info;
    process_get_info(process, &info);
    klog(LOG_INFO, "userboot ended with return code %ld: the machine ends", info.return_code);
    debug_exit(info.return_code == 0 ? DEBUG_EXIT_OK : DEBUG_EXIT_OK + 1);
    arch_power_off();
    arch_halt_forever();
}

// The last level's only hook: it does not return.
static void run_userboot(void) {
    userboot_run(boot_handoff());
}
INIT_HOOK(INIT_USER, run_userboot);
