// Starting the other CPUs, and who is who.
//
// All get INIT at once and one wait for it; then one after the other gets a start-up interrupt and
// runs the trampoline with its own parameter block. One at a time, because the trampoline page is
// shared and because a CPU that does not answer is then known by name.
//
// The trampoline's pages: 0 code and parameters, 1..3 the temporary tables (identity for the first
// 2 MiB, and the kernel half).
#include <arch/cpu.h>

#include <stdatomic.h>

#include <arch/boot_mmu.h>
#include <arch/layout.h>
#include <arch/upcalls.h>
#include <boot/handoff.h>
#include <debug/log.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/string.h>
#include <sched/thread.h>

#include "apic.h"
#include "asm_defs.h"
#include "clock_priv.h"
#include "cpuid.h"
#include "descriptors.h"
#include "fpu.h"
#include "platform_info.h"
#include "regs.h"
#include "smp.h"
#include "x86_cpu.h"

constexpr uint32_t BLOCK_OFFSET = 0xf00;
constexpr uint64_t INIT_WAIT_US = 10'000;
constexpr uint64_t STARTUP_WAIT_US = 200;
constexpr uint64_t ONLINE_WAIT_US = 1'000'000;
constexpr uint64_t UNDER_WAY_WAIT_US = 60'000'000;

// Same layout as in trampoline.S.
struct trampoline_block {
    uint64_t temp_root;
    uint64_t efer;
    uint64_t kernel_root;
    uint64_t stack;
    struct x86_cpu* cpu; // null: taken, or nobody's
    uint64_t entry;
    struct {
        uint32_t offset;
        uint16_t selector;
        uint16_t unused;
    } far32, far64;
    uint16_t gdt_limit;
    uint32_t gdt_base; // directly behind the limit
    uint16_t unused[5];
    uint64_t gdt[4];
} __attribute__((packed));
static_assert(offsetof(struct trampoline_block, far32) == 0x30);
static_assert(offsetof(struct trampoline_block, gdt_limit) == 0x40);
static_assert(offsetof(struct trampoline_block, gdt) == 0x50);

extern const char x86_trampoline_start[];
extern const char x86_trampoline_end[];
extern const char x86_trampoline_32[];
extern const char x86_trampoline_64[];
void x86_secondary_start(void);
[[noreturn]] void x86_secondary_main(struct x86_cpu* c);

static struct {
    struct x86_cpu* blocks[CPU_MAX]; // set by the boot CPU before the CPU runs; constant afterwards
    _Atomic(cpu_mask_t) online;
    uint32_t count;
    struct handoff_span trampoline;
} smp;

struct x86_cpu* x86_cpu_get(uint32_t cpu) {
    return cpu < CPU_MAX ? smp.blocks[cpu] : nullptr;
}
void x86_cpu_register(uint32_t cpu, struct x86_cpu* block) {
    smp.blocks[cpu] = block;
}

uint32_t arch_cpu_count(void) {
    return smp.count;
}
cpu_mask_t arch_cpus_online(void) {
    return atomic_load_explicit(&smp.online, memory_order_acquire);
}

void x86_smp_init(const struct handoff* handoff) {
    smp.trampoline = handoff->taken[HANDOFF_TAKEN_TRAMPOLINE];
    smp.count = 1;
    atomic_store(&smp.online, 1);
}

void x86_smp_count_cpus(void) {
    smp.count = x86_platform()->cpu_count;
}

static void* direct(uint64_t pa) {
    return (void*)(DIRECT_MAP_BASE + pa);
}

static struct trampoline_block* trampoline_prepare(void) {
    constexpr uint64_t table = 1 | 1u << 1;     // present, writable
    constexpr uint64_t large = table | 1u << 7; // 2 MiB
    const uint64_t base = smp.trampoline.base;
    const size_t code_bytes = (size_t)(x86_trampoline_end - x86_trampoline_start);
    ASSERT(code_bytes <= BLOCK_OFFSET);
    memset(direct(base), 0, HANDOFF_TRAMPOLINE_BYTES);
    memcpy(direct(base), x86_trampoline_start, code_bytes);
    uint64_t* root = direct(base + PAGE_SIZE);
    const uint64_t* kernel_root = direct(boot_mmu_root().raw);
    memcpy(&root[256], &kernel_root[256], 256 * sizeof(uint64_t));
    root[0] = (base + 2 * PAGE_SIZE) | table;
    *(uint64_t*)direct(base + 2 * PAGE_SIZE) = (base + 3 * PAGE_SIZE) | table;
    *(uint64_t*)direct(base + 3 * PAGE_SIZE) = 0 | large;

    struct trampoline_block* b = direct(base + BLOCK_OFFSET);
    *b = (struct trampoline_block){
        .temp_root = base + PAGE_SIZE,
        .efer = 1u << 8 | (arch_cpu_features()->nx ? EFER_NXE : 0), // long mode
        .kernel_root = boot_mmu_root().raw,
        .entry = (uint64_t)&x86_secondary_start,
        .far32 = {.offset = (uint32_t)(base + (uint64_t)(x86_trampoline_32 - x86_trampoline_start)),
                  .selector = 0x08},
        .far64 = {.offset = (uint32_t)(base + (uint64_t)(x86_trampoline_64 - x86_trampoline_start)),
                  .selector = 0x18},
        .gdt_limit = sizeof(b->gdt) - 1,
        .gdt_base = (uint32_t)(base + BLOCK_OFFSET + offsetof(struct trampoline_block, gdt)),
        .gdt = {0, 0x00cf'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x00af'9b00'0000'ffff},
    };
    return b;
}

static struct x86_cpu* cpu_create(uint32_t cpu) {
    struct x86_cpu* c = arch_upcall_alloc(sizeof(*c));
    if (c == nullptr) {
        return nullptr;
    }
    c->idle = arch_upcall_secondary_thread(cpu);
    if (c->idle == nullptr) {
        arch_upcall_free(c);
        return nullptr;
    }
    x86_cpu_prepare(c, cpu, c->idle->arch.canary);
    c->apic_id = x86_platform()->apic_ids[cpu];
    c->percpu.current = c->idle;
    c->percpu.kernel_sp = c->idle->arch.stack_top;
    c->tss.rsp[0] = c->idle->arch.stack_top;
    return c;
}

static bool wait_online(uint32_t cpu, uint64_t us) {
    for (uint64_t waited = 0; waited < us; waited += 10) {
        if ((arch_cpus_online() & bit(cpu)) != 0) {
            return true;
        }
        x86_delay_us(10);
    }
    return (arch_cpus_online() & bit(cpu)) != 0;
}

// Where the parameters name their CPU; whoever exchanges it for null first has them.
static struct x86_cpu* block_exchange(struct trampoline_block* block, struct x86_cpu* c) {
    void* at = (char*)block + offsetof(struct trampoline_block, cpu);
    return __atomic_exchange_n((struct x86_cpu**)at, c, __ATOMIC_SEQ_CST);
}

static void cpu_wake(uint32_t cpu, uint32_t apic_id) {
    const uint8_t page = (uint8_t)(smp.trampoline.base >> PAGE_SHIFT);
    lapic_send_startup(apic_id, page);
    if (!wait_online(cpu, STARTUP_WAIT_US)) {
        lapic_send_startup(apic_id, page); // ignored by a CPU that is under way
    }
}

static bool cpu_start(struct trampoline_block* block, uint32_t cpu) {
    struct x86_cpu* c = cpu_create(cpu);
    if (c == nullptr) {
        klog(LOG_ERROR, "cpu %u: no memory to start it", cpu);
        return false;
    }
    x86_cpu_register(cpu, c);
    block->stack = c->idle->arch.stack_top - FRAME_SIZE;
    (void)block_exchange(block, c);
    cpu_wake(cpu, c->apic_id);
    if (wait_online(cpu, ONLINE_WAIT_US)) {
        return true;
    }
    if (block_exchange(block, nullptr) != nullptr) {
        // It never had them. It must not wake up later and take the next one's, so it is sent back
        // to where it waits for a start-up interrupt.
        lapic_send_init(c->apic_id);
        x86_delay_us(INIT_WAIT_US);
        x86_cpu_register(cpu, nullptr);
        klog(LOG_ERROR, "cpu %u (APIC id %u) does not answer", cpu, c->apic_id);
        return false;
    }
    // It runs on our stack and tables already: a slow machine.
    if (!wait_online(cpu, UNDER_WAY_WAIT_US)) {
        panic("cpu %u (APIC id %u) stopped while it was starting", cpu, c->apic_id);
    }
    return true;
}

void arch_start_secondary_cpus(void) {
    if (smp.count == 1 || smp.trampoline.length < HANDOFF_TRAMPOLINE_BYTES) {
        x86_clock_check_done();
        return;
    }
    struct trampoline_block* block = trampoline_prepare();
    for (uint32_t cpu = 1; cpu < smp.count; cpu++) {
        lapic_send_init(x86_platform()->apic_ids[cpu]);
    }
    x86_delay_us(INIT_WAIT_US);
    for (uint32_t cpu = 1; cpu < smp.count; cpu++) {
        if (cpu_start(block, cpu) && x86_clock_wants_check()) {
            x86_clock_check_pair(true);
        }
    }
    x86_clock_check_done();
    klog(LOG_INFO, "cpus: %u of %u on line", bit_count(arch_cpus_online()), smp.count);
}

// On the idle thread's stack, tables of the kernel, nothing else set up. No stack protector: GS is
// not set yet.
__attribute__((no_stack_protector)) void x86_secondary_main(struct x86_cpu* c) {
    x86_descriptors_load(c);
    x86_cpu_enable_features();
    lapic_cpu_init();
    const bool check = x86_clock_wants_check();
    atomic_fetch_or_explicit(&smp.online, bit(c->percpu.cpu), memory_order_acq_rel);
    if (check) {
        x86_clock_check_pair(false);
    }
    arch_upcall_secondary_main();
}
