// See inject.h.
//
// A thread may be changed only where its own code has no claim on what is changed. It stands then,
// so all of this is read at rest:
//
//  - `inside` is 0: it is in no operation and under no lock of the system layer. (A handler is the
//    program's code again, and counts from 0.) In an operation it will look itself before it
//    blocks.
//  - It is not in the vDSO: a call that was interrupted half-way is made again there, with what is
//    in its registers. The call's way out leads back into the program, where it is found next time.
//  - It is not between signal_enter and signal_enter_end, where a frame is made or undone.
//
// One that may not be changed goes on, and is looked at again, ever less often, until it may be or
// has noticed by itself. So a signal is late, at worst, by as long as the call in which the thread
// is.
//
// Races:
//  - Whoever takes a pending signal does it under signal_lock: the thread itself or the herald,
//  never
//    both. A mask that the thread changes, it changes inside: the herald sees it before or after.
//  - The handler's mask is set while the thread stands, so the same signal cannot come again before
//    its handler runs.
//  - The thread may fault, or be killed, before it stands. In an exception it says that it is
//  suspended
//    only when that is over; the herald waits for that on its port, and handles the exception
//    meanwhile. A thread that ends sends TERMINATED.
//  - The record may be another thread's by then: the halted thread's %fs is compared with it.
//  - Handler in the instruction before pause(): then pause() waits for the next signal, as it does
//  on
//    any system; sigsuspend() is there for that.
//
// What a stack cannot hold is no fault of the herald's: the kernel writes the frame for it, and
// says so if it cannot.
#include "inject.h"

#include <cpuid.h>
#include <string.h>

#include <jacinth/startup.h>
#include <libc/thread.h>
#include <signal/signal_set.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/debug.h>
#include <zircon/syscalls/exception.h>
#include <zircon/syscalls/object.h>

#include "enter.h"
#include "herald.h"

static_assert(offsetof(struct signal_frame, context.registers) == FRAME_REGISTERS);
static_assert(offsetof(struct signal_frame, context.registers[ABI_REG_RDI]) == FRAME_RDI);
static_assert(offsetof(struct signal_frame, context.registers[ABI_REG_EFL]) == FRAME_EFL);
static_assert(offsetof(struct signal_frame, context.fp) == FRAME_FP);
static_assert(offsetof(struct signal_frame, resume) == FRAME_RESUME);
static_assert(offsetof(struct signal_frame, xsave) == FRAME_XSAVE);

// ---- where a thread is ----

struct range {
    uintptr_t begin, len;
};

// What the vDSO's file header says; 0 if there is none, which cannot be.
static struct range vdso_range(void) {
    struct elf_header {
        uint8_t ident[16];
        uint16_t type, machine;
        uint32_t version;
        uint64_t entry, program_headers, section_headers;
        uint32_t flags;
        uint16_t header_len, program_header_len, program_header_count;
    };
    struct program_header {
        uint32_t type, flags;
        uint64_t offset, address, physical, file_len, memory_len, align;
    };
    constexpr uint32_t load = 1;
    uintptr_t base = 0;
    if (zx_object_get_property(zx_process_self(), ZX_PROP_PROCESS_VDSO_BASE_ADDRESS, &base,
                               sizeof(base)) != ZX_OK) {
        return (struct range){};
    }
    const struct elf_header* elf = (const struct elf_header*)base;
    const struct program_header* headers =
        (const struct program_header*)(base + elf->program_headers);
    uintptr_t len = 0;
    for (uint32_t i = 0; i < elf->program_header_count; i++) {
        uintptr_t end = headers[i].address + headers[i].memory_len;
        len = headers[i].type == load && end > len ? end : len;
    }
    return (struct range){.begin = base, .len = len};
}

static bool in_vdso(uintptr_t pc) {
    static struct range vdso; // the herald's
    if (vdso.len == 0) {
        vdso = vdso_range();
    }
    return pc - vdso.begin < vdso.len;
}

static bool may_be_changed(const struct thread_record* thread, uintptr_t pc) {
    uintptr_t enter = (uintptr_t)signal_enter;
    return thread->inside == 0 && pc - enter >= (uintptr_t)signal_enter_end - enter && !in_vdso(pc);
}

// ---- the frame ----

// How much room the registers of FPU and vector unit need; *xsave: by which instruction.
static size_t fp_len(bool* xsave) {
    constexpr unsigned os_uses_xsave = 1u << 27; // CPUID 1, ECX
    uint32_t a, b, c, d;
    *xsave = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & os_uses_xsave) != 0;
    if (!*xsave || __get_cpuid_count(0xd, 0, &a, &b, &c, &d) == 0) {
        *xsave = false;
        return 512;
    }
    return b; // for what is enabled
}

typedef zx_thread_state_general_regs_t registers_t;

static void fill_registers(uint64_t* out, const registers_t* r) {
    constexpr uint64_t user_selectors = 0x2b'0000'0000'0033; // as such contexts have them: SS, CS
    const uint64_t all[ABI_REGISTERS] = {[ABI_REG_R8] = r->r8,
                                         [ABI_REG_R9] = r->r9,
                                         [ABI_REG_R10] = r->r10,
                                         [ABI_REG_R11] = r->r11,
                                         [ABI_REG_R12] = r->r12,
                                         [ABI_REG_R13] = r->r13,
                                         [ABI_REG_R14] = r->r14,
                                         [ABI_REG_R15] = r->r15,
                                         [ABI_REG_RDI] = r->rdi,
                                         [ABI_REG_RSI] = r->rsi,
                                         [ABI_REG_RBP] = r->rbp,
                                         [ABI_REG_RBX] = r->rbx,
                                         [ABI_REG_RDX] = r->rdx,
                                         [ABI_REG_RAX] = r->rax,
                                         [ABI_REG_RCX] = r->rcx,
                                         [ABI_REG_RSP] = r->rsp,
                                         [ABI_REG_RIP] = r->rip,
                                         [ABI_REG_EFL] = r->rflags,
                                         [ABI_REG_CSGSFS] = user_selectors};
    memcpy(out, all, sizeof(all));
}

// The end of the room on the handler's stack.
static uintptr_t stack_top(const struct thread_record* thread, const struct delivery* d,
                           uintptr_t sp) {
    bool is_on = sp - (uintptr_t)thread->alternate_stack < thread->alternate_size;
    if ((d->action.flags & ABI_SA_ONSTACK) != 0 && thread->alternate_size != 0 && !is_on) {
        return (uintptr_t)thread->alternate_stack + thread->alternate_size;
    }
    return sp - RED_ZONE;
}

static bool write_frame(uintptr_t at, const struct signal_frame* frame) {
    size_t written = 0;
    return zx_process_write_memory(zx_process_self(), at, frame, sizeof(*frame), &written) ==
               ZX_OK &&
           written == sizeof(*frame);
}

// Makes the thread, which stands, go on in the handler. False: it has no stack for it, or is being
// killed; nothing has changed.
static bool enter(zx_handle_t thread, struct thread_record* record, const registers_t* regs,
                  const struct delivery* d, const zx_exception_report_t* report) {
    static struct signal_frame frame; // the herald's
    bool xsave;
    size_t room = fp_len(&xsave);
    uintptr_t fp = (stack_top(record, d, regs->rsp) - room) & ~(uintptr_t)63;
    uintptr_t sp = (fp - sizeof(frame)) & ~(uintptr_t)15;
    abi_sigset_t before = record->signals_blocked;
    frame = (struct signal_frame){
        .context = {.stack = {.sp = record->alternate_stack,
                              .flags = record->alternate_size == 0 ? (int)ABI_SS_DISABLE : 0,
                              .size = record->alternate_size},
                    .fp = (void*)fp,
                    .mask = before},
        .xsave = xsave,
        .delivery = *d,
        .info = signal_siginfo(d)};
    uint64_t* registers = frame.context.registers;
    fill_registers(registers, regs);
    if (report != nullptr) {
        const zx_x86_64_exc_data_t* data = &report->context.arch.u.x86_64;
        registers[ABI_REG_TRAPNO] = data->vector;
        registers[ABI_REG_ERR] = data->err_code;
        registers[ABI_REG_CR2] = data->cr2;
        frame.info = (struct abi_siginfo){
            .signo = d->signal, .code = d->info.code, .address = d->info.value};
    }
    constexpr uint64_t trap_and_direction = 0x500, alignment_check = 0x4'0000;
    registers_t next = *regs;
    next.rip = (uintptr_t)signal_enter;
    next.rsp = sp;
    next.rflags &= ~(trap_and_direction | alignment_check);
    if (!write_frame(sp, &frame)) {
        return false;
    }
    // Before it goes on: nobody posts it again to a thread that has not begun to handle it.
    record->signals_blocked = signal_mask_during(before, d);
    if (zx_thread_write_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &next, sizeof(next)) != ZX_OK) {
        record->signals_blocked = before;
        return false;
    }
    return true;
}

// Not checked: to the handler its parameters are musl's structures.
[[clang::no_sanitize("function")]] void signal_run_frame(struct signal_frame* frame) {
    struct thread_record* self = signal_thread_self();
    const struct abi_sigaction* action = &frame->delivery.action;
    if ((action->flags & ABI_SA_SIGINFO) != 0) {
        action->handler3(frame->delivery.signal, &frame->info, &frame->context);
    } else {
        action->handler(frame->delivery.signal);
    }
    // (Inside, so that the next one does not come on top of this frame, but here.)
    thread_record_go_inside(self);
    signal_set_mask(frame->context.mask);
    (void)signal_deliver();
    thread_record_go_outside(self);
}

// ---- faults ----

// By %fs. (The block is read only if it is that of a thread.)
static struct thread_record* record_of(uintptr_t fs) {
    struct thread_record* thread;
    for (uint32_t i = 0; (thread = thread_at(i)) != nullptr; i++) {
        if (thread->tid != 0 && (uintptr_t)thread->block == fs) {
            return thread;
        }
    }
    return nullptr;
}

// Which of a floating point exception's reasons it was.
static int fp_code(zx_handle_t thread, uint64_t vector) {
    constexpr uint64_t simd_error = 19;
    uint32_t flags;
    if (vector == simd_error) {
        static zx_thread_state_vector_regs_t v; // the herald's
        if (zx_thread_read_state(thread, ZX_THREAD_STATE_VECTOR_REGS, &v, sizeof(v)) != ZX_OK) {
            return ABI_FPE_FLTINV;
        }
        flags = v.mxcsr & ~(v.mxcsr >> 7); // raised, and not masked
    } else {
        zx_thread_state_fp_regs_t f;
        if (zx_thread_read_state(thread, ZX_THREAD_STATE_FP_REGS, &f, sizeof(f)) != ZX_OK) {
            return ABI_FPE_FLTINV;
        }
        flags = f.fsw & ~(uint32_t)f.fcw;
    }
    return (flags & 0x01) != 0   ? (int)ABI_FPE_FLTINV
           : (flags & 0x04) != 0 ? (int)ABI_FPE_FLTDIV
           : (flags & 0x08) != 0 ? (int)ABI_FPE_FLTOVF
           : (flags & 0x10) != 0 ? (int)ABI_FPE_FLTUND
           : (flags & 0x20) != 0 ? (int)ABI_FPE_FLTRES
                                 : (int)ABI_FPE_FLTINV;
}

static struct signal_info info_of(zx_handle_t thread, const zx_exception_report_t* report,
                                  const registers_t* regs, int code) {
    bool is_address = report->header.type == ZX_EXCP_FATAL_PAGE_FAULT;
    uint64_t vector = report->context.arch.u.x86_64.vector;
    if (report->header.type == ZX_EXCP_GENERAL && (vector == 16 || vector == 19)) {
        code = fp_code(thread, vector);
    }
    // A general protection fault does not say which address it was.
    uintptr_t address = is_address              ? report->context.arch.u.x86_64.cr2
                        : code == ABI_SI_KERNEL ? 0
                                                : regs->rip;
    return (struct signal_info){.code = code, .value = (void*)address};
}

static bool take_fault(struct thread_record* record, struct delivery* d) {
    libc_lock_acquire(&signal_lock);
    struct signal_state* state = record->block->view->signals;
    bool takes = signal_has_handler(&state->actions[d->signal - 1]) &&
                 (signal_blocked_by(record) & signal_bit(d->signal)) == 0;
    if (takes) {
        signal_take_action_locked(state, d);
    }
    libc_lock_release(&signal_lock);
    return takes;
}

// True: the thread goes on, in its handler. Else the exception is others'.
static bool handle(zx_handle_t thread) {
    zx_exception_report_t report;
    registers_t regs;
    if (zx_object_get_info(thread, ZX_INFO_THREAD_EXCEPTION_REPORT, &report, sizeof(report),
                           nullptr, nullptr) != ZX_OK ||
        zx_thread_read_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &regs, sizeof(regs)) != ZX_OK) {
        return false;
    }
    int code;
    struct delivery d = {.signal = signal_of_exception(&report, &code)};
    struct thread_record* record = record_of(regs.fs_base);
    // abort() is no fault, and what happens inside the layer is the end: its locks may be held.
    if ((signal_faults & signal_bit(d.signal)) == 0 || record == nullptr ||
        !may_be_changed(record, regs.rip) || !take_fault(record, &d)) {
        return false;
    }
    d.info = info_of(thread, &report, &regs, code);
    return enter(thread, record, &regs, &d, &report);
}

bool inject_faults(zx_handle_t channel) {
    for (;;) {
        zx_exception_info_t info;
        zx_handle_t exception, thread;
        uint32_t len, count;
        zx_status_t status =
            zx_channel_read(channel, 0, &info, &exception, sizeof(info), 1, &len, &count);
        if (status != ZX_OK) {
            return status == ZX_ERR_SHOULD_WAIT;
        }
        if (zx_exception_get_thread(exception, &thread) == ZX_OK) {
            uint32_t state = ZX_EXCEPTION_STATE_HANDLED;
            if (handle(thread)) {
                (void)zx_object_set_property(exception, ZX_PROP_EXCEPTION_STATE, &state,
                                             sizeof(state));
            }
            (void)zx_handle_close(thread);
        }
        (void)zx_handle_close(exception);
    }
}

// ---- threads that compute ----

static bool computes(zx_handle_t thread) {
    zx_info_thread_t info;
    return zx_object_get_info(thread, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr) ==
               ZX_OK &&
           info.state == ZX_THREAD_STATE_RUNNING;
}

static void let_go(struct thread_record* thread) {
    zx_handle_t token = thread->halt_token;
    (void)zx_handle_close(thread->halted);
    thread->halt_token = ZX_HANDLE_INVALID;
    thread->halted = ZX_HANDLE_INVALID;
    (void)zx_handle_close(token); // last: nothing of it is left when the thread goes on
}

static bool halt(struct thread_record* thread, zx_handle_t port, uint64_t key) {
    thread->halted = thread_duplicate_handle(thread);
    if (thread->halted != ZX_HANDLE_INVALID && computes(thread->halted) &&
        zx_task_suspend(thread->halted, &thread->halt_token) == ZX_OK &&
        zx_object_wait_async(thread->halted, port, key, ZX_THREAD_SUSPENDED | ZX_THREAD_TERMINATED,
                             0) == ZX_OK) {
        return true;
    }
    let_go(thread);
    return false;
}

bool inject_look_locked(zx_handle_t port, uint64_t key) {
    bool any = false;
    abi_sigset_t of_process = signal_process.pending;
    struct thread_record* thread;
    for (uint32_t i = 0; (thread = thread_at(i)) != nullptr; i++) {
        abi_sigset_t waits = (thread->signals_pending | of_process) & ~signal_blocked_by(thread);
        if (thread->tid == 0 || waits == 0) {
            continue;
        }
        any = true;
        bool is_halted = thread->halt_token != ZX_HANDLE_INVALID;
        if (is_halted || (thread->inside == 0 && halt(thread, port, key + i))) {
            of_process = 0; // one is enough for it
        }
    }
    return any;
}

// The thread stands: it enters the handler of the next signal that has one.
static void interrupt(struct thread_record* thread, const registers_t* regs) {
    struct delivery d;
    do {
        libc_lock_acquire(&signal_lock);
        signal_take_delivery_locked(thread, thread->block->view->signals, &d);
        libc_lock_release(&signal_lock);
        if (d.signal == 0) {
            return;
        }
    } while (signal_is_ignored(d.signal, &d.action));
    if (!signal_has_handler(&d.action)) {
        signal_end_process(d.signal);
    }
    if (!enter(thread->halted, thread, regs, &d, nullptr)) {
        signal_end_process(ABI_SIGSEGV); // as a fault that has no stack to be handled on
    }
}

void inject_halted(uint32_t index) {
    struct thread_record* thread = thread_at(index);
    registers_t regs;
    // (An earlier thread of the record may have ended: then this cannot be read.)
    if (zx_thread_read_state(thread->halted, ZX_THREAD_STATE_GENERAL_REGS, &regs, sizeof(regs)) ==
            ZX_OK &&
        thread->tid != 0 && regs.fs_base == (uintptr_t)thread->block &&
        may_be_changed(thread, regs.rip)) {
        interrupt(thread, &regs);
    }
    let_go(thread);
}
