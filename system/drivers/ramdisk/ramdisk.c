#include <ramdisk/ramdisk.h>

#include <string.h>

#include <lib/compiler.h>
#include <zircon/process.h>
#include <zircon/syscalls.h>

#include "ramdisk_priv.h"

constexpr uint32_t DEPTH = 64;
constexpr uint32_t TRANSFER_BYTES_MAX = 256 << 10;
constexpr uint8_t DISCARDED = 0xdc; // what discarded blocks hold

static struct ramdisk* disk_of(struct block_device* device) {
    return container_of(device, struct ramdisk, device);
}

static uint32_t block_size(const struct ramdisk* d) {
    return d->device.info.block_size;
}

// ---- power ----

static zx_status_t make_durable(struct ramdisk* d) {
    zx_handle_t snapshot;
    zx_status_t status =
        zx_vmo_create_child(d->contents, ZX_VMO_CHILD_SNAPSHOT, 0, d->size, &snapshot);
    if (status == ZX_OK) {
        (void)zx_handle_close(d->durable);
        d->durable = snapshot;
    }
    return status;
}

// The next of a sequence of bits that the seed decides (xorshift); always 0 of 0.
static bool next_bit(uint64_t* state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> 33 & 1) != 0;
}

// Each block that is not as it was at the last flush stays so, or goes back.
static void lose_unflushed(struct ramdisk* d) {
    static uint8_t old[64 << 10];
    uint64_t state = d->cut_seed;
    for (uint64_t at = 0; at < d->size; at += sizeof(old)) {
        uint64_t piece = d->size - at < sizeof(old) ? d->size - at : sizeof(old);
        if (zx_vmo_read(d->durable, old, at, piece) != ZX_OK ||
            memcmp(old, d->memory + at, piece) == 0) {
            continue;
        }
        for (uint64_t b = 0; b < piece; b += block_size(d)) {
            if (memcmp(old + b, d->memory + at + b, block_size(d)) != 0 && !next_bit(&state)) {
                memcpy(d->memory + at + b, old + b, block_size(d));
            }
        }
    }
}

static void lose_power(struct ramdisk* d) {
    d->cut_is_near = false;
    d->is_off = true;
    lose_unflushed(d);
}

// ---- requests ----

static bool is_of(jacinth_ramdisk_kinds_t kinds, const struct block_op* op) {
    return (kinds >> op->request.opcode & 1) != 0;
}

static bool touches(const struct block_request* r, uint64_t first, uint64_t count) {
    return r->device_offset < first + count && first < r->device_offset + r->length;
}

static zx_status_t find_fault(struct ramdisk* d, const struct block_op* op) {
    if (d->is_off) {
        return ZX_ERR_IO;
    }
    if (is_of(d->nth.kinds, op) && d->nth.count > 0) {
        if (d->nth.skip == 0) {
            d->nth.count--;
            return d->nth.status;
        }
        d->nth.skip--;
    }
    return is_of(d->range.kinds, op) && touches(&op->request, d->range.first, d->range.count)
               ? d->range.status
               : ZX_OK;
}

static zx_status_t write_blocks(struct ramdisk* d, const struct block_op* op) {
    const struct block_request* r = &op->request;
    uint64_t count = d->cut_is_near && d->cut_after < r->length ? d->cut_after : r->length;
    zx_status_t status = zx_vmo_read(op->vmo->handle, d->memory + r->device_offset * block_size(d),
                                     r->vmo_offset * block_size(d), count * block_size(d));
    if (d->cut_is_near) {
        d->cut_after -= count;
        if (d->cut_after == 0) {
            lose_power(d);
            return ZX_ERR_IO;
        }
    }
    return status;
}

static zx_status_t carry_out(struct ramdisk* d, const struct block_op* op) {
    const struct block_request* r = &op->request;
    uint8_t* at = d->memory + r->device_offset * block_size(d);
    uint64_t bytes = (uint64_t)r->length * block_size(d);
    d->counts[r->opcode]++;
    zx_status_t status = find_fault(d, op);
    if (status != ZX_OK) {
        return status;
    }
    switch (r->opcode) {
    case BLOCK_READ:
        return zx_vmo_write(op->vmo->handle, at, r->vmo_offset * block_size(d), bytes);
    case BLOCK_WRITE:
        return write_blocks(d, op);
    case BLOCK_FLUSH:
        return d->ignores_flushes ? ZX_OK : make_durable(d);
    default:
        memset(at, DISCARDED, bytes);
        return ZX_OK;
    }
}

// ---- late answers ----

static struct block_op* first_op(struct list* l) {
    struct list_node* n = list_first(l);
    return n != nullptr ? container_of(n, struct block_op, node) : nullptr;
}

static void answer_late(struct async_task* task) {
    struct ramdisk* d = container_of(task, struct ramdisk, task);
    zx_time_t now = zx_clock_get_monotonic();
    struct block_op* op;
    while ((op = first_op(&d->delayed)) != nullptr && (zx_time_t)op->driver[0] <= now) {
        list_remove(&op->node);
        block_op_done(op, (zx_status_t)op->driver[1]);
    }
    if (op != nullptr) {
        async_task_post(d->device.loop, &d->task, (zx_time_t)op->driver[0]);
    }
    block_device_pump(&d->device);
}

static void answer(struct ramdisk* d, struct block_op* op, zx_status_t status) {
    if (d->delay == 0 && list_empty(&d->delayed)) {
        block_op_done(op, status);
        return;
    }
    op->driver[0] = (uint64_t)(zx_clock_get_monotonic() + d->delay);
    op->driver[1] = (uint64_t)status;
    list_push_back(&d->delayed, &op->node);
    async_task_post(d->device.loop, &d->task, (zx_time_t)first_op(&d->delayed)->driver[0]);
}

// ---- answers that do not come ----

static bool is_held_read(const struct ramdisk* d, const struct block_op* op) {
    return op->request.opcode == BLOCK_READ &&
           touches(&op->request, d->held_reads.first, d->held_reads.count);
}

static void submit(struct block_device* device, struct block_op* op) {
    struct ramdisk* d = disk_of(device);
    bool is_held = d->holds || is_held_read(d, op);
    // driver: whether it was carried out, and what came of that
    op->driver[0] = !is_held || (!d->holds && d->held_reads.carry_out);
    op->driver[1] = op->driver[0] != 0 ? (uint64_t)carry_out(d, op) : 0;
    if (is_held) {
        list_push_back(&d->held, &op->node);
    } else {
        answer(d, op, (zx_status_t)op->driver[1]);
    }
}

static void release(struct ramdisk* d) {
    struct list_node* next;
    for (struct list_node* n = list_first(&d->held); n != nullptr && !d->holds; n = next) {
        struct block_op* op = container_of(n, struct block_op, node);
        next = list_next(&d->held, n);
        if (!is_held_read(d, op)) {
            list_remove(n);
            answer(d, op, op->driver[0] != 0 ? (zx_status_t)op->driver[1] : carry_out(d, op));
        }
    }
    block_device_pump(&d->device);
}

void ramdisk_hold(struct ramdisk* d, bool holds) {
    d->holds = holds;
    release(d);
}

void ramdisk_hold_reads(struct ramdisk* d, uint64_t first, uint64_t count, bool carry_out_now) {
    d->held_reads.first = first;
    d->held_reads.count = count;
    d->held_reads.carry_out = carry_out_now;
    release(d);
}

void ramdisk_cut(struct ramdisk* d, uint64_t writes, uint64_t seed) {
    d->cut_is_near = true;
    d->cut_after = writes;
    d->cut_seed = seed;
    if (writes == 0) {
        lose_power(d);
    }
}

void ramdisk_restore(struct ramdisk* d) {
    d->is_off = d->cut_is_near = false;
    d->nth = d->range = (struct ramdisk_fault){};
    d->delay = 0;
    d->ignores_flushes = false;
    d->held_reads.count = 0;
    ramdisk_hold(d, false);
}

// ---- life ----

static const struct block_driver driver = {.submit = submit};

zx_status_t ramdisk_init(struct ramdisk* d, struct async_loop* loop, zx_handle_t contents,
                         uint32_t block_bytes, jacinth_block_flags_t flags) {
    memset(d, 0, sizeof(*d));
    d->contents = contents;
    zx_status_t status = zx_vmo_get_size(contents, &d->size);
    zx_vaddr_t address = 0;
    if (status == ZX_OK) {
        status = make_durable(d);
    }
    if (status == ZX_OK) {
        status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, contents,
                             0, d->size, &address);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(d->durable);
        (void)zx_handle_close(contents);
        return status;
    }
    d->memory = (uint8_t*)address;
    d->device = (struct block_device){
        .loop = loop,
        .driver = &driver,
        .info = {.block_size = block_bytes,
                 .flags = flags,
                 .block_count = d->size / block_bytes,
                 .max_transfer = TRANSFER_BYTES_MAX / block_bytes,
                 .max_discard = flags & JACINTH_BLOCK_FLAGS_DISCARD ? UINT32_MAX : 0},
        .depth = DEPTH};
    d->task.handler = answer_late;
    list_init(&d->delayed);
    list_init(&d->held);
    block_device_init(&d->device);
    return ZX_OK;
}

void ramdisk_destroy(struct ramdisk* d) {
    async_task_cancel(&d->task);
    block_device_end(&d->device);
    for (struct block_op* op;
         (op = first_op(&d->held)) != nullptr || (op = first_op(&d->delayed)) != nullptr;) {
        list_remove(&op->node);
        block_op_done(op, ZX_ERR_CANCELED); // its session goes with the last
    }
    (void)zx_vmar_unmap(zx_vmar_root_self(), (zx_vaddr_t)d->memory, d->size);
    (void)zx_handle_close(d->durable);
    (void)zx_handle_close(d->contents);
}
