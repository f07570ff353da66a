// Memory and breakpoints. A software breakpoint is an instruction in the program's text, if that is
// its own (see private_text of <launcher/launcher.h>); text that is shared with others cannot be
// written, and there a debug register does the same. Debug registers are the same in all threads.
#include <string.h>

#include <zircon/syscalls.h>

#include "target.h"

constexpr uint8_t BREAK = 0xcc;
constexpr uint32_t SLOTS = 4;
constexpr uint64_t DR7_EXACT = 1u << 8 | 1u << 9;

// ---- memory ----

static bool is_planted(const struct breakpoint* b) {
    return b->is_set && !b->in_hardware;
}

size_t target_read(struct target* t, uint64_t address, void* out, size_t len) {
    uint8_t* bytes = out;
    size_t done = 0;
    while (done < len) {
        size_t got = 0;
        if (zx_process_read_memory(t->process, address + done, bytes + done, len - done, &got) !=
                ZX_OK ||
            got == 0) {
            break;
        }
        done += got;
    }
    for (size_t i = 0; i < breakpoints_max; i++) {
        const struct breakpoint* b = &t->breakpoints[i];
        if (is_planted(b) && b->address - address < done) {
            bytes[b->address - address] = b->original;
        }
    }
    return done;
}

static zx_status_t write_all(struct target* t, uint64_t address, const uint8_t* data, size_t len) {
    for (size_t done = 0; done < len;) {
        size_t got = 0;
        zx_status_t status =
            zx_process_write_memory(t->process, address + done, data + done, len - done, &got);
        if (status != ZX_OK || got == 0) {
            return status != ZX_OK ? status : ZX_ERR_IO;
        }
        done += got;
    }
    return ZX_OK;
}

zx_status_t target_write(struct target* t, uint64_t address, const void* data, size_t len) {
    const uint8_t* bytes = data;
    zx_status_t status = write_all(t, address, bytes, len);
    for (size_t i = 0; i < breakpoints_max && status == ZX_OK; i++) {
        struct breakpoint* b = &t->breakpoints[i];
        if (is_planted(b) && b->address - address < len) {
            b->original = bytes[b->address - address];
            status = write_all(t, b->address, &BREAK, 1);
        }
    }
    return status;
}

// ---- debug registers ----

static uint64_t slot_enabled(uint32_t slot) {
    return (uint64_t)1 << 2 * slot;
}

// False: the CPU has no such breakpoint.
static bool slot_condition(const struct breakpoint* b, uint64_t* out) {
    if (b->kind <= BREAKPOINT_HARDWARE) {
        *out = 0;
        return true;
    }
    const uint64_t access = b->kind == BREAKPOINT_WRITE ? 1 : 3;
    const uint64_t code = b->len == 1 ? 0 : b->len == 2 ? 1 : b->len == 4 ? 3 : 2;
    *out = access | code << 2;
    const bool length_ok = b->len == 1 || b->len == 2 || b->len == 4 || b->len == 8;
    return length_ok && b->address % b->len == 0;
}

static zx_status_t write_debug_registers(struct target* t,
                                         const zx_x86_64_thread_state_debug_regs_t* regs) {
    for (size_t i = 0; i < t->thread_count; i++) {
        zx_status_t status = zx_thread_write_state(t->threads[i].handle, ZX_THREAD_STATE_DEBUG_REGS,
                                                   regs, sizeof(*regs));
        if (status != ZX_OK && status != ZX_ERR_BAD_STATE) { // it is ending
            return status;
        }
    }
    t->debug_registers = *regs;
    return ZX_OK;
}

static zx_status_t arm(struct target* t, struct breakpoint* b) {
    uint64_t condition;
    if (!slot_condition(b, &condition)) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    zx_x86_64_thread_state_debug_regs_t regs = t->debug_registers;
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        if ((regs.dr7 & slot_enabled(slot)) == 0) {
            regs.dr[slot] = b->address;
            regs.dr7 &= ~((uint64_t)15 << (16 + 4 * slot));
            regs.dr7 |= slot_enabled(slot) | DR7_EXACT | condition << (16 + 4 * slot);
            b->slot = slot;
            b->in_hardware = true;
            return write_debug_registers(t, &regs);
        }
    }
    return ZX_ERR_NO_RESOURCES;
}

static zx_status_t disarm(struct target* t, const struct breakpoint* b) {
    zx_x86_64_thread_state_debug_regs_t regs = t->debug_registers;
    regs.dr7 &= ~slot_enabled(b->slot);
    return write_debug_registers(t, &regs);
}

// ---- breakpoints ----

static struct breakpoint* find(struct target* t, enum breakpoint_kind kind, uint64_t address,
                               uint64_t len) {
    for (size_t i = 0; i < breakpoints_max; i++) {
        struct breakpoint* b = &t->breakpoints[i];
        if (b->is_set && b->kind == kind && b->address == address && b->len == len) {
            return b;
        }
    }
    return nullptr;
}

static zx_status_t plant(struct target* t, struct breakpoint* b) {
    if (target_read(t, b->address, &b->original, 1) != 1) {
        return ZX_ERR_NOT_FOUND;
    }
    return write_all(t, b->address, &BREAK, 1);
}

zx_status_t target_set_breakpoint(struct target* t, enum breakpoint_kind kind, uint64_t address,
                                  uint64_t len) {
    if (find(t, kind, address, len) != nullptr) {
        return ZX_OK; // a packet that came twice
    }
    struct breakpoint* b = nullptr;
    for (size_t i = 0; i < breakpoints_max && b == nullptr; i++) {
        b = t->breakpoints[i].is_set ? nullptr : &t->breakpoints[i];
    }
    if (b == nullptr) {
        return ZX_ERR_NO_RESOURCES;
    }
    *b = (struct breakpoint){.kind = kind, .address = address, .len = len};
    zx_status_t status = kind == BREAKPOINT_SOFTWARE ? plant(t, b) : ZX_ERR_ACCESS_DENIED;
    if (status == ZX_ERR_ACCESS_DENIED) {
        status = arm(t, b);
    }
    b->is_set = status == ZX_OK;
    return status;
}

zx_status_t target_clear_breakpoint(struct target* t, enum breakpoint_kind kind, uint64_t address,
                                    uint64_t len) {
    struct breakpoint* b = find(t, kind, address, len);
    if (b == nullptr) {
        return ZX_OK;
    }
    b->is_set = false;
    return b->in_hardware ? disarm(t, b) : write_all(t, address, &b->original, 1);
}
