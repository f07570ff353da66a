#include "target.h"

#include "libraries.h"

#include <stdlib.h>
#include <string.h>

#include <jacinth/abort.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/time.h>

constexpr uint64_t TRAP_FLAG = 1u << 8;
constexpr uint64_t DR6_STEP = 1u << 14;
constexpr uint8_t BREAK = 0xcc;
constexpr int64_t STAND_WAIT = ZX_SEC(2); // for one thread; a longer fault leaves it unreadable

static void close_handle(zx_handle_t* h) {
    (void)zx_handle_close(*h); // ZX_HANDLE_INVALID is fine
    *h = ZX_HANDLE_INVALID;
}

// ---- threads ----

struct target_thread* target_find(struct target* t, zx_koid_t koid) {
    for (size_t i = 0; i < t->thread_count; i++) {
        if (t->threads[i].koid == koid) {
            return &t->threads[i];
        }
    }
    return nullptr;
}

static struct target_thread* add_thread(struct target* t, zx_koid_t koid) {
    zx_handle_t handle;
    if (t->thread_count == threads_max ||
        zx_object_get_child(t->process, koid, ZX_RIGHT_SAME_RIGHTS, &handle) != ZX_OK) {
        return nullptr;
    }
    struct target_thread* thread = &t->threads[t->thread_count++];
    *thread = (struct target_thread){.koid = koid, .handle = handle};
    return thread;
}

static void let_go(struct target_thread* thread, uint32_t state) {
    if (thread->exception != ZX_HANDLE_INVALID) {
        (void)zx_object_set_property(thread->exception, ZX_PROP_EXCEPTION_STATE, &state,
                                     sizeof(state));
        close_handle(&thread->exception);
    }
}

// The last one takes its place.
static void drop_thread(struct target* t, struct target_thread* thread) {
    let_go(thread, ZX_EXCEPTION_STATE_HANDLED);
    close_handle(&thread->token);
    close_handle(&thread->handle);
    *thread = t->threads[--t->thread_count];
}

// Those that are there now.
static void find_threads(struct target* t) {
    static zx_koid_t koids[threads_max];
    size_t count = 0;
    (void)zx_object_get_info(t->process, ZX_INFO_PROCESS_THREADS, koids, sizeof(koids), &count,
                             nullptr);
    for (size_t i = 0; i < t->thread_count;) {
        bool is_there = false;
        for (size_t k = 0; k < count; k++) {
            is_there |= koids[k] == t->threads[i].koid;
        }
        if (is_there) {
            i++;
        } else {
            drop_thread(t, &t->threads[i]);
        }
    }
    for (size_t k = 0; k < count; k++) {
        if (target_find(t, koids[k]) == nullptr) {
            (void)add_thread(t, koids[k]);
        }
    }
}

// Suspended, in an exception (which may still be unread), or at its end.
static bool is_standing(const struct target_thread* thread) {
    zx_info_thread_t info;
    if (zx_object_get_info(thread->handle, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr) !=
        ZX_OK) {
        return true;
    }
    return info.state == ZX_THREAD_STATE_NEW || info.state == ZX_THREAD_STATE_SUSPENDED ||
           info.state == ZX_THREAD_STATE_BLOCKED_EXCEPTION || info.state == ZX_THREAD_STATE_DYING ||
           info.state == ZX_THREAD_STATE_DEAD;
}

static void wait_until_standing(const struct target_thread* thread) {
    const zx_time_t end = zx_deadline_after(STAND_WAIT);
    while (!is_standing(thread) && zx_clock_get_monotonic() < end) {
        (void)zx_object_wait_one(thread->handle, ZX_THREAD_SUSPENDED | ZX_THREAD_TERMINATED,
                                 zx_deadline_after(ZX_MSEC(2)), nullptr);
    }
}

static void set_step(struct target_thread* thread, bool on) {
    const zx_thread_state_single_step_t value = on;
    (void)zx_thread_write_state(thread->handle, ZX_THREAD_STATE_SINGLE_STEP, &value, sizeof(value));
    thread->is_stepping = on;
}

// ---- standing and going ----

static const struct breakpoint* planted_at(const struct target* t, uint64_t address) {
    for (size_t i = 0; i < breakpoints_max; i++) {
        const struct breakpoint* b = &t->breakpoints[i];
        if (b->is_set && !b->in_hardware && b->address == address) {
            return b;
        }
    }
    return nullptr;
}

// A thread that has executed a breakpoint of ours stands behind it; it is shown where that is.
static bool move_back(struct target* t, const struct target_thread* thread) {
    zx_thread_state_general_regs_t r;
    if (zx_thread_read_state(thread->handle, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r)) !=
            ZX_OK ||
        planted_at(t, r.rip - 1) == nullptr) {
        return false;
    }
    r.rip--;
    return zx_thread_write_state(thread->handle, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r)) ==
           ZX_OK;
}

// The next exception is the thread's. Null: there is none. One that belongs to no thread that is
// known goes on as if nobody listened.
static struct target_thread* take_exception(struct target* t) {
    zx_exception_info_t info;
    zx_handle_t handle;
    uint32_t bytes;
    uint32_t handles;
    while (zx_channel_read(t->channel, 0, &info, &handle, sizeof(info), 1, &bytes, &handles) ==
           ZX_OK) {
        struct target_thread* thread = target_find(t, info.tid);
        if (thread == nullptr) {
            thread = add_thread(t, info.tid);
        }
        if (thread != nullptr) {
            thread->exception = handle;
            thread->exception_type = info.type;
            thread->was_moved = false;
            return thread;
        }
        (void)zx_handle_close(handle);
    }
    return nullptr;
}

// Some thread stands in an exception for us that we have not got: the kernel says so a moment
// before it sends the message.
static bool is_exception_on_its_way(const struct target* t) {
    for (size_t i = 0; i < t->thread_count; i++) {
        const struct target_thread* thread = &t->threads[i];
        zx_info_thread_t info = {};
        (void)zx_object_get_info(thread->handle, ZX_INFO_THREAD, &info, sizeof(info), nullptr,
                                 nullptr);
        if (thread->exception == ZX_HANDLE_INVALID &&
            info.state == ZX_THREAD_STATE_BLOCKED_EXCEPTION &&
            info.wait_exception_channel_type == ZX_EXCEPTION_CHANNEL_TYPE_DEBUGGER) {
            return true;
        }
    }
    return false;
}

// What other threads ran into before they were stopped.
static void find_exceptions(struct target* t) {
    const zx_time_t end = zx_deadline_after(STAND_WAIT);
    do {
        struct target_thread* thread;
        while ((thread = take_exception(t)) != nullptr) {
            thread->is_pending = true;
            thread->was_moved =
                thread->exception_type == ZX_EXCP_SW_BREAKPOINT && move_back(t, thread);
        }
    } while (is_exception_on_its_way(t) &&
             zx_object_wait_one(t->channel, ZX_CHANNEL_READABLE, end, nullptr) == ZX_OK);
}

void target_stand(struct target* t, struct stop why) {
    if (t->token == ZX_HANDLE_INVALID) {
        (void)zx_task_suspend(t->process, &t->token); // fails at its end, which is noticed later
        find_threads(t);
        for (size_t i = 0; i < t->thread_count; i++) {
            struct target_thread* thread = &t->threads[i];
            wait_until_standing(thread);
            close_handle(&thread->token);
            if (thread->is_stepping) {
                set_step(thread, false);
            }
        }
        find_exceptions(t);
    }
    if (why.thread == 0 && t->thread_count > 0) {
        why.thread = t->threads[0].koid;
    }
    t->stop = why;
}

void target_prepare(struct target* t, struct target_thread* thread, enum action action,
                    uint8_t signal) {
    (void)t;
    if (action == ACTION_STAND) {
        if (thread->token == ZX_HANDLE_INVALID) {
            (void)zx_task_suspend(thread->handle, &thread->token);
        }
        return;
    }
    close_handle(&thread->token);
    if (thread->is_pending) {
        return; // it has something to say first
    }
    if (action == ACTION_STEP) {
        set_step(thread, true);
    }
    const bool is_own = thread->exception_type == ZX_EXCP_SW_BREAKPOINT ||
                        thread->exception_type == ZX_EXCP_HW_BREAKPOINT ||
                        thread->exception_type == ZX_EXCP_THREAD_STARTING;
    let_go(thread, signal != SIGNAL_NONE && !is_own ? ZX_EXCEPTION_STATE_TRY_NEXT
                                                    : ZX_EXCEPTION_STATE_HANDLED);
}

void target_go(struct target* t) {
    t->stop = (struct stop){};
    close_handle(&t->token);
}

// ---- registers ----

zx_status_t target_read_registers(const struct target_thread* thread, struct registers* out) {
    zx_status_t status = zx_thread_read_state(thread->handle, ZX_THREAD_STATE_GENERAL_REGS,
                                              &out->general, sizeof(out->general));
    if (status == ZX_OK) {
        status = zx_thread_read_state(thread->handle, ZX_THREAD_STATE_FP_REGS, &out->fp,
                                      sizeof(out->fp));
    }
    if (status == ZX_OK) {
        status = zx_thread_read_state(thread->handle, ZX_THREAD_STATE_VECTOR_REGS, &out->vector,
                                      sizeof(out->vector));
    }
    return status;
}

zx_status_t target_write_registers(const struct target_thread* thread, const struct registers* r) {
    zx_status_t status = zx_thread_write_state(thread->handle, ZX_THREAD_STATE_GENERAL_REGS,
                                               &r->general, sizeof(r->general));
    if (status == ZX_OK) {
        status =
            zx_thread_write_state(thread->handle, ZX_THREAD_STATE_FP_REGS, &r->fp, sizeof(r->fp));
    }
    if (status == ZX_OK) {
        status = zx_thread_write_state(thread->handle, ZX_THREAD_STATE_VECTOR_REGS, &r->vector,
                                       sizeof(r->vector));
    }
    return status;
}

// ---- exceptions ----

static void stand_in(struct target* t, const struct target_thread* thread, enum stop_reason reason,
                     uint8_t signal) {
    target_stand(t, (struct stop){.reason = reason, .signal = signal, .thread = thread->koid});
}

// The thread stands behind the instruction, or was moved back to it. If that was a breakpoint of
// ours which has been taken away since, it goes on.
static void on_break_instruction(struct target* t, struct target_thread* thread) {
    zx_thread_state_general_regs_t r = {};
    const bool was_moved = thread->was_moved || move_back(t, thread);
    (void)zx_thread_read_state(thread->handle, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r));
    uint8_t before = 0;
    (void)target_read(t, r.rip - 1, &before, 1);
    if (was_moved && planted_at(t, r.rip) != nullptr) {
        stand_in(t, thread, STOP_BREAKPOINT, SIGNAL_TRAP);
    } else if (!was_moved && before == BREAK) {
        stand_in(t, thread, STOP_SIGNAL, SIGNAL_TRAP); // the program's own
    } else {
        if (!was_moved) {
            r.rip--;
            (void)zx_thread_write_state(thread->handle, ZX_THREAD_STATE_GENERAL_REGS, &r,
                                        sizeof(r));
        }
        let_go(thread, ZX_EXCEPTION_STATE_HANDLED);
    }
}

static const struct breakpoint* hit_slot(const struct target* t, uint64_t dr6) {
    for (size_t i = 0; i < breakpoints_max; i++) {
        const struct breakpoint* b = &t->breakpoints[i];
        if (b->is_set && b->in_hardware && (dr6 >> b->slot & 1) != 0) {
            return b;
        }
    }
    return nullptr;
}

static void on_debug_exception(struct target* t, struct target_thread* thread) {
    zx_thread_state_debug_regs_t d = {};
    zx_thread_state_general_regs_t r = {};
    (void)zx_thread_read_state(thread->handle, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d));
    (void)zx_thread_read_state(thread->handle, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r));
    const struct breakpoint* b = hit_slot(t, d.dr6);
    if (b != nullptr && b->kind >= BREAKPOINT_WRITE) {
        target_stand(t, (struct stop){.reason = STOP_WATCH,
                                      .signal = SIGNAL_TRAP,
                                      .thread = thread->koid,
                                      .watch = b});
    } else if (b != nullptr) {
        stand_in(t, thread, b->kind == BREAKPOINT_SOFTWARE ? STOP_BREAKPOINT : STOP_HARDWARE,
                 SIGNAL_TRAP);
    } else if ((d.dr6 & DR6_STEP) != 0 && (thread->is_stepping || (r.rflags & TRAP_FLAG) != 0)) {
        stand_in(t, thread, STOP_SIGNAL, SIGNAL_TRAP);
    } else {
        // Of a step that was given up, or a breakpoint that was taken away.
        let_go(thread, ZX_EXCEPTION_STATE_HANDLED);
    }
}

static uint8_t signal_of(const struct target_thread* thread) {
    switch (thread->exception_type) {
    case ZX_EXCP_UNDEFINED_INSTRUCTION:
        return SIGNAL_ILL;
    case ZX_EXCP_UNALIGNED_ACCESS:
        return SIGNAL_BUS;
    case ZX_EXCP_POLICY_ERROR:
        return SIGNAL_SYS;
    case ZX_EXCP_GENERAL: {
        constexpr uint64_t divide_error = 0, x87_error = 16, simd_error = 19;
        zx_exception_report_t report = {};
        (void)zx_object_get_info(thread->handle, ZX_INFO_THREAD_EXCEPTION_REPORT, &report,
                                 sizeof(report), nullptr, nullptr);
        const uint64_t vector = report.context.arch.u.x86_64.vector;
        if (JACINTH_IS_ABORT(vector, report.context.arch.u.x86_64.err_code)) {
            return SIGNAL_ABRT;
        }
        return vector == divide_error || vector == x87_error || vector == simd_error ? SIGNAL_FPE
                                                                                     : SIGNAL_SEGV;
    }
    default:
        return SIGNAL_SEGV;
    }
}

static void on_start(struct target* t, struct target_thread* thread) {
    if (t->debug_registers.dr7 != 0) {
        (void)zx_thread_write_state(thread->handle, ZX_THREAD_STATE_DEBUG_REGS, &t->debug_registers,
                                    sizeof(t->debug_registers));
    }
    if (t->stands_at_start) {
        t->stands_at_start = false;
        stand_in(t, thread, STOP_SIGNAL, SIGNAL_TRAP);
    } else {
        let_go(thread, ZX_EXCEPTION_STATE_HANDLED);
    }
}

static void on_exception(struct target* t, struct target_thread* thread) {
    thread->is_pending = false;
    switch (thread->exception_type) {
    case ZX_EXCP_THREAD_STARTING:
        on_start(t, thread);
        break;
    case ZX_EXCP_THREAD_EXITING:
        drop_thread(t, thread);
        break;
    case ZX_EXCP_SW_BREAKPOINT:
        on_break_instruction(t, thread);
        break;
    case ZX_EXCP_HW_BREAKPOINT:
        on_debug_exception(t, thread);
        break;
    default:
        stand_in(t, thread, STOP_SIGNAL, signal_of(thread));
        break;
    }
}

// Of those that are to go the next that had something to say.
static struct target_thread* next_pending(struct target* t) {
    for (size_t i = 0; i < t->thread_count; i++) {
        if (t->threads[i].is_pending && t->threads[i].token == ZX_HANDLE_INVALID) {
            return &t->threads[i];
        }
    }
    return nullptr;
}

static void note_end(struct target* t) {
    zx_info_process_t info = {};
    (void)zx_object_get_info(t->process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr);
    t->stop = (struct stop){.reason = STOP_ENDED, .code = info.return_code};
}

bool target_wait(struct target* t, zx_time_t deadline) {
    const bool goes = t->token == ZX_HANDLE_INVALID;
    struct target_thread* thread;
    while (goes && t->stop.reason == STOP_NONE && (thread = next_pending(t)) != nullptr) {
        on_exception(t, thread);
    }
    if (t->stop.reason != STOP_NONE && goes) {
        return true;
    }
    // While it stands exceptions stay where they are.
    zx_wait_item_t items[] = {{.handle = t->process, .waitfor = ZX_PROCESS_TERMINATED},
                              {.handle = t->channel, .waitfor = ZX_CHANNEL_READABLE}};
    (void)zx_object_wait_many(items, goes ? 2 : 1, deadline);
    if ((items[0].pending & ZX_PROCESS_TERMINATED) != 0) {
        note_end(t);
    } else if (goes && (items[1].pending & ZX_CHANNEL_READABLE) != 0 &&
               (thread = take_exception(t)) != nullptr) {
        on_exception(t, thread);
    }
    return t->stop.reason != STOP_NONE;
}

// ---- coming and leaving ----

zx_status_t target_attach(struct target* t, zx_handle_t process) {
    t->process = process;
    return zx_task_create_exception_channel(process, ZX_EXCEPTION_CHANNEL_DEBUGGER, &t->channel);
}

void target_detach(struct target* t) {
    for (size_t i = 0; i < breakpoints_max; i++) {
        const struct breakpoint b = t->breakpoints[i];
        if (b.is_set) {
            (void)target_clear_breakpoint(t, b.kind, b.address, b.len);
        }
    }
    while (t->thread_count > 0) {
        drop_thread(t, &t->threads[0]);
    }
    close_handle(&t->channel);
    close_handle(&t->token);
}

// ---- the image ----

// Whether an ELF file with an entry point lies there: the vDSO has none.
static bool is_image(struct target* t, uint64_t address) {
    constexpr size_t entry_offset = 24;
    uint8_t header[64];
    uint64_t entry;
    if (target_read(t, address, header, sizeof(header)) != sizeof(header) || memcmp(header,
                                                                                    "\x7f"
                                                                                    "ELF",
                                                                                    4) != 0) {
        return false;
    }
    memcpy(&entry, header + entry_offset, sizeof(entry));
    return entry != 0;
}

uint64_t target_find_image(struct target* t) {
    const uint64_t program = libraries_program(t);
    if (program != 0) {
        return program;
    }
    constexpr size_t maps_max = 512;
    zx_info_maps_t* maps = malloc(maps_max * sizeof(*maps));
    size_t count = 0;
    uint64_t found = 0;
    if (maps != nullptr && zx_object_get_info(t->process, ZX_INFO_PROCESS_MAPS, maps,
                                              maps_max * sizeof(*maps), &count, nullptr) == ZX_OK) {
        for (size_t i = 0; i < count && found == 0; i++) {
            if (maps[i].type == ZX_INFO_MAPS_TYPE_MAPPING && is_image(t, maps[i].base)) {
                found = maps[i].base;
            }
        }
    }
    free(maps);
    return found;
}
