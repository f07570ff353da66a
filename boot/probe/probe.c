/*
 * The boot probe: a kernel_main() that checks what the boot stages promise and reports it, one fact
 * per line, on the early console. It is linked behind the same boot stages as the kernel, so
 * booting it on all sorts of machines tests them without anything else in the way.
 *
 * Output is `name value...` in hexadecimal, read by boot/probe/probe_test.py. It ends with `probe
 * ok` or, after one or more lines `bad ...`, with `probe failed`, and leaves through
 * isa-debug-exit: 0x10 or 0x23.
 */

#include <arch/boot_entry.h>
#include <arch/layout.h>
#include <arch/port_io.h>
#include <arch/window.h>
#include <boot/handoff.h>
#include <platform/early_console.h>

constexpr uint64_t ENTRY_PRESENT = 1ull << 0;
constexpr uint64_t ENTRY_WRITE = 1ull << 1;
constexpr uint64_t ENTRY_USER = 1ull << 2;
constexpr uint64_t ENTRY_LARGE = 1ull << 7;
constexpr uint64_t ENTRY_NO_EXEC = 1ull << 63;
constexpr uint64_t ENTRY_ADDRESS = 0x000f'ffff'ffff'f000u;

static uint32_t failures;
static uint64_t bss_word;                              // must be zero although nobody stored it
static const char* const text_words[] = {"relocated"}; // must point into the running image

static void put_hex(uint64_t value) {
    char text[18] = " ";
    for (uint32_t i = 0; i < 16; i++) {
        text[16 - i] = "0123456789abcdef"[value >> (4 * i) & 15];
    }
    early_console_write(text, 17);
}

static void report(const char* name, uint64_t a, uint64_t b, uint64_t c) {
    early_console_puts(name);
    put_hex(a);
    put_hex(b);
    put_hex(c);
    early_console_puts("\n");
}

static void check(bool ok, const char* what, uint64_t a, uint64_t b) {
    if (!ok) {
        failures++;
        early_console_puts("bad ");
        report(what, a, b, 0);
    }
}

// The compiler calls it when a canary is damaged; having protected frames here tests the boot
// canary.
[[noreturn]] void __stack_chk_fail(void);
void __stack_chk_fail(void) {
    early_console_puts("bad canary\nprobe failed\n");
    port_out8(0xf4, 0x23);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

// A run of leaf entries that continue each other, reported as one line: address, physical, length,
// then rights (bit 0 write, bit 1 execute).
struct run {
    uint64_t vaddr;
    uint64_t paddr;
    uint64_t length;
    uint64_t rights;
};

static void run_end(struct run* run) {
    if (run->length != 0) {
        report(run->rights == 1   ? "map_rw"
               : run->rights == 2 ? "map_rx"
                                  : "map_r",
               run->vaddr, run->paddr, run->length);
    }
    *run = (struct run){};
}

static void run_add(struct run* run, uint64_t vaddr, uint64_t entry, uint64_t bytes) {
    uint64_t rights = ((entry & ENTRY_WRITE) != 0 ? 1 : 0) | ((entry & ENTRY_NO_EXEC) == 0 ? 2 : 0);
    uint64_t paddr = entry & ENTRY_ADDRESS;
    check(rights != 3, "page both writable and executable", vaddr, entry);
    if (run->length == 0 || rights != run->rights || vaddr != run->vaddr + run->length ||
        paddr != run->paddr + run->length) {
        run_end(run);
        *run = (struct run){.vaddr = vaddr, .paddr = paddr, .rights = rights};
    }
    run->length += bytes;
}

static uint64_t entry_address(uint64_t base, uint32_t level, uint64_t index) {
    uint64_t vaddr = base | index << (12 + 9 * level);
    return level == 3 && index >= 256 ? vaddr | KERNEL_HALF_BASE : vaddr;
}

// Recursion is four deep.
static void walk(struct run* run, uint64_t table, uint32_t level, uint64_t base) {
    const uint64_t* entries = (const uint64_t*)(DIRECT_MAP_BASE + table);
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t entry = entries[i];
        if ((entry & ENTRY_PRESENT) == 0) {
            check(entry == 0, "absent entry not zero", base, entry);
            continue;
        }
        uint64_t vaddr = entry_address(base, level, i);
        check((entry & ENTRY_USER) == 0, "user bit in the kernel half", vaddr, entry);
        check(vaddr >= KERNEL_HALF_BASE, "user half not empty", vaddr, entry);
        if (level == 0 || (entry & ENTRY_LARGE) != 0) {
            run_add(run, vaddr, entry, 1ull << (12 + 9 * level));
        } else {
            walk(run, entry & ENTRY_ADDRESS, level - 1, vaddr);
        }
    }
}

static void check_image(const struct handoff* h) {
    uint64_t here = (uint64_t)(uintptr_t)&check_image;
    uint64_t end = h->kernel_vaddr + h->taken[HANDOFF_TAKEN_KERNEL].length;
    check(here >= h->kernel_vaddr && here < end, "running outside the image", here, end);
    const char* const volatile* word = text_words;
    uint64_t text = (uint64_t)(uintptr_t)*word;
    check(text >= h->kernel_vaddr && text < end, "pointer not relocated", text, end);
    check(*(volatile uint64_t*)&bss_word == 0, "bss not zero", bss_word, 0);
    uint8_t stack_byte;
    uint64_t stack = (uint64_t)(uintptr_t)&stack_byte;
    check(stack >= h->kernel_vaddr && stack < end, "stack outside the image", stack, end);
}

// Both ends of the ZBI through the direct map, and the ACPI tables through the window.
static void check_contents(const struct handoff* h) {
    if (h->zbi_length_bytes >= 16) {
        const uint64_t* zbi = (const uint64_t*)(DIRECT_MAP_BASE + h->taken[HANDOFF_TAKEN_ZBI].base);
        report("zbi_words", zbi[0], zbi[h->zbi_length_bytes / 8 - 1], h->zbi_length_bytes);
    }
    const void* rsdp = arch_window_scratch((paddr_t){h->acpi_rsdp}, 36); // 16-byte aligned at best
    uint64_t signature = 0;
    if (rsdp != nullptr) {
        __builtin_memcpy(&signature, rsdp, sizeof(signature));
    }
    check(signature == 0x20525450'20445352u, "no RSDP", h->acpi_rsdp, signature);
    arch_window_scratch_drop();
}

static void report_record(const struct handoff* h) {
    report("boot", h->source, h->kaslr, h->handoff_tsc - h->entry_tsc);
    report("image", h->kernel_vaddr, h->kernel_bias, h->direct_map_bytes);
    for (uint32_t i = 0; i < HANDOFF_TAKEN_COUNT; i++) {
        report("taken", i, h->taken[i].base, h->taken[i].length);
    }
    report("framebuffer", h->framebuffer.base, h->framebuffer.width, h->framebuffer.height);
    report("uart", h->uart.kind, h->uart.base, h->uart.irq);
    report("entropy", h->entropy_sources, ((const uint64_t*)h->entropy)[0], h->boot_canary);
    for (uint32_t i = 0; i < h->memory_count; i++) {
        report("memory", h->memory[i].base, h->memory[i].length, h->memory[i].kind);
    }
    early_console_puts("cmdline ");
    early_console_write(h->cmdline, h->cmdline_len);
    early_console_puts("\n");
}

void kernel_main(const struct handoff* h) {
    early_console_puts("\nprobe\n");
    report_record(h);
    check_image(h);
    check_contents(h);
    struct run run = {};
    walk(&run, h->root_table, 3, 0);
    run_end(&run);
    early_console_puts(failures == 0 ? "probe ok\n" : "probe failed\n");
    port_out8(0xf4, failures == 0 ? 0x10 : 0x23);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
