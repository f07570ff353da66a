// Message-signalled interrupts: blocks of vectors, and interrupts over MSI-X tables and MSI
// capabilities. See <object/interrupt.h>.
//
// Registers are mapped for the kernel one entry, or one capability, at a time, and read and written
// in double words only, as the specification wants.

#include "interrupt.h"

#include <arch/irq.h>
#include <lib/align.h>
#include <lib/bits.h>
#include <vm/heap.h>
#include <vm/kernel_vm.h>
#include <vm/page_set.h>
#include <vm/vmo.h>

struct msi {
    struct object base;
    struct irq_vector first; // immutable, as is `count`
    uint32_t count;
    _Atomic(uint32_t) bound; // a bit for each message that has an interrupt
    spinlock_t mask_lock;    // of interrupts over an MSI capability, which share its mask bits
};

SLAB_CACHE(msi_cache, struct msi);

// ---- blocks ----

static void msi_destroy(struct object* o) {
    struct msi* m = container_of(o, struct msi, base);
    irq_vectors_free(m->first, m->count);
}

static void msi_free_memory(struct object* o) {
    slab_free(&msi_cache, container_of(o, struct msi, base));
}

static const struct object_ops msi_ops = {
    .type = ZX_OBJ_TYPE_MSI,
    .name = "msi",
    .default_rights = ZX_DEFAULT_MSI_RIGHTS,
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = msi_destroy,
    .free_memory = msi_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(msi_ops);

status_t msi_create(uint32_t count, struct msi** out) {
    struct msi* m = slab_alloc_zero(&msi_cache);
    if (m == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = irq_vectors_alloc(count, &m->first);
    if (status != STATUS_OK) {
        slab_free(&msi_cache, m);
        return status;
    }
    object_init(&m->base, &msi_ops, nullptr, 0);
    m->count = count;
    spinlock_init(&m->mask_lock, LOCK_CLASS_INTERRUPT);
    *out = m;
    return STATUS_OK;
}

struct msi* msi_from_object(struct object* o) {
    return o->ops == &msi_ops ? container_of(o, struct msi, base) : nullptr;
}

struct object* msi_object(struct msi* m) {
    return &m->base;
}

void msi_get_info(struct msi* m, zx_info_msi_t* out) {
    *out = (zx_info_msi_t){.base_irq_id = m->first.number,
                           .num_irq = m->count,
                           .interrupt_count = (uint32_t)__builtin_popcount(
                               atomic_load_explicit(&m->bound, memory_order_relaxed))};
    arch_irq_msi_target(m->first.cpu, m->first.number, &out->target_addr, &out->target_data);
}

// ---- registers ----

enum table_entry : uint32_t { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL };
constexpr size_t ENTRY_BYTES = 16;
constexpr uint32_t ENTRY_MASKED = 1;

constexpr size_t CAPABILITY_BYTES = 24;
constexpr uint32_t CAPABILITY_MSI = 0x05;
constexpr uint32_t CAPABILITY_64_BIT = 1u << (16 + 7);
constexpr uint32_t CAPABILITY_MASKS = 1u << (16 + 8);

static void message_set_mask(struct interrupt* i, bool masked) {
    if (i->mask != nullptr) {
        *i->mask = masked ? *i->mask | i->mask_bit : *i->mask & ~i->mask_bit;
        (void)*i->mask; // the write has arrived once this has been read
    }
}

static void give_back(struct interrupt* i) {
    if (i->place != nullptr) {
        kernel_unmap((void*)i->place);
    }
    if (i->vmo != nullptr) {
        vmo_unpin(i->vmo, i->vmo_page, i->vmo_bytes);
    }
    atomic_fetch_and(&i->msi->bound, ~(uint32_t)bit(i->id));
}

static void message_disconnect(struct interrupt* i) {
    irq_vector_clear(i->vector);
    give_back(i);
}

static const struct interrupt_ops message_ops = {.set_mask = message_set_mask,
                                                 .disconnect = message_disconnect};

// Device registers, mapped as such: neither pages of a program nor anything cached.
static status_t map_registers(struct interrupt* i, struct vmo* v, uint64_t offset, size_t size) {
    const bool in_one_piece =
        v->set->kind == PAGE_SET_PHYSICAL || v->set->kind == PAGE_SET_CONTIGUOUS;
    if (!in_one_piece || offset % sizeof(uint32_t) != 0 || !range_ok(offset, size, vmo_size(v))) {
        return STATUS_INVALID_ARGS;
    }
    i->vmo_page = page_round_down(offset);
    i->vmo_bytes = page_round_up(offset + size) - i->vmo_page;
    TRY(vmo_pin(v, i->vmo_page, i->vmo_bytes, VMO_PIN_WRITE));
    i->vmo = v;
    struct vmo_info info;
    paddr_t at;
    vmo_get_info(v, &info);
    if (info.cache_policy == ZX_CACHE_POLICY_CACHED || vmo_lookup(v, offset, &at) != STATUS_OK) {
        return STATUS_INVALID_ARGS;
    }
    i->place = kernel_map_mmio(at, size, MMU_UNCACHED_DEVICE);
    return i->place != nullptr ? STATUS_OK : STATUS_NO_MEMORY;
}

// Fills the table's entry, masked.
static status_t set_up_msi_x(struct interrupt* i, struct vmo* v, uint64_t table) {
    TRY(map_registers(i, v, table + i->id * ENTRY_BYTES, ENTRY_BYTES));
    i->mask = &i->place[ENTRY_CONTROL];
    i->mask_bit = ENTRY_MASKED;
    message_set_mask(i, true);
    uint64_t address;
    uint32_t data;
    arch_irq_msi_target(i->vector.cpu, i->vector.number, &address, &data);
    i->place[ENTRY_ADDRESS] = (uint32_t)address;
    i->place[ENTRY_ADDRESS_HIGH] = (uint32_t)(address >> 32);
    i->place[ENTRY_DATA] = data;
    return STATUS_OK;
}

// Address and data in the capability are the bus driver's, which knows how many messages there are.
static status_t set_up_msi(struct interrupt* i, struct vmo* v, uint64_t capability) {
    TRY(map_registers(i, v, capability, CAPABILITY_BYTES));
    const uint32_t head = i->place[0];
    if ((head & 0xff) != CAPABILITY_MSI) {
        return STATUS_INVALID_ARGS;
    }
    i->mask_lock = &i->msi->mask_lock;
    if ((head & CAPABILITY_MASKS) != 0) {
        i->mask = &i->place[(head & CAPABILITY_64_BIT) != 0 ? 4 : 3];
        i->mask_bit = (uint32_t)bit(i->id);
    }
    return STATUS_OK;
}

static status_t connect(struct interrupt* i, bool msi_x, struct vmo* v, uint64_t offset) {
    uint64_t end;
    if (ckd_add(&end, offset, MSI_MAX * ENTRY_BYTES)) {
        return STATUS_INVALID_ARGS;
    }
    TRY(msi_x ? set_up_msi_x(i, v, offset) : set_up_msi(i, v, offset));
    irq_vector_set(i->vector, &i->action);
    return STATUS_OK;
}

status_t msi_interrupt_create(struct msi* m, uint32_t id, bool msi_x, struct vmo* v,
                              uint64_t offset, struct interrupt** out) {
    if (id >= m->count) {
        return STATUS_INVALID_ARGS;
    }
    struct interrupt* i = interrupt_new(&message_ops, 0);
    if (i == nullptr) {
        return STATUS_NO_MEMORY;
    }
    if ((atomic_fetch_or(&m->bound, (uint32_t)bit(id)) & bit(id)) != 0) {
        interrupt_drop(i);
        return STATUS_ALREADY_BOUND;
    }
    (void)object_ref(&m->base);
    i->msi = m;
    i->id = id;
    i->vector = (struct irq_vector){.cpu = m->first.cpu, .number = m->first.number + id};
    i->source_.masked = true;
    status_t status = connect(i, msi_x, v, offset);
    if (status != STATUS_OK) {
        give_back(i);
        interrupt_drop(i);
        return status;
    }
    interrupt_open(i);
    *out = i;
    return STATUS_OK;
}
