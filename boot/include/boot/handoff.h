#pragma once

/*
 * The hand-off record: everything the boot stages tell the kernel, in one place.
 *
 * Both ways into the system (PVH entry and UEFI application) end by filling one `struct handoff`
 * and jumping to the kernel with its address, which already is a direct-map address. The kernel
 * reads no firmware structure but the ACPI tables.
 *
 * What the boot stages guarantee:
 *   - magic, version and size_bytes match this header; every reserved field and unused slot is
 * zero.
 *   - memory[] is sorted by base, page aligned, without overlap, and neighbours of one kind are
 *     merged. Usable entries were shrunk to whole pages, all other kinds were widened. Page 0 is
 *     never usable.
 *   - taken[] lies inside usable memory. Usable memory minus taken[] is free and has been neither
 *     read nor cleared: its contents are whatever the machine left there.
 *   - the command line is copied, NUL-terminated, and cmdline_len does not count the NUL.
 *
 * Only fixed-width members, so that the UEFI compiler (LLP64) and the kernel agree; the assertions
 * at the end hold both to one layout. The record stays valid until the kernel frees its span; it is
 * written by one CPU before any other runs, and constant afterwards.
 */

#include <stddef.h>
#include <stdint.h>

constexpr uint64_t HANDOFF_MAGIC = 0x66666f646e61486au; // "jHandoff", little endian
constexpr uint32_t HANDOFF_VERSION = 1;

constexpr uint32_t HANDOFF_MAX_MEMORY = 512;
constexpr uint32_t HANDOFF_MAX_CMDLINE = 4096; // including the NUL
constexpr uint32_t HANDOFF_ENTROPY_BYTES = 64;
constexpr uint64_t HANDOFF_TRAMPOLINE_BYTES = 4 * 4096;

enum handoff_source : uint32_t {
    HANDOFF_SOURCE_PVH = 1,
    HANDOFF_SOURCE_UEFI = 2,
};

// In order of precedence: where the firmware's ranges overlap, the greater kind wins.
enum handoff_memory_kind : uint32_t {
    HANDOFF_MEMORY_USABLE = 1, // RAM, in the direct map
    HANDOFF_MEMORY_ACPI_RECLAIM =
        2,                         // RAM holding ACPI tables, in the direct map; free after parsing
    HANDOFF_MEMORY_PERSISTENT = 3, // byte-addressable storage; never allocated from
    HANDOFF_MEMORY_ACPI_NVS = 4,   // the firmware's, leave alone
    HANDOFF_MEMORY_RESERVED =
        5, // anything else the firmware names, MMIO and run-time code included
    HANDOFF_MEMORY_DEFECTIVE = 6,
};

struct handoff_memory {
    uint64_t base; // physical
    uint64_t length;
    enum handoff_memory_kind kind;
    uint32_t reserved;
};

// A range of physical memory; length 0 means "there is none". Page aligned (the ZBI's is rounded
// out).
struct handoff_span {
    uint64_t base;
    uint64_t length;
};

// What the boot stages occupy. The physical allocator takes all usable memory but these.
enum handoff_taken : uint32_t {
    HANDOFF_TAKEN_KERNEL = 0,     // the kernel image with .bss and the boot stack; for ever
    HANDOFF_TAKEN_TABLES = 1,     // page tables of the kernel half; for ever (see boot_mmu.h)
    HANDOFF_TAKEN_RECORD = 2,     // this record; may be freed once nothing refers to it
    HANDOFF_TAKEN_ZBI = 3,        // the boot image
    HANDOFF_TAKEN_TRAMPOLINE = 4, // below 1 MiB, HANDOFF_TRAMPOLINE_BYTES, for starting other CPUs
    HANDOFF_TAKEN_COUNT = 5,
};

enum handoff_uart_kind : uint32_t { // numbered as ZBI_TYPE_DEBUG_UART does
    HANDOFF_UART_NONE = 0,
    HANDOFF_UART_PC_PORT = 1,
    HANDOFF_UART_PC_MMIO = 2,
};

struct handoff_uart {
    uint64_t base; // I/O port or physical address
    enum handoff_uart_kind kind;
    uint32_t irq;
};

struct handoff_framebuffer {
    uint64_t base; // physical; length_bytes 0 means "there is none"
    uint64_t length_bytes;
    uint32_t width;         // pixels
    uint32_t height;        // pixels
    uint32_t stride_pixels; // pixels from one line to the next
    uint32_t format;        // ZBI/Zircon pixel format number
};

enum handoff_entropy_source : uint32_t { // bits of entropy_sources: what was mixed in
    HANDOFF_ENTROPY_TSC = 1u << 0,
    HANDOFF_ENTROPY_RDRAND = 1u << 1,
    HANDOFF_ENTROPY_RDSEED = 1u << 2,
    HANDOFF_ENTROPY_EFI_RNG = 1u << 3,
};

struct handoff {
    uint64_t magic;
    uint32_t version;
    uint32_t size_bytes; // sizeof(struct handoff)

    enum handoff_source source;
    uint32_t kaslr;       // 1: kernel placed at random, 0: kaslr=off
    uint64_t entry_tsc;   // at the first instruction that could read it
    uint64_t handoff_tsc; // just before the jump to the kernel

    uint64_t kernel_vaddr;     // where the image starts; taken[KERNEL] is its physical side
    uint64_t kernel_bias;      // run-time address = link address + kernel_bias
    uint64_t root_table;       // physical address of the kernel's PML4 (CR3 at entry), below 4 GiB
    uint64_t direct_map_base;  // physical p is at direct_map_base + p, if memory[] says p is RAM
    uint64_t direct_map_bytes; // end of the highest RAM in the direct map, from 0
    uint64_t window_table;     // physical address of the page table of the early window
    uint64_t boot_canary;      // stack protector value while the boot stack is in use

    struct handoff_span taken[HANDOFF_TAKEN_COUNT];
    uint64_t zbi_length_bytes; // exact, where taken[ZBI].length is whole pages

    uint64_t acpi_rsdp;        // physical, 0 if unknown
    uint64_t smbios;           // physical entry point, 0 if unknown
    uint64_t efi_system_table; // physical, 0 when not booted by UEFI
    struct handoff_uart uart;
    struct handoff_framebuffer framebuffer;

    uint32_t entropy_sources;
    uint32_t reserved;
    uint8_t entropy[HANDOFF_ENTROPY_BYTES]; // the kernel wipes this after seeding

    uint32_t memory_count;
    uint32_t cmdline_len;
    struct handoff_memory memory[HANDOFF_MAX_MEMORY];
    char cmdline[HANDOFF_MAX_CMDLINE];
};

static_assert(sizeof(struct handoff_memory) == 24);
static_assert(sizeof(struct handoff_span) == 16);
static_assert(sizeof(struct handoff_uart) == 16);
static_assert(sizeof(struct handoff_framebuffer) == 32);
static_assert(offsetof(struct handoff, kernel_vaddr) == 40);
static_assert(offsetof(struct handoff, boot_canary) == 88);
static_assert(offsetof(struct handoff, taken) == 96);
static_assert(offsetof(struct handoff, acpi_rsdp) == 184);
static_assert(offsetof(struct handoff, entropy) == 264);
static_assert(offsetof(struct handoff, memory) == 336);
static_assert(sizeof(struct handoff) == 336 + 24 * HANDOFF_MAX_MEMORY + HANDOFF_MAX_CMDLINE);
