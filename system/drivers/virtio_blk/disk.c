#include "disk.h"

#include <stdlib.h>
#include <string.h>

#include <fidl/jacinth.pci.h>
#include <lib/compiler.h>
#include <zircon/process.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/iommu.h>
#include <zircon/time.h>

enum : uint64_t { // 5.2.3
    F_SEG_MAX = 1ull << 2,
    F_READ_ONLY = 1ull << 5,
    F_BLK_SIZE = 1ull << 6,
    F_FLUSH = 1ull << 9,
    F_DISCARD = 1ull << 13,
};
enum : uint32_t { // offsets in the configuration, 5.2.4
    CONFIG_CAPACITY = 0,
    CONFIG_SEG_MAX = 12,
    CONFIG_BLK_SIZE = 20,
    CONFIG_MAX_DISCARD = 36,
};
enum : uint8_t { STATUS_OK = 0, STATUS_UNSUPPORTED = 2, STATUS_NONE = 0xff };

constexpr uint32_t types[BLOCK_OPCODES] = {
    [BLOCK_READ] = 0, [BLOCK_WRITE] = 1, [BLOCK_FLUSH] = 4, [BLOCK_DISCARD] = 11};
constexpr uint32_t SECTOR = 512;
constexpr uint64_t PAGE = 4096;
constexpr zx_duration_t POLL_INTERVAL = ZX_USEC(100);

static struct disk* disk_of(struct block_device* device) {
    return container_of(device, struct disk, block);
}

// ---- VMOs ----

struct pinned {
    zx_handle_t pmt;
    zx_paddr_t pages[];
};

static zx_status_t attach(struct block_device* device, struct block_vmo* vmo) {
    uint64_t count = vmo->window.size / PAGE;
    struct pinned* p = malloc(sizeof(*p) + count * sizeof(p->pages[0]));
    if (p == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    uint32_t may = ((vmo->window.rights & ZX_RIGHT_READ) != 0 ? ZX_BTI_PERM_READ : 0) |
                   ((vmo->window.rights & ZX_RIGHT_WRITE) != 0 ? ZX_BTI_PERM_WRITE : 0);
    zx_status_t status = zx_bti_pin(disk_of(device)->bti, may, vmo->handle, 0, vmo->window.size,
                                    p->pages, count, &p->pmt);
    if (status != ZX_OK) {
        free(p);
        return status;
    }
    vmo->driver = p;
    return ZX_OK;
}

static void detach(struct block_device*, struct block_vmo* vmo) {
    struct pinned* p = vmo->driver;
    (void)zx_pmt_unpin(p->pmt);
    free(p);
}

// ---- pages of one request ----

struct span { // of bytes, in the client's VMO
    uint64_t offset, len;
};

static struct span span_of(const struct disk* d, const struct block_op* op) {
    const uint32_t block = d->block.info.block_size;
    return (struct span){op->request.vmo_offset * block, (uint64_t)op->request.length * block};
}

static bool pins_its_own(const struct block_op* op) {
    return op->vmo != nullptr && op->vmo->is_unpinned;
}

// Addresses of pages, and where in the first of them the span begins.
struct place {
    const zx_paddr_t* pages;
    uint64_t offset;
};

static zx_status_t pin(struct disk* d, const struct block_op* op, struct disk_pages* p,
                       struct place* out) {
    static zx_paddr_t pages[DISK_SEGMENTS]; // until the row is made
    const struct span s = span_of(d, op);
    const uint64_t in_page = s.offset % PAGE;
    const uint64_t len = (in_page + s.len + PAGE - 1) & ~(PAGE - 1);
    const bool is_read = op->request.opcode == BLOCK_READ;
    p->is_fresh = is_read && len == s.len;
    *out = (struct place){pages, in_page};
    if (!p->is_fresh) {
        return zx_bti_pin(d->bti, is_read ? ZX_BTI_PERM_WRITE : ZX_BTI_PERM_READ, op->vmo->handle,
                          s.offset - in_page, len, pages, len / PAGE, &p->pmt);
    }
    if (p->fresh == ZX_HANDLE_INVALID) {
        const zx_status_t status = zx_vmo_create(DISK_SEGMENTS * PAGE, 0, &p->fresh);
        if (status != ZX_OK) {
            return status;
        }
    }
    return zx_bti_pin(d->bti, ZX_BTI_PERM_WRITE | ZX_BTI_UNCLEARED, p->fresh, 0, len, pages,
                      len / PAGE, &p->pmt);
}

static void drop_fresh(const struct disk_pages* p) {
    if (p->is_fresh && p->fresh != ZX_HANDLE_INVALID) {
        (void)zx_vmo_op_range(p->fresh, ZX_VMO_OP_DECOMMIT, 0, DISK_SEGMENTS * PAGE, nullptr, 0);
    }
}

// The device is done with the request, or never knew of it: what its end is.
static zx_status_t unpin(const struct disk* d, const struct block_op* op, struct disk_pages* p,
                         zx_status_t status) {
    (void)zx_pmt_unpin(p->pmt);
    p->pmt = ZX_HANDLE_INVALID;
    if (p->is_fresh && status == ZX_OK) {
        const struct span s = span_of(d, op);
        status = zx_vmo_transfer_data(op->vmo->handle, 0, s.offset, s.len, p->fresh, 0);
    }
    if (status != ZX_OK) {
        drop_fresh(p);
    }
    return status;
}

static zx_status_t find_pages(struct disk* d, const struct block_op* op, uint16_t slot,
                              struct place* out) {
    if (pins_its_own(op)) {
        const zx_status_t status = pin(d, op, &d->pages[slot], out);
        if (status != ZX_OK) {
            drop_fresh(&d->pages[slot]);
        }
        return status;
    }
    if (op->vmo != nullptr) {
        const struct pinned* p = op->vmo->driver;
        *out = (struct place){p->pages, span_of(d, op).offset};
    }
    return ZX_OK;
}

// What the end of a request is that the device is done with, or never knew of.
static zx_status_t end_pages(struct disk* d, const struct block_op* op, uint16_t slot,
                             zx_status_t status) {
    return pins_its_own(op) ? unpin(d, op, &d->pages[slot], status) : status;
}

// ---- requests ----

static uint64_t slot_address(const struct disk* d, uint16_t slot, size_t member) {
    return d->slots_address + slot * sizeof(struct disk_slot) + member;
}

// The blocks that are moved: the number of segments; 0: too many.
static uint16_t make_data(const struct disk* d, const struct block_op* op, struct place place,
                          struct virtq_segment out[DISK_SEGMENTS]) {
    return segments_make(place.pages, place.offset, span_of(d, op).len,
                         op->request.opcode == BLOCK_READ, out, d->segments_max);
}

static void fill_slot(struct disk* d, const struct block_op* op, uint16_t slot) {
    struct disk_slot* s = &d->slots[slot];
    uint32_t sectors = d->block.info.block_size / SECTOR;
    bool is_transfer = op->request.opcode <= BLOCK_WRITE;
    s->header.type = types[op->request.opcode];
    s->header.sector = is_transfer ? op->request.device_offset * sectors : 0;
    s->range.sector = op->request.device_offset * sectors;
    s->range.sectors = op->request.length * sectors;
    s->status = STATUS_NONE;
}

// The row of a request; 0: it cannot be said.
static uint16_t make_row(const struct disk* d, const struct block_op* op, uint16_t slot,
                         struct place place, struct virtq_segment out[DISK_SEGMENTS + 2]) {
    uint16_t count = 0;
    out[count++] = (struct virtq_segment){slot_address(d, slot, offsetof(struct disk_slot, header)),
                                          sizeof(d->slots->header), false};
    if (op->request.opcode <= BLOCK_WRITE) {
        uint16_t data = make_data(d, op, place, out + count);
        if (data == 0) {
            return 0;
        }
        count += data;
    } else if (op->request.opcode == BLOCK_DISCARD) {
        out[count++] =
            (struct virtq_segment){slot_address(d, slot, offsetof(struct disk_slot, range)),
                                   sizeof(d->slots->range), false};
    }
    out[count++] =
        (struct virtq_segment){slot_address(d, slot, offsetof(struct disk_slot, status)), 1, true};
    return count;
}

static void submit(struct block_device* device, struct block_op* op) {
    struct disk* d = disk_of(device);
    if (op->request.opcode == BLOCK_FLUSH && (d->virtio.features & F_FLUSH) == 0) {
        block_op_done(op, ZX_OK); // it writes through
        return;
    }
    struct virtq_segment row[DISK_SEGMENTS + 2];
    uint16_t slot = d->free[d->free_count - 1]; // the library keeps to the depth
    struct place place = {};
    const zx_status_t status = find_pages(d, op, slot, &place);
    if (status != ZX_OK) {
        block_op_done(op, status);
        return;
    }
    fill_slot(d, op, slot);
    uint16_t count = make_row(d, op, slot, place, row);
    struct virtq_table table = {d->slots[slot].row,
                                slot_address(d, slot, offsetof(struct disk_slot, row))};
    bool has_tables = (d->virtio.features & VIRTIO_F_INDIRECT_DESC) != 0;
    if (count == 0 ||
        !virtq_add(&d->queue, row, count, has_tables ? &table : nullptr, (void*)(uintptr_t)slot)) {
        block_op_done(op, end_pages(d, op, slot, ZX_ERR_INTERNAL));
        return;
    }
    d->free_count--;
    d->ops[slot] = op;
}

static void kick(struct block_device* device) {
    struct disk* d = disk_of(device);
    if (virtq_publish(&d->queue)) {
        *d->doorbell = 0;
    }
    if (d->interrupt == ZX_HANDLE_INVALID && d->poll.loop == nullptr) {
        async_task_post(d->block.loop, &d->poll, zx_clock_get_monotonic() + POLL_INTERVAL);
    }
    if (d->watch.loop == nullptr && d->patience != ZX_TIME_INFINITE) {
        d->answers_seen = d->answers;
        async_task_post(d->block.loop, &d->watch, zx_clock_get_monotonic() + d->patience);
    }
}

// `written` counts the status's byte, too. What the device left out of pages that were not cleared
// is nobody's to see.
static zx_status_t status_of(const struct disk* d, const struct block_op* op, uint16_t slot,
                             uint32_t written) {
    switch (*(const volatile uint8_t*)&d->slots[slot].status) {
    case STATUS_OK:
        return op->request.opcode != BLOCK_READ || written > span_of(d, op).len ? ZX_OK : ZX_ERR_IO;
    case STATUS_UNSUPPORTED:
        return ZX_ERR_NOT_SUPPORTED;
    default:
        return ZX_ERR_IO;
    }
}

static void take_answers(struct disk* d) {
    void* token;
    uint32_t written;
    virtq_taken_t taken;
    while ((taken = virtq_take(&d->queue, &token, &written)) == VIRTQ_TAKEN) {
        uint16_t slot = (uint16_t)(uintptr_t)token;
        struct block_op* op = d->ops[slot];
        d->ops[slot] = nullptr;
        d->answers++;
        d->free[d->free_count++] = slot;
        block_op_done(op, end_pages(d, op, slot, status_of(d, op, slot, written)));
    }
    if (taken == VIRTQ_BROKEN) {
        d->lost(d, "the device makes no sense");
        return;
    }
    block_device_pump(&d->block);
}

// A device that has said nothing for so long will not say anything any more.
static void on_watch(struct async_task* task) {
    struct disk* d = container_of(task, struct disk, watch);
    if (d->block.stats.in_flight == 0) {
        return; // the next request begins anew
    }
    if (d->answers == d->answers_seen || virtio_needs_reset(&d->virtio)) {
        d->lost(d, "the device does not answer");
        return;
    }
    d->answers_seen = d->answers;
    async_task_post(d->block.loop, task, zx_clock_get_monotonic() + d->patience);
}

static void on_poll(struct async_task* task) {
    struct disk* d = container_of(task, struct disk, poll);
    take_answers(d);
    if (d->block.stats.in_flight > 0 && task->loop == nullptr) {
        async_task_post(d->block.loop, task, zx_clock_get_monotonic() + POLL_INTERVAL);
    }
}

// Acknowledged first: what the device adds from here on is another interrupt.
static void on_interrupt(struct async_receiver* receiver, const zx_port_packet_t*) {
    struct disk* d = container_of(receiver, struct disk, receiver);
    (void)zx_interrupt_ack(d->interrupt);
    take_answers(d);
}

static const struct block_driver driver = {
    .attach = attach, .detach = detach, .submit = submit, .kick = kick};

// ---- taking over ----

static zx_status_t get_bti(struct disk* d) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_device_get_bti_response* response;
    zx_status_t status =
        jacinth_pci_device_get_bti_call(d->virtio.pci, ZX_TIME_INFINITE, storage, &response);
    if (status == ZX_OK) {
        d->bti = response->bti;
    }
    return status;
}

static zx_status_t set_bus_master(struct disk* d) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_device_set_bus_master_request request = {.enabled = true};
    return jacinth_pci_device_set_bus_master_call(d->virtio.pci, ZX_TIME_INFINITE, &request,
                                                  storage);
}

// A device without MSI-X has none: it is asked now and then.
static zx_status_t get_interrupt(struct disk* d) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_device_get_interrupts_request request = {.count = 1};
    struct jacinth_pci_device_get_interrupts_response* response;
    zx_status_t status = jacinth_pci_device_get_interrupts_call(d->virtio.pci, ZX_TIME_INFINITE,
                                                                &request, storage, &response);
    if (status != ZX_OK) {
        return status == ZX_ERR_NOT_SUPPORTED ? ZX_OK : status;
    }
    if (response->interrupts.count != 1) {
        fidl_close_handles(&jacinth_pci_device_get_interrupts_response_type, response);
        return ZX_ERR_IO_INVALID;
    }
    d->interrupt = response->interrupts.data[0];
    d->receiver.handler = on_interrupt;
    async_receiver_begin(d->block.loop, &d->receiver);
    return zx_interrupt_bind(d->interrupt, d->block.loop->port, async_receiver_key(&d->receiver),
                             ZX_INTERRUPT_BIND);
}

// Contiguous, pinned for good, and zero.
static zx_status_t make_shared(struct disk* d, size_t size, uint8_t** memory, uint64_t* address) {
    zx_handle_t vmo, pmt;
    zx_vaddr_t mapped;
    size = (size + PAGE - 1) & ~(PAGE - 1);
    zx_status_t status = zx_vmo_create_contiguous(d->bti, size, 0, &vmo);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, size,
                         &mapped);
    if (status == ZX_OK) {
        status = zx_bti_pin(d->bti, ZX_BTI_PERM_READ | ZX_BTI_PERM_WRITE | ZX_BTI_CONTIGUOUS, vmo,
                            0, size, address, 1, &pmt);
    }
    (void)zx_handle_close(vmo);
    *memory = (uint8_t*)mapped;
    return status;
}

static uint16_t min16(uint16_t a, uint16_t b) {
    return a < b ? a : b;
}

// The largest power of two that both sides can do.
static uint16_t queue_size(struct disk* d) {
    uint16_t most = virtio_queue_max(&d->virtio, 0), size = 1;
    most = min16(most, VIRTQ_SIZE_MAX);
    while (size <= most / 2) {
        size *= 2;
    }
    return most == 0 ? 0 : size;
}

static zx_status_t make_queue(struct disk* d, uint16_t vector) {
    uint16_t size = queue_size(d);
    if (size < 4) { // a header, a segment, a status
        return ZX_ERR_NOT_SUPPORTED;
    }
    struct virtq_layout l = virtq_layout(size);
    size_t slots_at = (l.size + 63) & ~(size_t)63;
    uint8_t* memory;
    uint64_t address;
    zx_status_t status =
        make_shared(d, slots_at + DISK_DEPTH * sizeof(struct disk_slot), &memory, &address);
    if (status != ZX_OK) {
        return status;
    }
    virtq_init(&d->queue, size, memory);
    d->slots = (struct disk_slot*)(void*)(memory + slots_at);
    d->slots_address = address + slots_at;
    for (uint16_t i = 0; i < DISK_DEPTH; i++) {
        d->free[d->free_count++] = i;
    }
    return virtio_queue_enable(&d->virtio, 0, size, address, address + l.avail, address + l.used,
                               vector, &d->doorbell);
}

// How long a request may be, and how many may be under way: rows without a table take their room in
// the ring.
static void set_limits(struct disk* d) {
    bool has_tables = (d->virtio.features & VIRTIO_F_INDIRECT_DESC) != 0;
    uint32_t said = virtio_config32(&d->virtio, CONFIG_SEG_MAX);
    uint16_t most = DISK_SEGMENTS;
    if ((d->virtio.features & F_SEG_MAX) != 0 && said > 0 && said < most) {
        most = (uint16_t)said;
    }
    d->segments_max = min16(most, (uint16_t)(d->queue.size - 2));
    uint16_t rows = has_tables ? d->queue.size : d->queue.size / (d->segments_max + 2);
    d->block.depth = min16(DISK_DEPTH, rows);
}

static void set_info(struct disk* d) {
    uint64_t features = d->virtio.features;
    uint32_t block = SECTOR;
    if ((features & F_BLK_SIZE) != 0) {
        uint32_t said = virtio_config32(&d->virtio, CONFIG_BLK_SIZE);
        block = said >= SECTOR && said <= PAGE && (said & (said - 1)) == 0 ? said : SECTOR;
    }
    uint32_t sectors = block / SECTOR;
    // A range that begins inside of a page touches one page more.
    uint64_t bytes = d->segments_max > 1 ? (d->segments_max - 1ull) * PAGE : PAGE / 2;
    d->block.info = (struct jacinth_block_info){
        .block_size = block,
        .block_count = virtio_config64(&d->virtio, CONFIG_CAPACITY) / sectors,
        .max_transfer = bytes >= block ? (uint32_t)(bytes / block) : 1,
        .flags = ((features & F_READ_ONLY) != 0 ? JACINTH_BLOCK_FLAGS_READ_ONLY : 0) |
                 ((features & F_FLUSH) != 0 ? JACINTH_BLOCK_FLAGS_VOLATILE_CACHE : 0)};
    uint32_t discard = virtio_config32(&d->virtio, CONFIG_MAX_DISCARD) / sectors;
    if ((features & F_DISCARD) != 0 && discard > 0) {
        d->block.info.flags |= JACINTH_BLOCK_FLAGS_DISCARD;
        d->block.info.max_discard = discard;
    }
}

static void on_bus_gone(struct async_wait* wait, const zx_packet_signal_t*) {
    struct disk* d = container_of(wait, struct disk, bus);
    d->lost(d, nullptr);
}

static zx_status_t begin(struct disk* d) {
    zx_status_t status = virtio_reset(&d->virtio);
    if (status == ZX_OK) {
        status = get_bti(d);
    }
    if (status == ZX_OK) {
        status = zx_bti_release_quarantine(d->bti); // the device has stopped
    }
    if (status == ZX_OK) {
        status = set_bus_master(d);
    }
    if (status == ZX_OK) {
        status = virtio_negotiate(&d->virtio, F_SEG_MAX | F_READ_ONLY | F_BLK_SIZE | F_FLUSH |
                                                  F_DISCARD | VIRTIO_F_INDIRECT_DESC |
                                                  VIRTIO_F_VERSION_1);
    }
    if (status == ZX_OK) {
        status = get_interrupt(d);
    }
    if (status == ZX_OK) {
        status = make_queue(d, d->interrupt != ZX_HANDLE_INVALID ? 0 : VIRTIO_NO_VECTOR);
    }
    if (status != ZX_OK) {
        return status;
    }
    set_limits(d);
    set_info(d);
    d->bus = (struct async_wait){
        .object = d->virtio.pci, .trigger = ZX_CHANNEL_PEER_CLOSED, .handler = on_bus_gone};
    status = async_wait_begin(d->block.loop, &d->bus);
    if (status == ZX_OK) {
        virtio_start(&d->virtio);
    }
    return status;
}

zx_status_t disk_start(struct disk* d, struct async_loop* loop, zx_handle_t pci) {
    d->block.loop = loop;
    d->block.driver = &driver;
    d->poll.handler = on_poll;
    d->watch.handler = on_watch;
    zx_status_t status = virtio_open(&d->virtio, pci);
    if (status != ZX_OK) {
        return status;
    }
    status = begin(d);
    if (status != ZX_OK) {
        // A device that may have been started is stopped, or else masters the bus no more: its
        // channel closes.
        (void)virtio_reset(&d->virtio);
        (void)zx_handle_close(d->interrupt);
        async_receiver_cancel(&d->receiver);
        (void)zx_handle_close(d->bti);
        virtio_close(&d->virtio);
        return status;
    }
    block_device_init(&d->block);
    return ZX_OK;
}
