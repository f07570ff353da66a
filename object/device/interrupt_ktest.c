// Interrupts that fire for real: a message is a write that a CPU can make, too (under QEMU; no
// device is needed). The MSI-X table is memory, so nothing stops messages that it masks.
#include <stdatomic.h>

#include <arch/cpu.h>
#include <debug/ktest.h>
#include <object/interrupt.h>
#include <object/port.h>
#include <platform/irq.h>
#include <sched/thread.h>
#include <vm/kernel_vm.h>
#include <vm/page_set.h>
#include <vm/vmo.h>

#include "../testing/ktest_user.h"

constexpr int64_t MS = 1'000'000;
constexpr uint32_t CONTROL = 3;

struct device {
    struct msi* msi;
    struct vmo* vmo;
    volatile uint32_t* table;
    volatile uint32_t* doorbell;
    uint32_t data;
    _Atomic(bool) stop;
};

static bool device_open(struct device* d) {
    zx_info_msi_t info;
    paddr_t at;
    *d = (struct device){};
    if (msi_create(1, &d->msi) != STATUS_OK ||
        vmo_create_contiguous(PAGE_SIZE, 0, &d->vmo) != STATUS_OK ||
        vmo_set_cache_policy(d->vmo, ZX_CACHE_POLICY_UNCACHED_DEVICE) != STATUS_OK ||
        vmo_lookup(d->vmo, 0, &at) != STATUS_OK) {
        return false;
    }
    msi_get_info(d->msi, &info);
    d->data = info.target_data;
    d->table = kernel_map_mmio(at, PAGE_SIZE, MMU_UNCACHED_DEVICE);
    d->doorbell =
        kernel_map_mmio((paddr_t){info.target_addr}, sizeof(uint32_t), MMU_UNCACHED_DEVICE);
    return d->table != nullptr && d->doorbell != nullptr;
}

static void device_close(struct device* d) {
    kernel_unmap((void*)d->doorbell);
    kernel_unmap((void*)d->table);
    vmo_unref(d->vmo);
    object_unref(msi_object(d->msi));
}

static void fire(struct device* d) {
    *d->doorbell = d->data;
}

// Messages that come while one is in the CPU's queue are one, so it takes an unknown number.
static bool fire_until_masked(struct device* d) {
    const int64_t end = clock_monotonic_ns() + 5'000 * MS;
    while (d->table[CONTROL] == 0) {
        if (clock_monotonic_ns() > end) {
            return false;
        }
        fire(d);
        (void)!thread_sleep_until(clock_monotonic_ns() + MS / 4, WAIT_UNINTERRUPTIBLE);
    }
    return true;
}

// Vectors are given out CPU by CPU, so these come from all.
static void messages_reach_every_cpu(struct ktest* t) {
    for (uint32_t round = 0; round < 2 * IRQ_CPUS; round++) {
        struct device d;
        struct interrupt* i;
        KASSERT(t, device_open(&d));
        KASSERT(t, msi_interrupt_create(d.msi, 0, true, d.vmo, 0, &i) == STATUS_OK);
        {
            HANDLE h = test_handle(interrupt_object(i));
            const int64_t before = clock_monotonic_ns();
            int64_t when;
            for (uint32_t n = 0; n < 3; n++) {
                fire(&d);
                KEXPECT_EQ(t, interrupt_wait(i, &when), STATUS_OK);
                KEXPECT(t, when >= before && when <= clock_monotonic_ns());
            }
        }
        device_close(&d);
    }
}
KTEST_WITH(interrupt, messages_reach_every_cpu, 0, 30'000);

// The second that nobody took is kept, the third masks the source until the acknowledgement.
static void a_storm_is_masked(struct ktest* t) {
    struct device d;
    struct interrupt* i;
    int64_t when;
    KASSERT(t, device_open(&d));
    KASSERT(t, msi_interrupt_create(d.msi, 0, true, d.vmo, 0, &i) == STATUS_OK);
    {
        HANDLE h = test_handle(interrupt_object(i));
        fire(&d);
        KEXPECT_EQ(t, interrupt_wait(i, &when), STATUS_OK);
        KEXPECT_EQ(t, d.table[CONTROL], 0u);
        KEXPECT(t, fire_until_masked(&d));
        KEXPECT_EQ(t, interrupt_wait(i, &when), STATUS_OK);
        KEXPECT_EQ(t, d.table[CONTROL], 0u);
    }
    KEXPECT_EQ(t, d.table[CONTROL], 1u); // at its end
    device_close(&d);
}
KTEST(interrupt, a_storm_is_masked);

static int fire_always(void* arg) {
    struct device* d = arg;
    while (!atomic_load(&d->stop)) {
        fire(d);
        (void)!thread_sleep_until(clock_monotonic_ns() + MS / 100, WAIT_UNINTERRUPTIBLE);
    }
    return 0;
}

static void take_one(struct ktest* t, struct port* p, struct interrupt* i) {
    zx_port_packet_t packet;
    KEXPECT_EQ(t, port_wait(p, clock_monotonic_ns() + 10'000 * MS, &packet), STATUS_OK);
    KEXPECT_EQ(t, packet.type, (uint32_t)ZX_PKT_TYPE_INTERRUPT);
    KEXPECT_EQ(t, interrupt_ack(i), STATUS_OK);
}

// From port to port while it fires, by ports that end before it does and by such that do not:
// nothing that fires is lost, and nothing comes twice.
static void moves_while_it_fires(struct ktest* t) {
    struct device d;
    KASSERT(t, device_open(&d));
    struct thread* thread = kthread_create("fire", fire_always, &d, 16);
    KASSERT(t, thread != nullptr);
    thread_start(thread);
    for (uint32_t round = 0; round < 100; round++) {
        struct interrupt* i;
        KASSERT(t, msi_interrupt_create(d.msi, 0, true, d.vmo, 0, &i) == STATUS_OK);
        HANDLE h = test_handle(interrupt_object(i));
        for (uint32_t n = 0; n < 3; n++) {
            struct port* p;
            KASSERT(t, port_create(ZX_PORT_BIND_TO_INTERRUPT, &p) == STATUS_OK);
            HANDLE port = test_handle(port_object(p));
            KEXPECT_EQ(t, interrupt_bind(i, p, n), STATUS_OK);
            take_one(t, p, i);
            take_one(t, p, i);
            if ((round + n) % 4 != 0) {
                KEXPECT_EQ(t, interrupt_unbind(i, p), STATUS_OK);
            } else {
                break; // the port's handle goes first
            }
        }
    }
    atomic_store(&d.stop, true);
    (void)kthread_join(thread);
    device_close(&d);
}
KTEST_WITH(interrupt, moves_while_it_fires, 0, 60'000);

// Interrupts of one block come and go while it fires. Half of them are closed while one is pending.
static void ends_while_it_fires(struct ktest* t) {
    struct device d;
    KASSERT(t, device_open(&d));
    struct thread* thread = kthread_create("fire", fire_always, &d, 16);
    KASSERT(t, thread != nullptr);
    thread_start(thread);
    for (uint32_t round = 0; round < 300; round++) {
        struct interrupt* i;
        int64_t when;
        KASSERT(t, msi_interrupt_create(d.msi, 0, true, d.vmo, 0, &i) == STATUS_OK);
        HANDLE h = test_handle(interrupt_object(i));
        KEXPECT_EQ(t, interrupt_wait(i, &when), STATUS_OK);
        if (round % 2 == 0) {
            KEXPECT_EQ(t, interrupt_destroy(i), STATUS_OK);
            KEXPECT_EQ(t, interrupt_wait(i, &when), STATUS_CANCELED);
        }
    }
    atomic_store(&d.stop, true);
    (void)kthread_join(thread);
    device_close(&d);
}
KTEST_WITH(interrupt, ends_while_it_fires, 0, 60'000);
