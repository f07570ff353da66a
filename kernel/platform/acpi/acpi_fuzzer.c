// Arbitrary bytes as ACPI tables. The input is a list of {u8 signature, u16 body length, body}; the
// harness puts sound headers, checksums and a root table around them, so that the bytes reach the
// parsers. Addresses inside the bodies (the DSDT's) are whatever the input says.
#include <acpi/acpi.h>

#include <string.h>

constexpr uint64_t memory_base = 0x1000;
constexpr size_t memory_cap = 16384;
constexpr size_t root_cap = 36 + 8 * 32;

struct memory {
    uint8_t bytes[memory_cap];
    size_t used;
};

static bool memory_read(void* ctx, uint64_t physical, void* buffer, size_t len) {
    const struct memory* memory = ctx;
    if (physical < memory_base || len > memory->used ||
        physical - memory_base > memory->used - len) {
        return false;
    }
    memcpy(buffer, memory->bytes + (physical - memory_base), len);
    return true;
}

static void fix_sum(uint8_t* from, size_t len, uint8_t* sum) {
    *sum = 0;
    for (size_t i = 0; i < len; i++) {
        *sum = (uint8_t)(*sum - from[i] * (from + i != sum));
    }
}

static void table_seal(uint8_t* table, const char* signature, uint32_t len) {
    memcpy(table, signature, 4);
    memcpy(table + 4, &len, 4);
    fix_sum(table, len, table + 9);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    static const char signatures[8][5] = {"APIC", "FACP", "HPET", "MCFG",
                                          "SSDT", "DSDT", "XXXX", "APIC"};
    static struct memory memory;
    static struct acpi_info info;
    memset(&memory, 0, sizeof(memory));
    uint8_t* rsdp = memory.bytes;
    uint8_t* root = memory.bytes + 64;
    memory.used = 64 + root_cap;
    uint32_t count = 0;
    while (len >= 3 && count < 32) {
        const char* signature = signatures[data[0] & 7];
        size_t body_len = (data[1] | (size_t)data[2] << 8) & 0x3ff;
        data += 3;
        len -= 3;
        body_len = body_len < len ? body_len : len;
        if (memory.used + 36 + body_len > memory_cap) {
            break;
        }
        uint8_t* table = memory.bytes + memory.used;
        memcpy(table + 36, data, body_len);
        table[8] = 3;
        table_seal(table, signature, 36 + (uint32_t)body_len);
        uint64_t address = memory_base + memory.used;
        memcpy(root + 36 + 8 * count++, &address, 8);
        memory.used += 36 + body_len;
        data += body_len;
        len -= body_len;
    }
    table_seal(root, "XSDT", 36 + 8 * count);
    uint64_t root_address = memory_base + 64;
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    rsdp[20] = 36;
    memcpy(rsdp + 24, &root_address, 8);
    fix_sum(rsdp, 20, rsdp + 8);
    fix_sum(rsdp, 36, rsdp + 32);
    struct acpi_memory reader = {.read = memory_read, .ctx = &memory};
    if (acpi_read(&reader, memory_base, &info) != ACPI_OK || info.cpu_count > acpi_cpu_max ||
        info.mcfg_count > acpi_mcfg_max || info.s5_type_a > 7 || info.s5_type_b > 7) {
        __builtin_trap();
    }
    return 0;
}
