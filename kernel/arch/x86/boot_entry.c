/*
 * The first C function of the kernel. Checks that boot stages and kernel agree about the record,
 * makes output possible, and goes on to kernel_main().
 *
 * The record lies in the direct map; it stays valid until its span is given to the allocator.
 */

#include <arch/boot_entry.h>

#include <arch/boot_mmu.h>
#include <boot/handoff.h>
#include <platform/early_console.h>

void kernel_entry(const struct handoff* handoff) {
    if (handoff->magic != HANDOFF_MAGIC || handoff->version != HANDOFF_VERSION ||
        handoff->size_bytes != sizeof(*handoff)) {
        early_console_puts("\njacinth: the boot stages and the kernel are of different versions\n");
        for (;;) {
            __asm__ volatile("cli; hlt");
        }
    }
    early_console_init(&handoff->uart);
    boot_mmu_init(handoff);
    kernel_main(handoff);
}
