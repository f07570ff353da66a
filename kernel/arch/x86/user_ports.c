// IN and OUT of user mode. No CPU has an I/O permission bitmap, so each raises #GP; here the
// instruction is read, decoded, checked against what the process was granted, and made.
//
// The bytes are read anew, and another thread may have written others there since the fault. That
// harms nobody: what is read is what is checked and done, with the authority of the same process.
#include "user_ports.h"

#include <arch/port_io.h>
#include <arch/thread.h>
#include <arch/upcalls.h>
#include <arch/user_copy.h>
#include <lib/assert.h>
#include <lib/compiler.h>
#include <sched/thread.h>

#include "asm_defs.h"
#include "port_instruction.h"
#include "sysret.h"

constexpr size_t PAGE = 4096;

// ---- what the kernel keeps to itself ----

static struct {
    uint32_t count;
    struct {
        uint32_t first, end;
    } range[8];
} claims; // constant from before user mode runs

void arch_ports_claim(uint16_t first, uint32_t count) {
    ASSERT(claims.count < array_size(claims.range));
    claims.range[claims.count].first = first;
    claims.range[claims.count++].end = first + count;
}

bool arch_ports_claimed(uint16_t first, uint32_t count) {
    for (uint32_t i = 0; i < claims.count; i++) {
        if (first < claims.range[i].end && claims.range[i].first < first + count) {
            return true;
        }
    }
    return false;
}

// ---- the instruction ----

// A page is looked at only if the instruction reaches into it: what lies behind may be a device, or
// slow to come.
static bool instruction_at(uint64_t rip, struct x86_port_instruction* out) {
    uint8_t code[X86_INSTRUCTION_MAX];
    const size_t in_page = PAGE - (rip & (PAGE - 1));
    for (size_t want = min(in_page, sizeof(code));; want = sizeof(code)) {
        const size_t got = want - arch_copy_from_user(code, (const void __user*)rip, want);
        const enum x86_port_decode found = x86_port_decode(code, got, out);
        if (found != X86_PORT_MORE || got < want || want == sizeof(code)) {
            return found == X86_PORT_FOUND;
        }
    }
}

bool x86_user_port_instruction(struct arch_user_frame* frame) {
    struct x86_port_instruction i;
    if (!instruction_at(frame->rip, &i)) {
        return false;
    }
    struct arch_port_access access = {
        .port = i.port_in_dx ? (uint16_t)frame->rdx : i.port,
        .size = i.size,
        .out = i.out,
        .value = (uint32_t)frame->rax,
    };
    if (!arch_upcall_port_access(&access)) {
        return false;
    }
    if (!i.out) {
        frame->rax = x86_port_merge(frame->rax, access.value, i.size);
    }
    frame->rip += i.length;
    frame->rflags &= ~X86_RFLAGS_RF;
    return true;
}
