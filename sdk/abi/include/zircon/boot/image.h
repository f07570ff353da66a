// ZBI: the boot image container that a boot loader hands to the kernel.
//
// A ZBI is a sequence of items, each a 32-byte little-endian header and a payload padded to eight
// bytes. The first item is the container; its length covers everything after its header. Nothing in
// an image is to be trusted: a reader checks magic, flags and every length against what is left.
#pragma once

#include <stdint.h>
#include <zircon/compiler.h>

__BEGIN_CDECLS

#define ZBI_ALIGNMENT ((uint32_t)8u)
#define ZBI_ALIGN(n)  (((n) + ZBI_ALIGNMENT - 1) & -ZBI_ALIGNMENT)

typedef struct zbi_header {
    uint32_t type;
    uint32_t length; // of the payload, without the padding
    uint32_t extra;  // meaning depends on the type
    uint32_t flags;
    uint32_t reserved0;
    uint32_t reserved1;
    uint32_t magic; // ZBI_ITEM_MAGIC
    uint32_t crc32; // of header (this field zero) and payload, or ZBI_ITEM_NO_CRC32
} zbi_header_t;
ZX_ABI_SIZE(zbi_header_t, 32);
ZX_ABI_OFFSET(zbi_header_t, magic, 24);

#define ZBI_ITEM_MAGIC      ((uint32_t)0xb5781729u)
#define ZBI_ITEM_NO_CRC32   ((uint32_t)0x4a87e8d6u)
#define ZBI_CONTAINER_MAGIC ((uint32_t)0x868cf7e6u) // extra of the container

#define ZBI_FLAGS_VERSION            ((uint32_t)0x00010000u) // set in every item
#define ZBI_FLAGS_CRC32              ((uint32_t)0x00020000u)
#define ZBI_FLAGS_STORAGE_COMPRESSED ((uint32_t)0x00000001u)

#define ZBI_TYPE_CONTAINER        ((uint32_t)0x544f4f42u)
#define ZBI_TYPE_KERNEL_X64       ((uint32_t)0x4c4e524bu)
#define ZBI_TYPE_KERNEL_ARM64     ((uint32_t)0x384e524bu)
#define ZBI_TYPE_DISCARD          ((uint32_t)0x50494b53u)
#define ZBI_TYPE_STORAGE_RAMDISK  ((uint32_t)0x4b534452u)
#define ZBI_TYPE_STORAGE_BOOTFS   ((uint32_t)0x42534642u) // extra: size when decompressed
#define ZBI_TYPE_CMDLINE          ((uint32_t)0x4c444d43u)
#define ZBI_TYPE_CRASHLOG         ((uint32_t)0x4d4f4f42u)
#define ZBI_TYPE_NVRAM            ((uint32_t)0x4c4c564eu)
#define ZBI_TYPE_PLATFORM_ID      ((uint32_t)0x44494c50u)
#define ZBI_TYPE_CPU_TOPOLOGY     ((uint32_t)0x544f504fu)
#define ZBI_TYPE_MEM_CONFIG       ((uint32_t)0x434d454du)
#define ZBI_TYPE_KERNEL_DRIVER    ((uint32_t)0x5652444bu)
#define ZBI_TYPE_ACPI_RSDP        ((uint32_t)0x50445352u)
#define ZBI_TYPE_SMBIOS           ((uint32_t)0x49424d53u)
#define ZBI_TYPE_EFI_MEMORY_MAP   ((uint32_t)0x4d494645u)
#define ZBI_TYPE_EFI_SYSTEM_TABLE ((uint32_t)0x53494645u)
#define ZBI_TYPE_E820_TABLE       ((uint32_t)0x30323845u)
#define ZBI_TYPE_DEBUG_UART       ((uint32_t)0x54524155u)
#define ZBI_TYPE_FRAMEBUFFER      ((uint32_t)0x42465753u)

// Payload of the kernel items.
typedef struct zbi_kernel {
    uint64_t entry;
    uint64_t reserve_memory_size;
} zbi_kernel_t;
ZX_ABI_SIZE(zbi_kernel_t, 16);

// ZBI_TYPE_MEM_CONFIG: an array of these.
#define ZBI_MEM_RANGE_RAM        ((uint32_t)1u)
#define ZBI_MEM_RANGE_PERIPHERAL ((uint32_t)2u)
#define ZBI_MEM_RANGE_RESERVED   ((uint32_t)3u)
typedef struct zbi_mem_range {
    uint64_t paddr;
    uint64_t length;
    uint32_t type;
    uint32_t reserved;
} zbi_mem_range_t;
ZX_ABI_SIZE(zbi_mem_range_t, 24);

// ZBI_TYPE_DEBUG_UART.
#define ZBI_UART_NONE    ((uint32_t)0u)
#define ZBI_UART_PC_PORT ((uint32_t)1u)
#define ZBI_UART_PC_MMIO ((uint32_t)2u)
typedef struct zbi_uart {
    uint64_t base;
    uint32_t type;
    uint32_t irq;
} zbi_uart_t;
ZX_ABI_SIZE(zbi_uart_t, 16);

// ZBI_TYPE_FRAMEBUFFER. The structure is padded to its alignment; a producer may leave the tail
// out.
typedef struct zbi_swfb {
    uint64_t base;
    uint32_t width;
    uint32_t height;
    uint32_t stride; // in pixels
    uint32_t format;
} zbi_swfb_t;
ZX_ABI_SIZE(zbi_swfb_t, 24);

__END_CDECLS
