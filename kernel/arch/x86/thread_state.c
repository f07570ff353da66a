// Registers of stopped threads, for debuggers; and the debug registers, which are switched only
// with threads that have some. See <arch/thread_state.h>.
//
// General registers are in the frame on the kernel stack, FPU and vector registers in the thread's
// save area. A write makes the area newer than any CPU's registers (`fpu_cpu`), so the next switch
// loads it. In an XSAVE area a component whose bit in XSTATE_BV is clear is in its initial state,
// whatever its bytes are.
#include <arch/thread_state.h>

#include <stddef.h>

#include <zircon/syscalls/debug.h>

#include <arch/cpu.h>
#include <arch/layout.h>
#include <arch/upcalls.h>
#include <lib/bits.h>
#include <lib/compiler.h>
#include <lib/string.h>
#include <sched/thread.h>

#include "debug_regs.h"
#include "fpu.h"
#include "regs.h"
#include "sysret.h"
#include "thread_state.h"

// ---- debug registers ----

struct debug_area {
    uint64_t dr[DEBUG_REGS];
    uint64_t dr7;
};

static bool is_armed(const struct debug_area* d) {
    return d != nullptr && (d->dr7 & DR7_ARMED) != 0;
}

static void dr_write(const uint64_t dr[DEBUG_REGS]) {
    __asm__ volatile("movq %0, %%dr0" ::"r"(dr[0]));
    __asm__ volatile("movq %0, %%dr1" ::"r"(dr[1]));
    __asm__ volatile("movq %0, %%dr2" ::"r"(dr[2]));
    __asm__ volatile("movq %0, %%dr3" ::"r"(dr[3]));
}

void x86_debug_load(const void* debug) {
    const struct debug_area* d = debug;
    if (is_armed(d)) {
        dr_write(d->dr);
        dr7_write(d->dr7 | DR7_FIXED);
    } else {
        dr7_write(DR7_FIXED);
    }
}

// A thread has the area from the first write to its end.
static status_t debug_area_make(struct arch_thread* t) {
    if (t->debug != nullptr) {
        return STATUS_OK;
    }
    struct debug_area* d = arch_upcall_alloc(sizeof(*d));
    if (d == nullptr) {
        return STATUS_NO_MEMORY;
    }
    // The thread may be on its way off a CPU, where the switch looks whether there is one.
    __atomic_store_n(&t->debug, d, __ATOMIC_RELEASE);
    return STATUS_OK;
}

// The general switch, which looks at the area, is taken while a thread has armed breakpoints: it is
// off its CPU when that changes, so the switch to it comes after, and the one from it was before.
static void count_armed(bool before, bool now) {
    if (now && !before) {
        __atomic_fetch_add(&x86_slow_switch, 1, __ATOMIC_RELAXED);
    } else if (before && !now) {
        __atomic_fetch_sub(&x86_slow_switch, 1, __ATOMIC_RELAXED);
    }
}

void x86_debug_free(struct arch_thread* t) {
    if (t->debug != nullptr) {
        count_armed(is_armed(t->debug), false);
        arch_upcall_free(t->debug);
        t->debug = nullptr;
    }
}

void x86_debug_note(struct arch_user_frame* frame) {
    struct arch_thread* t = &arch_current_thread()->arch;
    const uint64_t dr6 = dr6_read();
    dr6_write(DR6_FIXED);
    t->debug_status = (uint32_t)(dr6 & DR6_USER);
    const struct debug_area* d = t->debug;
    if (d != nullptr && x86_debug_hit_execution(d->dr7, dr6)) {
        frame->rflags |= X86_RFLAGS_RF;
    }
}

void x86_debug_note_step(void) {
    arch_current_thread()->arch.debug_status = DR6_STEP;
}

static void debug_get(struct thread* t, void* state) {
    zx_thread_state_debug_regs_t* r = state;
    *r = (zx_thread_state_debug_regs_t){.dr6 = t->arch.debug_status | DR6_FIXED, .dr7 = DR7_FIXED};
    const struct debug_area* d = t->arch.debug;
    if (d != nullptr) {
        memcpy(r->dr, d->dr, sizeof(r->dr));
        r->dr7 |= d->dr7;
    }
}

static status_t debug_check(struct thread* t, const void* state) {
    const zx_thread_state_debug_regs_t* r = state;
    if (!x86_debug_regs_ok(r->dr, r->dr7)) {
        return STATUS_INVALID_ARGS;
    }
    return debug_area_make(&t->arch);
}

static void debug_set(struct thread* t, const void* state) {
    const zx_thread_state_debug_regs_t* r = state;
    struct debug_area* d = t->arch.debug;
    const bool before = is_armed(d);
    memcpy(d->dr, r->dr, sizeof(d->dr));
    d->dr7 = r->dr7 & DR7_USER;
    count_armed(before, is_armed(d));
    t->arch.debug_status = (uint32_t)(r->dr6 & DR6_USER);
}

// ---- general registers ----

static void general_get(struct thread* t, void* state) {
    const struct arch_user_frame* f = arch_thread_user_frame(&t->arch);
    *(zx_thread_state_general_regs_t*)state = (zx_thread_state_general_regs_t){
        .rax = f->rax,
        .rbx = f->rbx,
        .rcx = f->rcx,
        .rdx = f->rdx,
        .rsi = f->rsi,
        .rdi = f->rdi,
        .rbp = f->rbp,
        .rsp = f->rsp,
        .r8 = f->r8,
        .r9 = f->r9,
        .r10 = f->r10,
        .r11 = f->r11,
        .r12 = f->r12,
        .r13 = f->r13,
        .r14 = f->r14,
        .r15 = f->r15,
        .rip = f->rip,
        .rflags = f->rflags,
        .fs_base = t->arch.fs_base,
        .gs_base = t->arch.gs_base,
    };
}

// The bases may be what user mode can set by itself, where there is FSGSBASE: what was read can be
// written back, whatever the thread has done to keep its debugger from that. An address of the
// kernel's there gives user mode nothing; one that is not canonical would fault in the switch.
static status_t general_check(struct thread*, const void* state) {
    const zx_thread_state_general_regs_t* r = state;
    const bool ok =
        r->rip < USER_HALF_END && x86_canonical(r->fs_base) && x86_canonical(r->gs_base);
    return ok ? STATUS_OK : STATUS_INVALID_ARGS;
}

// Selectors, vector and error code stay. A frame that SYSRET cannot load is returned from by IRET.
static void general_set(struct thread* t, const void* state) {
    const zx_thread_state_general_regs_t* r = state;
    struct arch_user_frame* f = arch_thread_user_frame(&t->arch);
    f->rax = r->rax;
    f->rbx = r->rbx;
    f->rcx = r->rcx;
    f->rdx = r->rdx;
    f->rsi = r->rsi;
    f->rdi = r->rdi;
    f->rbp = r->rbp;
    f->rsp = r->rsp;
    f->r8 = r->r8;
    f->r9 = r->r9;
    f->r10 = r->r10;
    f->r11 = r->r11;
    f->r12 = r->r12;
    f->r13 = r->r13;
    f->r14 = r->r14;
    f->r15 = r->r15;
    f->rip = r->rip;
    f->rflags = (r->rflags & X86_RFLAGS_USER) | X86_RFLAGS_IF | X86_RFLAGS_RESERVED1;
    t->arch.fs_base = r->fs_base;
    t->arch.gs_base = r->gs_base;
}

// ---- single step: the trap flag ----

static void step_get(struct thread* t, void* state) {
    const struct arch_user_frame* f = arch_thread_user_frame(&t->arch);
    *(zx_thread_state_single_step_t*)state = (f->rflags & X86_RFLAGS_TF) != 0;
}

static status_t step_check(struct thread*, const void* state) {
    return *(const zx_thread_state_single_step_t*)state <= 1 ? STATUS_OK : STATUS_INVALID_ARGS;
}

static void step_set(struct thread* t, const void* state) {
    struct arch_user_frame* f = arch_thread_user_frame(&t->arch);
    const bool on = *(const zx_thread_state_single_step_t*)state != 0;
    f->rflags = on ? f->rflags | X86_RFLAGS_TF : f->rflags & ~X86_RFLAGS_TF;
}

// ---- x87, SSE, AVX ----

// The save area: FXSAVE's 512 bytes, the XSAVE header, the upper halves of the AVX registers.
struct fpu_area {
    struct {
        uint16_t control_word;
        uint8_t rest[22];
    } x87;
    uint32_t mxcsr;
    uint32_t mxcsr_mask;
    uint64_t st[8][2];
    uint64_t xmm[16][2];
    uint8_t unused[96];
    uint64_t xstate_bv;
    uint64_t header[7];
    uint64_t ymm_high[16][2];
};
static_assert(offsetof(struct fpu_area, mxcsr) == 24);
static_assert(offsetof(struct fpu_area, xmm) == 160);
static_assert(offsetof(struct fpu_area, xstate_bv) == 512);
static_assert(offsetof(struct fpu_area, ymm_high) == 576);
static_assert(sizeof(struct fpu_area) == FPU_AREA_BYTES);

enum : uint64_t { XSTATE_X87 = 1u << 0, XSTATE_SSE = 1u << 1, XSTATE_AVX = 1u << 2 };
constexpr uint32_t MXCSR_MASK_DEFAULT = 0xffbf; // of CPUs that do not say

// Whether the bytes of a component mean something.
static bool has_state(const struct fpu_area* a, uint64_t component) {
    if (x86_fpu_how == X86_FPU_FXSAVE) {
        return component != XSTATE_AVX;
    }
    return (a->xstate_bv & component) != 0;
}

static void wrote_state(struct thread* t, uint64_t components) {
    struct fpu_area* a = t->arch.fpu;
    if (x86_fpu_how != X86_FPU_FXSAVE) {
        a->xstate_bv |= components;
    }
    t->arch.fpu_cpu = FPU_NO_CPU;
}

// The structure has the layout of the area's beginning, but for the two words of SSE.
static_assert(offsetof(zx_thread_state_fp_regs_t, padding1) == offsetof(struct fpu_area, mxcsr));
static_assert(offsetof(zx_thread_state_fp_regs_t, st) == offsetof(struct fpu_area, st));

static void fp_get(struct thread* t, void* state) {
    const struct fpu_area* a = t->arch.fpu;
    zx_thread_state_fp_regs_t* r = state;
    *r = (zx_thread_state_fp_regs_t){.fcw = 0x37f};
    if (has_state(a, XSTATE_X87)) {
        memcpy(r, &a->x87, sizeof(a->x87));
        for (size_t i = 0; i < array_size(r->st); i++) {
            r->st[i].low = a->st[i][0];
            r->st[i].high = a->st[i][1] & UINT16_MAX;
        }
    }
}

static void fp_set(struct thread* t, const void* state) {
    struct fpu_area* a = t->arch.fpu;
    const zx_thread_state_fp_regs_t* r = state;
    memcpy(&a->x87, r, sizeof(a->x87));
    a->x87.rest[3] = 0; // reserved, behind the tags
    for (size_t i = 0; i < array_size(r->st); i++) {
        a->st[i][0] = r->st[i].low;
        a->st[i][1] = r->st[i].high & UINT16_MAX;
    }
    wrote_state(t, XSTATE_X87);
}

static void vector_get(struct thread* t, void* state) {
    const struct fpu_area* a = t->arch.fpu;
    zx_thread_state_vector_regs_t* r = state;
    memset(r, 0, sizeof(*r));
    r->mxcsr = a->mxcsr;
    for (size_t i = 0; i < array_size(a->xmm); i++) {
        if (has_state(a, XSTATE_SSE)) {
            memcpy(&r->zmm[i].v[0], a->xmm[i], sizeof(a->xmm[i]));
        }
        if (has_state(a, XSTATE_AVX)) {
            memcpy(&r->zmm[i].v[2], a->ymm_high[i], sizeof(a->ymm_high[i]));
        }
    }
}

static status_t vector_check(struct thread* t, const void* state) {
    const struct fpu_area* a = t->arch.fpu;
    const zx_thread_state_vector_regs_t* r = state;
    const uint32_t mask = a->mxcsr_mask != 0 ? a->mxcsr_mask : MXCSR_MASK_DEFAULT;
    return (r->mxcsr & ~mask) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

static void vector_set(struct thread* t, const void* state) {
    struct fpu_area* a = t->arch.fpu;
    const zx_thread_state_vector_regs_t* r = state;
    const bool avx = arch_cpu_features()->avx;
    a->mxcsr = r->mxcsr;
    for (size_t i = 0; i < array_size(a->xmm); i++) {
        memcpy(a->xmm[i], &r->zmm[i].v[0], sizeof(a->xmm[i]));
        if (avx) {
            memcpy(a->ymm_high[i], &r->zmm[i].v[2], sizeof(a->ymm_high[i]));
        }
    }
    wrote_state(t, XSTATE_SSE | (avx ? XSTATE_AVX : 0));
}

// ---- the table ----

static status_t anything(struct thread*, const void*) {
    return STATUS_OK;
}

struct topic {
    uint32_t topic;
    uint32_t size;
    status_t (*check)(struct thread* t, const void* state);
    void (*get)(struct thread* t, void* state);
    void (*set)(struct thread* t, const void* state);
};

static const struct topic topics[] = {
    {ZX_THREAD_STATE_GENERAL_REGS, sizeof(zx_thread_state_general_regs_t), general_check,
     general_get, general_set},
    {ZX_THREAD_STATE_FP_REGS, sizeof(zx_thread_state_fp_regs_t), anything, fp_get, fp_set},
    {ZX_THREAD_STATE_VECTOR_REGS, sizeof(zx_thread_state_vector_regs_t), vector_check, vector_get,
     vector_set},
    {ZX_THREAD_STATE_DEBUG_REGS, sizeof(zx_thread_state_debug_regs_t), debug_check, debug_get,
     debug_set},
    {ZX_THREAD_STATE_SINGLE_STEP, sizeof(zx_thread_state_single_step_t), step_check, step_get,
     step_set},
};
static_assert(ARCH_THREAD_STATE_MAX == sizeof(zx_thread_state_vector_regs_t));

static const struct topic* find(uint32_t topic) {
    for (size_t i = 0; i < array_size(topics); i++) {
        if (topics[i].topic == topic) {
            return &topics[i];
        }
    }
    return nullptr;
}

size_t arch_thread_state_size(uint32_t topic) {
    const struct topic* t = find(topic);
    return t != nullptr ? t->size : 0;
}
status_t arch_thread_state_check(struct thread* t, uint32_t topic, const void* state) {
    return find(topic)->check(t, state);
}
void arch_thread_state_get(struct thread* t, uint32_t topic, void* state) {
    find(topic)->get(t, state);
}
void arch_thread_state_set(struct thread* t, uint32_t topic, const void* state) {
    find(topic)->set(t, state);
}
