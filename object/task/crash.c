// Crash reports. The whole report of one thread is printed under one lock, so that those of two
// CPUs do not mix. The frame-pointer walk reads user memory with faults disabled, because a fault
// may wait for a pager, and others for the lock: it stops at the first frame that is not there,
// does not lie higher than the one before, or after BACKTRACE_MAX frames.

#include <object/crash.h>

#include <zircon/syscalls/exception.h>

#include <arch/thread.h>
#include <arch/user_copy.h>
#include <debug/log.h>
#include <lib/string.h>
#include <locking/mutex.h>
#include <object/process.h>
#include <object/thread_object.h>
#include <vm/aspace.h>
#include <vm/vmar.h>

constexpr uint32_t BACKTRACE_MAX = 64;
// Regions that one report looks at to name modules. A program may have as many as memory holds, in
// VMARs nested as deep, and others wait for the lock.
constexpr uint32_t REGIONS_MAX = 16384;

static mutex_t report_lock = MUTEX_INIT(LOCK_CLASS_CRASH_REPORT);

static const struct {
    uint32_t type;
    const char* name;
} exception_names[] = {
    {ZX_EXCP_GENERAL, "general protection or other hardware exception"},
    {ZX_EXCP_FATAL_PAGE_FAULT, "page fault"},
    {ZX_EXCP_UNDEFINED_INSTRUCTION, "undefined instruction"},
    {ZX_EXCP_SW_BREAKPOINT, "breakpoint instruction"},
    {ZX_EXCP_HW_BREAKPOINT, "debug exception"},
    {ZX_EXCP_UNALIGNED_ACCESS, "unaligned access"},
    {ZX_EXCP_POLICY_ERROR, "policy error"},
};

static const char* exception_name(uint32_t type) {
    for (size_t i = 0; i < array_size(exception_names); i++) {
        if (exception_names[i].type == type) {
            return exception_names[i].name;
        }
    }
    return "unknown exception";
}

// The module an address lies in: the outermost region below the root that covers it, and the name
// of its first named mapping. A mapping outside of all regions is of a file that the dynamic linker
// has mapped piece by piece: it counts from the file's beginning.
struct module {
    vaddr_t base;
    char name[ZX_MAX_NAME_LEN];
};

static bool find_module(struct vmar* root, vaddr_t pc, uint32_t* regions_left, struct module* out) {
    struct region_cursor cursor = {};
    struct region_info info;
    struct module candidate = {};
    bool inside = false;
    while (vmar_report(root, &cursor, &info, 1) == 1) {
        if (*regions_left == 0 || thread_killed()) {
            return false;
        }
        (*regions_left)--;
        if (info.depth == 1) {
            if (inside) {
                break;
            }
            inside = pc - info.base < info.size;
            candidate =
                (struct module){.base = info.base - (info.is_mapping ? info.vmo_offset : 0)};
        }
        if (inside && info.is_mapping && candidate.name[0] == '\0') {
            __builtin_memcpy(candidate.name, info.name, sizeof(candidate.name));
        }
    }
    *out = candidate;
    return inside;
}

static void print_frame(struct vmar* root, uint32_t n, vaddr_t pc, uint32_t* regions_left) {
    UNINITIALIZED struct module m;
    if (root != nullptr && find_module(root, pc, regions_left, &m)) {
        text_make_printable(m.name, sizeof(m.name));
        kprintf("{{{bt:%u:0x%lx:%s}}}\n", n, pc - m.base, m.name[0] != '\0' ? m.name : "?");
    } else {
        kprintf("{{{bt:%u:0x%lx:?}}}\n", n, pc);
    }
}

static void print_backtrace(uint64_t pc, uint64_t fp) {
    struct aspace* as = process_aspace(process_current());
    VMAR_REF root = aspace_root(as);
    uint32_t regions_left = REGIONS_MAX;
    print_frame(root, 0, pc, &regions_left);
    for (uint32_t n = 1; n < BACKTRACE_MAX && !thread_killed(); n++) {
        UNINITIALIZED uint64_t link[2];
        vaddr_t missing;
        if ((fp & 7) != 0 ||
            arch_copy_from_user_nofault(link, (const void __user*)fp, sizeof(link), &missing) !=
                0 ||
            link[1] == 0) {
            return;
        }
        print_frame(root, n, link[1], &regions_left);
        if (link[0] <= fp) {
            return;
        }
        fp = link[0];
    }
}

static void print_registers(const struct arch_user_frame* f) {
    kprintf("rip %016lx rsp %016lx rflags %08lx\n", f->rip, f->rsp, f->rflags);
    kprintf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    kprintf("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    kprintf("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    kprintf("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
}

static void print_header(const char* what) {
    char process[ZX_MAX_NAME_LEN];
    char thread[ZX_MAX_NAME_LEN];
    process_get_name(process_current(), process);
    thread_object_get_name(thread_object_current(), thread);
    text_make_printable(process, sizeof(process));
    text_make_printable(thread, sizeof(thread));
    kprintf("crash: %s in process %s (%lu) thread %s (%lu)\n", what, process,
            process_object(process_current())->koid, thread, thread_current()->tid);
}

// A limit or a forbidden action, in a system call that exists.
static bool raised_by_call(const struct arch_exception_report* r) {
    return r->type == ZX_EXCP_POLICY_ERROR && r->synth_code != ZX_EXCP_POLICY_CODE_BAD_SYSCALL;
}

void crash_report(struct arch_user_frame* f, const struct arch_exception_report* r) {
    MUTEX_GUARD(&report_lock);
    print_header(exception_name(r->type));
    if (raised_by_call(r)) {
        // Where it came from says more than the registers, which are the vDSO's.
        kprintf("code %u, data %u\n", r->synth_code, r->synth_data);
        print_backtrace(f->rip, f->rbp);
        return;
    }
    if (r->type == ZX_EXCP_FATAL_PAGE_FAULT) {
        kprintf("%s of 0x%lx failed: status %d\n",
                (r->error_code & 16) != 0  ? "execution"
                : (r->error_code & 2) != 0 ? "write"
                                           : "read",
                r->cr2, (int)r->synth_code);
    } else {
        kprintf("vector %lu, error code 0x%lx, code %u, data %u\n", r->vector, r->error_code,
                r->synth_code, r->synth_data);
    }
    print_registers(f);
    print_backtrace(f->rip, f->rbp);
}
