// From the firmware's tables to what the port needs to know.
//
// The tables are read through the direct map's neighbour, the scratch window, because they may lie
// anywhere; a piece of 64 KiB is mapped at a time, as most reads stay close to each other.
//
// Without usable tables the machine is taken for the smallest PC: this CPU, one I/O APIC at its
// customary address with the ISA lines in order, and the 8254 as the only known timer.
#include "platform_info.h"

#include <acpi/acpi.h>
#include <arch/acpi.h>
#include <arch/cpu.h>
#include <arch/mmio.h>
#include <arch/window.h>
#include <boot/handoff.h>
#include <debug/boot.h>
#include <debug/log.h>
#include <lib/align.h>
#include <lib/string.h>

#include "apic.h"
#include "regs.h"

constexpr uint64_t IOAPIC_CUSTOMARY_BASE = 0xfec0'0000;
constexpr uint64_t LAPIC_CUSTOMARY_BASE = 0xfee0'0000;
// Behind the local controller's page lies what devices write to interrupt each CPU: a write there
// can be an INIT.
constexpr uint64_t MESSAGE_BYTES = 0x10'0000;
constexpr uint64_t REGISTER_PAGE = 4096;
constexpr size_t VIEW_BYTES = 64 * 1024;

// Written by x86_platform_discover() only, constant afterwards.
static struct {
    struct x86_platform info;
    struct acpi_info acpi;
    bool has_acpi;
} platform;

const struct x86_platform* x86_platform(void) {
    return &platform.info;
}
const struct acpi_info* arch_acpi_info(void) {
    return platform.has_acpi ? &platform.acpi : nullptr;
}

// ---- reading physical memory ----
struct view {
    uint64_t base;
    const uint8_t* data; // null: nothing mapped
};

static bool view_read(void* ctx, uint64_t physical, void* buffer, size_t len) {
    struct view* v = ctx;
    uint8_t* out = buffer;
    while (len > 0) {
        const uint64_t base = align_down(physical, VIEW_BYTES);
        if (v->data == nullptr || v->base != base) {
            arch_window_scratch_drop();
            v->data = arch_window_scratch((paddr_t){base}, VIEW_BYTES);
            v->base = base;
            if (v->data == nullptr) {
                return false;
            }
        }
        const size_t offset = (size_t)(physical - base);
        const size_t piece = min(len, VIEW_BYTES - offset);
        memcpy(out, v->data + offset, piece);
        out += piece;
        physical += piece;
        len -= piece;
    }
    return true;
}

// ---- translation ----
static void assume_small_pc(uint32_t boot_apic_id) {
    platform.info.cpu_count = 1;
    platform.info.apic_ids[0] = boot_apic_id;
    platform.info.ioapic_count = 1;
    platform.info.ioapics[0] = (struct x86_ioapic_place){.base = IOAPIC_CUSTOMARY_BASE};
    for (uint32_t i = 0; i < X86_ISA_IRQ_COUNT; i++) {
        platform.info.isa[i] = (struct x86_isa_line){.line = i, .mode = IRQ_EDGE};
    }
}

// The boot CPU is number 0 whatever the table's order; the rest follow in that order.
static void take_cpus(const struct acpi_info* a, uint32_t boot_apic_id) {
    struct x86_platform* p = &platform.info;
    uint32_t left_out = 0;
    for (uint32_t i = 0; i < a->cpu_count; i++) {
        const struct acpi_cpu* c = &a->cpus[i];
        if (!c->enabled || c->apic_id == boot_apic_id) {
            continue;
        }
        if (p->cpu_count == CPU_MAX || (c->apic_id > 0xff && !arch_cpu_features()->x2apic)) {
            left_out++;
            continue;
        }
        p->apic_ids[p->cpu_count++] = c->apic_id;
    }
    if (left_out != 0) {
        klog(LOG_WARN, "cpus: %u more than this kernel can use", left_out);
    }
}

static void take_interrupts(const struct acpi_info* a) {
    struct x86_platform* p = &platform.info;
    p->lapic_base = a->lapic_address;
    if (a->ioapic_count != 0) {
        p->ioapic_count = min(a->ioapic_count, X86_IOAPIC_MAX);
        for (uint32_t i = 0; i < p->ioapic_count; i++) {
            p->ioapics[i] = (struct x86_ioapic_place){.base = a->ioapics[i].address,
                                                      .first_line = a->ioapics[i].gsi_base};
        }
    }
    for (uint32_t i = 0; i < a->override_count; i++) {
        const struct acpi_override* o = &a->overrides[i];
        if (o->isa_irq < X86_ISA_IRQ_COUNT) {
            p->isa[o->isa_irq] = (struct x86_isa_line){
                .line = o->gsi,
                .mode =
                    (o->wiring.level ? IRQ_LEVEL : 0) | (o->wiring.active_low ? IRQ_ACTIVE_LOW : 0),
            };
        }
    }
}

static uint16_t io_port(const struct acpi_register* r) {
    return r->space == ACPI_SPACE_IO && r->address <= UINT16_MAX ? (uint16_t)r->address : 0;
}

static struct x86_byte_register byte_register(const struct acpi_register* r) {
    struct x86_byte_register out = {.port = io_port(r)};
    if (r->space == ACPI_SPACE_MEMORY) {
        // Null if the window is full: as if it were not described.
        out.memory = arch_window_map((paddr_t){r->address}, 1, WINDOW_UNCACHED);
    }
    return out;
}

static void take_timers_and_power(const struct acpi_info* a) {
    struct x86_platform* p = &platform.info;
    p->timers = (struct ref_timer_places){
        .hpet_base = a->hpet_address,
        .pm_timer_port = io_port(&a->pm_timer),
        .pm_timer_32_bit = a->pm_timer_is_32bit,
    };
    p->pm1a_control_port = io_port(&a->pm1a_control);
    p->pm1b_control_port = io_port(&a->pm1b_control);
    p->smi_command_port = a->smi_command_port <= UINT16_MAX ? (uint16_t)a->smi_command_port : 0;
    p->acpi_enable_value = a->acpi_enable_value;
    p->has_s5 = a->has_s5;
    p->s5_type_a = a->s5_type_a;
    p->s5_type_b = a->s5_type_b;
    p->sleep_control = byte_register(&a->sleep_control);
    p->reset = byte_register(&a->reset);
    p->reset_value = a->reset_value;
}

void x86_platform_discover(uint64_t rsdp) {
    const uint32_t boot_apic_id = cpuid(1, 0).ebx >> 24;
    assume_small_pc(boot_apic_id);
    struct view view = {0};
    const struct acpi_memory memory = {.read = view_read, .ctx = &view};
    const acpi_error_t error = acpi_read(&memory, rsdp, &platform.acpi);
    arch_window_scratch_drop();
    if (error != ACPI_OK) {
        klog(LOG_WARN, "acpi: %s; assuming a small PC", acpi_error_text(error));
        return;
    }
    platform.has_acpi = true;
    if (platform.acpi.bad_tables != 0 || platform.acpi.dropped != 0) {
        klog(LOG_WARN, "acpi: refused tables %x, dropped %u entries", platform.acpi.bad_tables,
             platform.acpi.dropped);
    }
    take_cpus(&platform.acpi, boot_apic_id);
    take_interrupts(&platform.acpi);
    take_timers_and_power(&platform.acpi);
}

// ---- what the kernel keeps to itself ----

static bool is_ram(uint64_t base, uint64_t size) {
    const struct handoff* h = boot_handoff();
    for (uint32_t i = 0; i < h->memory_count; i++) {
        const struct handoff_memory* m = &h->memory[i];
        if (m->kind == HANDOFF_MEMORY_USABLE && ranges_overlap(m->base, m->length, base, size)) {
            return true;
        }
    }
    return false;
}

bool arch_memory_claimed(uint64_t base, uint64_t size) {
    const struct x86_platform* p = &platform.info;
    const uint64_t lapic = p->lapic_base != 0 ? p->lapic_base : LAPIC_CUSTOMARY_BASE;
    bool found = is_ram(base, size) || ranges_overlap(lapic, MESSAGE_BYTES, base, size) ||
                 (p->timers.hpet_base != 0 &&
                  ranges_overlap(p->timers.hpet_base, REGISTER_PAGE, base, size));
    for (uint32_t i = 0; i < p->ioapic_count; i++) {
        found |= ranges_overlap(p->ioapics[i].base, REGISTER_PAGE, base, size);
    }
    return found;
}
