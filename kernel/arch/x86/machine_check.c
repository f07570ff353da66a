// Machine checks: what the CPU found wrong with itself, its caches or memory.
//
// Each bank of registers describes one error. Without one that is uncorrected, and with a return
// address that is valid, the exception was only the news of it (all CPUs get it when one does):
// the banks are cleared and the CPU goes on. Anything else ends the kernel with a report, because
// nobody can say what the error has touched.
//
// Each CPU touches its own registers only; the handler runs on a stack of its own, takes no lock
// and cannot be interrupted by another machine check (MCIP is cleared last; one that comes before
// shuts the machine down).
#include "machine_check.h"

#include <arch/cpu.h>
#include <debug/counters.h>
#include <debug/log.h>
#include <debug/panic.h>
#include <lib/assert.h>
#include <lib/bits.h>

#include "regs.h"

constexpr uint32_t MSR_MCG_CAP = 0x179;
constexpr uint32_t MSR_MCG_STATUS = 0x17a;
constexpr uint32_t MSR_MCG_CTL = 0x17b;
constexpr uint32_t MSR_MC0_CTL = 0x400; // four registers per bank
constexpr uint32_t BANK_REGISTERS = 4;

constexpr uint64_t CAP_COUNT = 0xff;
constexpr uint64_t CAP_CTL_PRESENT = 1u << 8;
constexpr uint64_t MCG_RIPV = 1u << 0; // the saved return address can be returned to
constexpr uint64_t BANK_VALID = (uint64_t)1 << 63;
constexpr uint64_t BANK_UNCORRECTED = (uint64_t)1 << 61;
constexpr uint64_t BANK_MISC_VALID = (uint64_t)1 << 59;
constexpr uint64_t BANK_ADDRESS_VALID = (uint64_t)1 << 58;

constexpr uint32_t BANK_MAX = 32; // the architecture's limit

COUNTER(machine_checks_survived);

static uint32_t bank_register(uint32_t bank, uint32_t which) {
    return MSR_MC0_CTL + bank * BANK_REGISTERS + which;
}

static uint32_t bank_count(void) {
    const uint32_t count = (uint32_t)(msr_read(MSR_MCG_CAP) & CAP_COUNT);
    return count < BANK_MAX ? count : BANK_MAX;
}

// Family 6 up to model 0x19: the first bank's control belongs to the firmware.
static bool first_bank_is_firmwares(void) {
    const uint32_t version = cpuid(1, 0).eax;
    const uint32_t family = version >> 8 & 0xf;
    const uint32_t model = (version >> 4 & 0xf) | (version >> 12 & 0xf0);
    return family == 6 && model < 0x1a;
}

void x86_machine_check_cpu_init(void) {
    if (!arch_cpu_features()->mce) {
        return;
    }
    if ((msr_read(MSR_MCG_CAP) & CAP_CTL_PRESENT) != 0) {
        msr_write(MSR_MCG_CTL, UINT64_MAX);
    }
    const uint32_t count = bank_count();
    for (uint32_t bank = 0; bank < count; bank++) {
        if (bank != 0 || !first_bank_is_firmwares()) {
            msr_write(bank_register(bank, 0), UINT64_MAX);
        }
        msr_write(bank_register(bank, 1), 0);
    }
    msr_write(MSR_MCG_STATUS, 0);
}

static void bank_print(uint32_t bank, uint64_t status) {
    const uint64_t address =
        (status & BANK_ADDRESS_VALID) != 0 ? msr_read(bank_register(bank, 2)) : 0;
    const uint64_t misc = (status & BANK_MISC_VALID) != 0 ? msr_read(bank_register(bank, 3)) : 0;
    kprintf("machine check on cpu %u, bank %u: status %016lx  address %016lx  misc %016lx\n",
            arch_cpu_index(), bank, status, address, misc);
}

void x86_machine_check(const struct arch_user_frame* frame) {
    const uint64_t global = msr_read(MSR_MCG_STATUS);
    const uint32_t count = bank_count();
    uint64_t worst = 0;
    for (uint32_t bank = 0; bank < count; bank++) {
        const uint64_t status = msr_read(bank_register(bank, 1));
        if ((status & BANK_VALID) != 0) {
            bank_print(bank, status);
            worst = (status & BANK_UNCORRECTED) != 0 ? status : worst;
        }
    }
    if (worst != 0 || (global & MCG_RIPV) == 0) {
        panic_from(frame->rip, frame->rbp);
        panic("machine check (status %lx, global %lx)", worst, global);
    }
    for (uint32_t bank = 0; bank < count; bank++) {
        msr_write(bank_register(bank, 1), 0);
    }
    counter_add(&machine_checks_survived, 1);
    msr_write(MSR_MCG_STATUS, 0);
}
