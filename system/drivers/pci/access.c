#include "access.h"

#include <stdlib.h>
#include <string.h>

#include <zircon/process.h>
#include <zircon/syscalls.h>

// ---- mapped ----

constexpr uint64_t BUS_BYTES = 1 << 20;
constexpr uint32_t FUNCTION_BYTES = 4096;

static struct {
    struct ecam where;
    zx_handle_t mmio;
    volatile uint8_t* buses[256]; // null: not looked at yet
    bool absent[256];             // it cannot be mapped
} mapped;

static const char* find_word(char* const environment[]) {
    static constexpr char name[] = "pci.ecam=";
    for (uint32_t i = 0; environment[i] != nullptr; i++) {
        if (strncmp(environment[i], name, sizeof(name) - 1) == 0) {
            return environment[i] + sizeof(name) - 1;
        }
    }
    return nullptr;
}

bool access_find_ecam(char* const environment[], struct ecam* out) {
    const char* word = find_word(environment);
    uint64_t numbers[4];
    if (word == nullptr) {
        return false;
    }
    for (uint32_t i = 0; i < 4; i++) {
        char* end;
        numbers[i] = strtoull(word, &end, 0);
        if (end == word || *end != (i < 3 ? ',' : '\0')) {
            return false;
        }
        word = end + 1;
    }
    if (numbers[2] > numbers[3] || numbers[3] > UINT8_MAX || numbers[0] % BUS_BYTES != 0) {
        return false;
    }
    *out =
        (struct ecam){numbers[0], (uint32_t)numbers[1], (uint8_t)numbers[2], (uint8_t)numbers[3]};
    return true;
}

static zx_status_t map_bus(uint32_t bus) {
    zx_handle_t vmo;
    zx_vaddr_t address;
    zx_status_t status =
        zx_vmo_create_physical(mapped.mmio, mapped.where.base + bus * BUS_BYTES, BUS_BYTES, &vmo);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED_DEVICE);
    if (status == ZX_OK) {
        status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0,
                             BUS_BYTES, &address);
    }
    (void)zx_handle_close(vmo);
    if (status == ZX_OK) {
        mapped.buses[bus] = (volatile uint8_t*)address;
    }
    return status;
}

static volatile uint8_t* find_mapped(pci_address_t address, uint16_t offset) {
    uint32_t bus = address >> 8;
    if (mapped.buses[bus] == nullptr && !mapped.absent[bus]) {
        mapped.absent[bus] = map_bus(bus) != ZX_OK;
    }
    return mapped.absent[bus] ? nullptr
                              : mapped.buses[bus] + (address & 0xff) * FUNCTION_BYTES + offset;
}

static uint32_t read_mapped(void*, pci_address_t address, uint16_t offset, uint8_t width) {
    volatile void* at = find_mapped(address, offset);
    if (at == nullptr) {
        return UINT32_MAX >> (32 - 8 * width);
    }
    return width == 1   ? *(volatile uint8_t*)at
           : width == 2 ? *(volatile uint16_t*)at
                        : *(volatile uint32_t*)at;
}

static void write_mapped(void*, pci_address_t address, uint16_t offset, uint8_t width,
                         uint32_t value) {
    volatile void* at = find_mapped(address, offset);
    if (at == nullptr) {
        return;
    }
    if (width == 1) {
        *(volatile uint8_t*)at = (uint8_t)value;
    } else if (width == 2) {
        *(volatile uint16_t*)at = (uint16_t)value;
    } else {
        *(volatile uint32_t*)at = value;
    }
}

void access_begin_ecam(struct pci_access* access, const struct ecam* ecam, zx_handle_t mmio) {
    mapped.where = *ecam;
    mapped.mmio = mmio;
    *access = (struct pci_access){.read = read_mapped,
                                  .write = write_mapped,
                                  .size = FUNCTION_BYTES,
                                  .first_bus = ecam->first_bus,
                                  .last_bus = ecam->last_bus};
}

// ---- ports ----

constexpr uint16_t ADDRESS_PORT = 0xcf8, DATA_PORT = 0xcfc;
constexpr uint32_t ADDRESS_ENABLE = 1u << 31;

static void select_register(pci_address_t address, uint16_t offset) {
    uint32_t value = ADDRESS_ENABLE | (uint32_t)address << 8 | (offset & 0xfcu);
    __asm__ volatile("outl %0, %1" ::"a"(value), "d"(ADDRESS_PORT));
}

static uint32_t read_ports(void*, pci_address_t address, uint16_t offset, uint8_t width) {
    uint32_t value;
    select_register(address, offset);
    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(DATA_PORT));
    return value >> 8 * (offset & 3) & UINT32_MAX >> (32 - 8 * width);
}

// In its own width: reading the rest and writing it back would clear what is cleared by ones.
static void write_ports(void*, pci_address_t address, uint16_t offset, uint8_t width,
                        uint32_t value) {
    uint16_t port = (uint16_t)(DATA_PORT + (offset & 3));
    select_register(address, offset);
    if (width == 1) {
        __asm__ volatile("outb %0, %1" ::"a"((uint8_t)value), "d"(port));
    } else if (width == 2) {
        __asm__ volatile("outw %0, %1" ::"a"((uint16_t)value), "d"(port));
    } else {
        __asm__ volatile("outl %0, %1" ::"a"(value), "d"(port));
    }
}

zx_status_t access_begin_ports(struct pci_access* access, zx_handle_t ioports) {
    zx_status_t status = zx_ioports_request(ioports, ADDRESS_PORT, 8);
    if (status == ZX_OK) {
        *access = (struct pci_access){
            .read = read_ports, .write = write_ports, .size = 256, .first_bus = 0, .last_bus = 255};
    }
    return status;
}
