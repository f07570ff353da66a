// pci: the driver of the PCI bus. `pci NAME=FILTER...`: it offers each NAME as a
// jacinth.pci/Devices of those devices that fit the FILTER (bus.h), so that who may drive what
// stands in the services file. It holds the MMIO resource of all addresses, since a BAR may be
// anywhere.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <io/offers.h>
#include <jacinth/startup.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/iommu.h>
#include <zircon/syscalls/resource.h>

#include "access.h"
#include "bus.h"

constexpr uint32_t OFFERS_MAX = 16;

static struct async_loop loop;
static struct bus bus;
static struct filter filters[OFFERS_MAX];
static struct io_offer offer[OFFERS_MAX];
static char names[OFFERS_MAX][64];

static void connect(void* ctx, zx_handle_t request) {
    bus_serve(&bus, ctx, request);
}

static void abandoned(void*) {
    async_loop_quit(&loop);
}

static bool read_offer(uint32_t i, const char* word) {
    const char* equals = strchr(word, '=');
    if (equals == nullptr || equals == word || (size_t)(equals - word) >= sizeof(names[i])) {
        return false;
    }
    memcpy(names[i], word, (size_t)(equals - word));
    offer[i] = (struct io_offer){.name = names[i], .connect = connect, .ctx = &filters[i]};
    return filter_read(&filters[i], equals + 1);
}

static zx_handle_t make_iommu(void) {
    zx_handle_t resource =
        zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, ZX_RSRC_SYSTEM_IOMMU_BASE));
    zx_iommu_desc_dummy_t desc = {};
    zx_handle_t iommu = ZX_HANDLE_INVALID;
    (void)zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, &desc, sizeof(desc), &iommu);
    (void)zx_handle_close(resource);
    return iommu;
}

// Without either way to configuration space there is no bus.
static zx_status_t begin_access(char** environment) {
    struct ecam ecam;
    zx_handle_t ioports = zx_take_startup_handle(PA_HND(PA_IOPORT_RESOURCE, 0));
    zx_status_t status = ZX_OK;
    if (access_find_ecam(environment, &ecam)) {
        access_begin_ecam(&bus.access, &ecam, bus.mmio);
    } else {
        status = access_begin_ports(&bus.access, ioports);
    }
    (void)zx_handle_close(ioports);
    return status;
}

static zx_status_t serve(struct io_offers* offers, char** environment) {
    zx_handle_t request = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    bus.loop = &loop;
    bus.mmio = zx_take_startup_handle(PA_HND(PA_MMIO_RESOURCE, 0));
    bus.msi = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, ZX_RSRC_SYSTEM_MSI_BASE));
    bus.iommu = make_iommu();
    zx_status_t status = async_loop_init(&loop);
    if (status == ZX_OK) {
        status = begin_access(environment);
    }
    if (status == ZX_OK) {
        bus_search(&bus);
        status = io_offers_begin(offers, request);
    }
    return status == ZX_OK ? async_loop_run(&loop) : status;
}

int main(int argc, char** argv, char** environment) {
    static struct io_offers offers = {.loop = &loop, .offers = offer, .abandoned = abandoned};
    for (int i = 1; i < argc; i++) {
        if (offers.count == OFFERS_MAX || !read_offer(offers.count, argv[i])) {
            fprintf(stderr, "pci: '%s' is no NAME=FILTER, or one too many\n", argv[i]);
            return 2;
        }
        offers.count++;
    }
    zx_status_t status = serve(&offers, environment);
    if (status != ZX_OK) {
        fprintf(stderr, "pci: %s\n", zx_status_get_string(status));
    }
    return status == ZX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
