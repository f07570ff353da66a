// jacinth.pci from a driver's side: what it gets of its device, and what it does not get. For
// tests/system/pci_test.py, which builds the machine and lets this program have its virtio-rng
// (1af4:1044, behind a root port) under the name of jacinth.pci.Test.
#include <utest/utest.h>

#include <string.h>

#include <fidl/jacinth.pci.h>
#include <io/client.h>
#include <jacinth/startup.h>

GROUP("pci");

constexpr uint16_t VENDOR = 0x1af4, DEVICE = 0x1044;
constexpr uint16_t COMMAND = 4, COMMAND_MEMORY = 2, COMMAND_BUS_MASTER = 4;
constexpr uint8_t CAP_MSIX = 0x11, CAP_VENDOR = 0x09;

static alignas(8) uint8_t bytes[16384];
static const struct fidl_storage storage = {bytes, sizeof(bytes)};

// ---- short forms ----

static zx_handle_t services(void) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), "/svc") == 0) {
            return utest_startup_peek(PA_HND(PA_NS_DIR, i));
        }
    }
    FAIL("there is no /svc");
}

static zx_handle_t connect(const char* name) {
    struct utest_pair p = utest_channel();
    EXPECT_OK(io_connect(services(), name, strlen(name), p.b));
    return p.a;
}

static struct jacinth_pci_device_info only_device(zx_handle_t bus) {
    struct jacinth_pci_devices_list_response* r;
    EXPECT_OK(jacinth_pci_devices_list_call(bus, ZX_TIME_INFINITE, storage, &r));
    EXPECT_EQ(r->devices.count, 1);
    return r->devices.data[0];
}

static zx_status_t try_open(zx_handle_t bus, uint16_t address, zx_handle_t* out) {
    struct jacinth_pci_devices_open_request r = {.address = address};
    EXPECT_OK(zx_channel_create(0, out, &r.device));
    zx_status_t status = jacinth_pci_devices_open_call(bus, ZX_TIME_INFINITE, &r, storage);
    if (status != ZX_OK) {
        EXPECT_CLOSE(*out);
    }
    return status;
}

static zx_handle_t open_device(zx_handle_t bus) {
    zx_handle_t device;
    EXPECT_OK(try_open(bus, only_device(bus).address, &device));
    return device;
}

// The channel's end is seen in its turn; then the device is free again.
static void close_device(zx_handle_t bus, zx_handle_t device) {
    EXPECT_CLOSE(device);
    while (only_device(bus).in_use) {
    }
}

static zx_status_t try_read(zx_handle_t device, uint16_t offset, uint8_t width, uint32_t* value) {
    struct jacinth_pci_device_read_config_request r = {.offset = offset, .width = width};
    struct jacinth_pci_device_read_config_response* answer;
    zx_status_t status =
        jacinth_pci_device_read_config_call(device, ZX_TIME_INFINITE, &r, storage, &answer);
    *value = status == ZX_OK ? answer->value : 0;
    return status;
}

static uint32_t read(zx_handle_t device, uint16_t offset, uint8_t width) {
    uint32_t value;
    EXPECT_OK(try_read(device, offset, width, &value));
    return value;
}

static zx_status_t try_write(zx_handle_t device, uint16_t offset, uint8_t width, uint32_t value) {
    struct jacinth_pci_device_write_config_request r = {
        .offset = offset, .width = width, .value = value};
    return jacinth_pci_device_write_config_call(device, ZX_TIME_INFINITE, &r, storage);
}

static zx_status_t try_bar(zx_handle_t device, uint8_t index, zx_handle_t* vmo, uint64_t* size) {
    struct jacinth_pci_device_get_bar_request r = {.index = index};
    struct jacinth_pci_device_get_bar_response* answer;
    zx_status_t status =
        jacinth_pci_device_get_bar_call(device, ZX_TIME_INFINITE, &r, storage, &answer);
    if (status == ZX_OK) {
        *vmo = answer->vmo;
        *size = answer->size;
    }
    return status;
}

static void set_bus_master(zx_handle_t device, bool enabled) {
    struct jacinth_pci_device_set_bus_master_request r = {.enabled = enabled};
    EXPECT_OK(jacinth_pci_device_set_bus_master_call(device, ZX_TIME_INFINITE, &r, storage));
}

static uint8_t capability(zx_handle_t device, uint8_t id) {
    struct jacinth_pci_device_get_capabilities_response* r;
    EXPECT_OK(jacinth_pci_device_get_capabilities_call(device, ZX_TIME_INFINITE, storage, &r));
    for (uint64_t i = 0; i < r->capabilities.count; i++) {
        if (r->capabilities.data[i].id == id) {
            return r->capabilities.data[i].offset;
        }
    }
    FAIL("no capability %#x", id);
}

static zx_status_t try_interrupts(zx_handle_t device, uint32_t count, zx_handle_t out[]) {
    struct jacinth_pci_device_get_interrupts_request r = {.count = count};
    struct jacinth_pci_device_get_interrupts_response* answer;
    zx_status_t status =
        jacinth_pci_device_get_interrupts_call(device, ZX_TIME_INFINITE, &r, storage, &answer);
    if (status == ZX_OK) {
        EXPECT_EQ(answer->interrupts.count, count);
        memcpy(out, answer->interrupts.data, count * sizeof(out[0]));
    }
    return status;
}

// ---- who gets it ----

CASE(an_offer_is_of_its_devices) {
    zx_handle_t bus = connect("jacinth.pci.Test"), all = connect("jacinth.pci.List"), device;
    struct jacinth_pci_device_info info = only_device(bus);
    EXPECT_EQ(info.vendor, VENDOR);
    EXPECT_EQ(info.device, DEVICE);
    EXPECT_STATUS(try_open(bus, 0, &device), ZX_ERR_NOT_FOUND); // the host bridge
    EXPECT_STATUS(try_open(bus, 0xffff, &device), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(try_open(all, info.address, &device), ZX_ERR_NOT_FOUND); // which only lists
    struct jacinth_pci_devices_list_response* r;
    EXPECT_OK(jacinth_pci_devices_list_call(all, ZX_TIME_INFINITE, storage, &r));
    EXPECT(r->devices.count > 4);
    EXPECT_CLOSE(bus);
    EXPECT_CLOSE(all);
}

CASE(a_device_has_one_driver) {
    zx_handle_t bus = connect("jacinth.pci.Test"), other;
    zx_handle_t device = open_device(bus);
    struct jacinth_pci_device_info info = only_device(bus);
    EXPECT(info.in_use);
    EXPECT_STATUS(try_open(bus, info.address, &other), ZX_ERR_ALREADY_BOUND);
    close_device(bus, device);
    close_device(bus, open_device(bus));
    EXPECT_CLOSE(bus);
}

CASE(nonsense_gives_the_device_back) {
    zx_handle_t bus = connect("jacinth.pci.Test");
    zx_handle_t device = open_device(bus);
    EXPECT_OK(zx_channel_write(device, 0, "nonsense", 8, nullptr, 0));
    EXPECT_OK(zx_object_wait_one(device, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    close_device(bus, device);
    close_device(bus, open_device(bus));
    EXPECT_CLOSE(bus);
}

// ---- configuration ----

CASE(configuration_is_read) {
    zx_handle_t bus = connect("jacinth.pci.Test");
    zx_handle_t device = open_device(bus);
    uint32_t value;
    EXPECT_EQ(read(device, 0, 4), (uint32_t)DEVICE << 16 | VENDOR);
    EXPECT_EQ(read(device, 2, 2), DEVICE);
    EXPECT_EQ(read(device, 1, 1), VENDOR >> 8);
    (void)read(device, 4092, 4);
    EXPECT_STATUS(try_read(device, 4096, 4, &value), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(try_read(device, 0, 3, &value), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(try_read(device, 0, 0, &value), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(try_read(device, 2, 4, &value), ZX_ERR_INVALID_ARGS);
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}

CASE(what_a_driver_may_not_write) {
    zx_handle_t bus = connect("jacinth.pci.Test");
    zx_handle_t device = open_device(bus);
    uint8_t msix = capability(device, CAP_MSIX);
    uint32_t command = read(device, COMMAND, 2), control = read(device, msix, 4);
    for (uint16_t offset = 0; offset < 0x40; offset += 4) {
        EXPECT_STATUS(try_write(device, offset, 4, UINT32_MAX), ZX_ERR_ACCESS_DENIED);
    }
    EXPECT_STATUS(try_write(device, msix, 4, UINT32_MAX), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_write(device, msix + 2, 2, 0x8000), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_write(device, 0x100, 4, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_write(device, 4096, 4, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_EQ(read(device, COMMAND, 2), command);
    EXPECT_EQ(read(device, msix, 4), control);
    // The inside of a capability of the vendor's is the driver's.
    EXPECT_OK(try_write(device, capability(device, CAP_VENDOR) + 4, 1, 0));
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}

// ---- memory ----

CASE(memory_of_the_device) {
    zx_handle_t bus = connect("jacinth.pci.Test"), vmo;
    zx_handle_t device = open_device(bus);
    uint64_t size = 0;
    EXPECT_OK(try_bar(device, 4, &vmo, &size));
    zx_info_vmo_t info;
    EXPECT_OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.size_bytes, size);
    EXPECT_EQ(info.cache_policy, ZX_CACHE_POLICY_UNCACHED_DEVICE);
    EXPECT_CLOSE(vmo);
    uint32_t table = read(device, (uint16_t)(capability(device, CAP_MSIX) + 4), 4);
    EXPECT_STATUS(try_bar(device, table & 7, &vmo, &size), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_bar(device, 2, &vmo, &size), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(try_bar(device, 5, &vmo, &size), ZX_ERR_NOT_FOUND); // the upper half of 4
    EXPECT_STATUS(try_bar(device, 6, &vmo, &size), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(try_bar(device, 255, &vmo, &size), ZX_ERR_NOT_FOUND);
    struct jacinth_pci_device_get_bti_response* r;
    EXPECT_OK(jacinth_pci_device_get_bti_call(device, ZX_TIME_INFINITE, storage, &r));
    EXPECT_EQ(utest_basic(r->bti).type, ZX_OBJ_TYPE_BTI);
    EXPECT_CLOSE(r->bti);
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}

CASE(nobody_masters_the_bus_unasked) {
    zx_handle_t bus = connect("jacinth.pci.Test");
    zx_handle_t device = open_device(bus);
    EXPECT_EQ(read(device, COMMAND, 2) & COMMAND_BUS_MASTER, 0);
    EXPECT_EQ(read(device, COMMAND, 2) & COMMAND_MEMORY, COMMAND_MEMORY);
    set_bus_master(device, true);
    EXPECT_EQ(read(device, COMMAND, 2) & COMMAND_BUS_MASTER, COMMAND_BUS_MASTER);
    close_device(bus, device);
    device = open_device(bus);
    EXPECT_EQ(read(device, COMMAND, 2) & COMMAND_BUS_MASTER, 0);
    set_bus_master(device, true);
    set_bus_master(device, false);
    EXPECT_EQ(read(device, COMMAND, 2) & COMMAND_BUS_MASTER, 0);
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}

// ---- interrupts and reset ----

CASE(interrupts) {
    zx_handle_t bus = connect("jacinth.pci.Test"), list[JACINTH_PCI_MAX_INTERRUPTS];
    zx_handle_t device = open_device(bus);
    uint8_t msix = capability(device, CAP_MSIX);
    EXPECT_STATUS(try_interrupts(device, 0, list), ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(try_interrupts(device, 33, list), ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(try_interrupts(device, UINT32_MAX, list), ZX_ERR_NOT_SUPPORTED);
    EXPECT_EQ(read(device, msix + 2, 2) >> 15, 0);
    EXPECT_OK(try_interrupts(device, 2, list));
    EXPECT_EQ(read(device, msix + 2, 2) >> 14, 2); // enabled, not masked
    EXPECT_EQ(utest_basic(list[1]).type, ZX_OBJ_TYPE_INTERRUPT);
    EXPECT_STATUS(try_interrupts(device, 1, list + 2), ZX_ERR_ALREADY_BOUND);
    EXPECT_CLOSE(list[0]);
    EXPECT_CLOSE(list[1]);
    close_device(bus, device);
    device = open_device(bus);
    EXPECT_EQ(read(device, msix + 2, 2) >> 15, 0);
    EXPECT_OK(try_interrupts(device, 1, list));
    EXPECT_CLOSE(list[0]);
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}

// A driver that keeps what it got would else have all vectors of the machine before long.
CASE(interrupts_that_are_kept) {
    zx_handle_t bus = connect("jacinth.pci.Test"), list[2], other[2];
    zx_handle_t device = open_device(bus);
    EXPECT_OK(try_interrupts(device, 2, list));
    close_device(bus, device);
    device = open_device(bus);
    EXPECT_STATUS(try_interrupts(device, 2, other), ZX_ERR_ALREADY_BOUND);
    EXPECT_OK(jacinth_pci_device_reset_call(device, ZX_TIME_INFINITE, storage));
    EXPECT_STATUS(try_interrupts(device, 1, other), ZX_ERR_ALREADY_BOUND);
    EXPECT_CLOSE(list[0]);
    EXPECT_STATUS(try_interrupts(device, 2, other), ZX_ERR_ALREADY_BOUND);
    EXPECT_OK(try_interrupts(device, 1, other));
    EXPECT_CLOSE(list[1]);
    close_device(bus, device);
    EXPECT_CLOSE(other[0]);
    device = open_device(bus);
    EXPECT_OK(try_interrupts(device, 2, other));
    EXPECT_CLOSE(other[0]);
    EXPECT_CLOSE(other[1]);
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}

CASE(a_reset_leaves_the_device_as_after_open) {
    zx_handle_t bus = connect("jacinth.pci.Test"), list[1];
    zx_handle_t device = open_device(bus);
    uint32_t bar = read(device, 0x20, 4), command = read(device, COMMAND, 2);
    EXPECT_OK(try_interrupts(device, 1, list));
    set_bus_master(device, true);
    EXPECT_OK(jacinth_pci_device_reset_call(device, ZX_TIME_INFINITE, storage));
    EXPECT_EQ(read(device, 0x20, 4), bar);
    EXPECT_EQ(read(device, COMMAND, 2), command);
    EXPECT_CLOSE(list[0]);
    EXPECT_OK(try_interrupts(device, 1, list));
    EXPECT_CLOSE(list[0]);
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}

// The next driver does not get a device that is being reset.
CASE(a_driver_that_leaves_during_a_reset) {
    zx_handle_t bus = connect("jacinth.pci.Test");
    zx_handle_t device = open_device(bus);
    uint32_t bar = read(device, 0x20, 4);
    EXPECT_OK(fidl_request(device, 5, &jacinth_pci_device_reset_method, storage, nullptr));
    close_device(bus, device);
    device = open_device(bus);
    EXPECT_EQ(read(device, 0x20, 4), bar);
    close_device(bus, device);
    EXPECT_CLOSE(bus);
}
