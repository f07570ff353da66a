// A disk from the inside, for tests/system/disk_test.py, which knows it from the outside.
//
//     disk info DISK
//     disk sum DISK FIRST COUNT          CRC-32 of that many blocks, read in pieces of all lengths
//     disk unpinned DISK FIRST COUNT     the same, into memory that is not pinned in between
//     disk fill DISK FIRST COUNT SEED    writes a pattern, and flushes
//     disk discard DISK FIRST COUNT
//     disk storm DISK COUNT              see storm.c
//     disk survive DISK SERVICE COUNT    kills the service under its reads, and reads COUNT blocks
//     disk outlive DISK SERVICE COUNT    the same, into memory that is not pinned in between
//     disk beside DISK OFFER COUNT       takes the first device of the bus driver's OFFER before
//                                        anybody asks for a disk; then reads COUNT blocks
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <block/client.h>
#include <fidl/jacinth.pci.h>
#include <fidl/jacinth.system.h>
#include <io/client.h>
#include <jacinth/startup.h>
#include <lib/crc32.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include "storm.h"

constexpr uint64_t BUFFER = 1 << 20;
constexpr uint32_t CALLS = 8;

static const char* disk; // its name
static struct block_client client;
static zx_handle_t svc, vmo;
static uint8_t* memory;
static uint16_t id;
static jacinth_block_vmo_options_t options; // of the attachment

static int fail(const char* what, zx_status_t status) {
    fprintf(stderr, "disk: %s: %s\n", what, zx_status_get_string(status));
    return EXIT_FAILURE;
}

static zx_handle_t services(void) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), "/svc") == 0) {
            return zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        }
    }
    return ZX_HANDLE_INVALID;
}

// Whether there is somebody shows in the first call.
static zx_handle_t connect_disk(void) {
    zx_handle_t ours, theirs;
    if (zx_channel_create(0, &ours, &theirs) != ZX_OK) {
        return ZX_HANDLE_INVALID;
    }
    (void)io_connect(svc, disk, strlen(disk), theirs);
    return ours;
}

static zx_status_t open_disk(void) {
    zx_vaddr_t address;
    zx_status_t status = block_client_open(&client, connect_disk());
    if (status == ZX_OK) {
        status = zx_vmo_create(BUFFER, 0, &vmo);
    }
    if (status == ZX_OK) {
        status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0,
                             BUFFER, &address);
    }
    if (status == ZX_OK) {
        memory = (uint8_t*)address;
        status = block_client_attach_as(&client, vmo, options, &id);
    }
    return status;
}

static uint64_t next_random(uint64_t* state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

// Nobody but who wants to have the pages for good, or only while they are needed.
static int expect_free_pages(zx_handle_t memory_vmo) {
    zx_status_t status = zx_vmo_op_range(memory_vmo, ZX_VMO_OP_DECOMMIT, 0, BUFFER, nullptr, 0);
    return status == ZX_OK ? 0 : fail("pages are still pinned", status);
}

static int info(void) {
    const struct jacinth_block_info* i = &client.info;
    printf("block_size=%u block_count=%llu max_transfer=%u flags=%u\n", i->block_size,
           (unsigned long long)i->block_count, i->max_transfer, (uint32_t)i->flags);
    return 0;
}

// Several reads at a time, of lengths and to places in the buffer that no page knows of.
static int sum(uint64_t first, uint64_t count) {
    uint64_t room = BUFFER / client.info.block_size / CALLS, random = 1;
    uint64_t in_page = 4096 / client.info.block_size;
    uint32_t crc = 0;
    while (count > 0) {
        struct block_call calls[CALLS] = {};
        uint32_t started = 0;
        for (; started < CALLS && count > 0; started++) {
            uint64_t length = next_random(&random) % (room - 1) + 1;
            length = length < count ? length : count;
            uint64_t at = next_random(&random) % (room - length + 1);
            if (next_random(&random) % 2 != 0 && length >= in_page) {
                length -= length % in_page; // whole pages
                at -= at % in_page;
            }
            calls[started] = (struct block_call){.opcode = BLOCK_READ,
                                                 .vmoid = id,
                                                 .vmo_offset = started * room + at,
                                                 .device_offset = first,
                                                 .length = length};
            block_start(&client, &calls[started]);
            first += length;
            count -= length;
        }
        for (uint32_t i = 0; i < started; i++) {
            zx_status_t status = block_wait(&client, &calls[i]);
            if (status != ZX_OK) {
                return fail("reading", status);
            }
            crc = crc32_update(crc, memory + calls[i].vmo_offset * client.info.block_size,
                               calls[i].length * client.info.block_size);
        }
        int code = options != 0 ? expect_free_pages(vmo) : 0;
        if (code != 0) {
            return code;
        }
    }
    printf("crc=%08x\n", crc);
    return 0;
}

static int fill(uint64_t first, uint64_t count, uint64_t seed) {
    uint64_t room = BUFFER / client.info.block_size;
    while (count > 0) {
        uint64_t length = room < count ? room : count;
        for (uint64_t i = 0; i < length * client.info.block_size; i++) {
            memory[i] = (uint8_t)next_random(&seed);
        }
        zx_status_t status = block_run(&client, BLOCK_WRITE, id, 0, first, length);
        if (status != ZX_OK) {
            return fail("writing", status);
        }
        first += length;
        count -= length;
    }
    zx_status_t status = block_run(&client, BLOCK_FLUSH, 0, 0, 0, 0);
    return status == ZX_OK ? 0 : fail("flushing", status);
}

// ---- a driver that dies ----

static zx_status_t restart(char* service) {
    alignas(8) uint8_t bytes[256];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    static constexpr char name[] = "jacinth.system.Services";
    struct jacinth_system_services_restart_request request = {.name = {strlen(service), service}};
    zx_handle_t ours, theirs;
    zx_status_t status = zx_channel_create(0, &ours, &theirs);
    if (status == ZX_OK) {
        status = io_connect(svc, name, sizeof(name) - 1, theirs);
    }
    if (status == ZX_OK) {
        status = jacinth_system_services_restart_call(ours, ZX_TIME_INFINITE, &request, storage);
    }
    return status;
}

// Reads into all of the buffer are under way; each ends, well or with its server.
static int kill_under_reads(char* service) {
    static struct block_call calls[CALLS];
    uint64_t room = BUFFER / client.info.block_size / CALLS;
    for (uint32_t i = 0; i < CALLS; i++) {
        calls[i] = (struct block_call){
            .opcode = BLOCK_READ, .vmoid = id, .vmo_offset = i * room, .length = room - i % 2};
        block_start(&client, &calls[i]);
    }
    block_kick(&client);
    zx_status_t status = restart(service);
    if (status != ZX_OK) {
        return fail(service, status);
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        status = block_wait(&client, &calls[i]);
        if (status != ZX_OK && status != ZX_ERR_PEER_CLOSED) {
            return fail("a read under a dying driver", status);
        }
    }
    // What is sent to a server that is dying is not answered; what ends the call is its end.
    while ((status = block_run(&client, BLOCK_READ, id, 0, 0, 1)) == ZX_OK) {
    }
    return status == ZX_ERR_PEER_CLOSED ? 0 : fail("a dead driver", status);
}

static int survive(char* service, uint64_t count) {
    int code = kill_under_reads(service);
    if (code != 0) {
        return code;
    }
    zx_handle_t old = vmo;
    block_client_close(&client);
    zx_status_t status = open_disk();
    if (status != ZX_OK) {
        return fail("the next driver", status);
    }
    // Nobody holds the pages any more that the dead driver's device was told of.
    code = expect_free_pages(old);
    return code == 0 ? sum(0, count) : code;
}

// ---- a device that somebody else has ----

// Open until the program ends.
static zx_status_t take_first(const char* offer) {
    static alignas(8) uint8_t bytes[ZX_CHANNEL_MAX_MSG_BYTES];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_devices_list_response* list;
    zx_handle_t bus, theirs, device;
    zx_status_t status = zx_channel_create(0, &bus, &theirs);
    if (status == ZX_OK) {
        status = io_connect(svc, offer, strlen(offer), theirs);
    }
    if (status == ZX_OK) {
        status = jacinth_pci_devices_list_call(bus, ZX_TIME_INFINITE, storage, &list);
    }
    if (status != ZX_OK || list->devices.count == 0) {
        return status == ZX_OK ? ZX_ERR_NOT_FOUND : status;
    }
    struct jacinth_pci_devices_open_request request = {.address = list->devices.data[0].address};
    status = zx_channel_create(0, &device, &request.device);
    return status == ZX_OK ? jacinth_pci_devices_open_call(bus, ZX_TIME_INFINITE, &request, storage)
                           : status;
}

static int beside(const char* offer, uint64_t count) {
    zx_status_t status = take_first(offer);
    if (status == ZX_OK) {
        status = open_disk();
    }
    return status == ZX_OK ? sum(0, count) : fail(offer, status);
}

static uint64_t number(const char* text) {
    return text != nullptr ? strtoull(text, nullptr, 0) : 0;
}

int main(int argc, char** argv) {
    svc = services();
    disk = argc > 2 ? argv[2] : "";
    const char* what = argc > 2 ? argv[1] : "";
    uint64_t first = number(argc > 3 ? argv[3] : nullptr);
    uint64_t count = number(argc > 4 ? argv[4] : nullptr);
    if (strcmp(what, "unpinned") == 0 || strcmp(what, "outlive") == 0) {
        options = JACINTH_BLOCK_VMO_OPTIONS_UNPINNED;
    }
    if (strcmp(what, "beside") == 0 && argc > 4) {
        return beside(argv[3], count);
    }
    zx_status_t status = argc > 2 ? open_disk() : ZX_ERR_INVALID_ARGS;
    if (status != ZX_OK) {
        return fail(argc > 2 ? argv[2] : "no disk", status);
    }
    if (strcmp(what, "info") == 0) {
        return info();
    }
    if (strcmp(what, "sum") == 0 || strcmp(what, "unpinned") == 0) {
        return sum(first, count);
    }
    if (strcmp(what, "fill") == 0) {
        return fill(first, count, number(argc > 5 ? argv[5] : nullptr));
    }
    if (strcmp(what, "storm") == 0) {
        status = storm(connect_disk, first);
        return status == ZX_OK ? 0 : fail("storm", status);
    }
    if (strcmp(what, "discard") == 0) {
        status = block_run(&client, BLOCK_DISCARD, 0, 0, first, count);
        return status == ZX_OK ? 0 : fail("discarding", status);
    }
    bool dies = strcmp(what, "survive") == 0 || strcmp(what, "outlive") == 0;
    return dies && argc > 4 ? survive(argv[3], count) : 2;
}
