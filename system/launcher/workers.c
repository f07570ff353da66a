// Works travel as packets: to the workers over a port of their own, back over the loop's. So there
// is nothing to lock, and a worker that waits for work costs a blocked thread. Workers are started
// when all others are busy, and stay.
#include "workers.h"

#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>

constexpr uint32_t WORKERS_MAX = 8;
constexpr uint32_t WORKS_MAX = 256; // far below what a port keeps
constexpr size_t STACK = 64 * 1024;

// The loop's thread alone; workers read `port`, `loop_port` and the key, which do not change.
static struct {
    zx_handle_t port;
    zx_handle_t loop_port;
    struct async_receiver receiver;
    void (*finished)(struct launchsvc_work* work);
    uint32_t workers;
    uint32_t works;
} pool;

static zx_port_packet_t packet_of(struct launchsvc_work* work) {
    return (zx_port_packet_t){.type = ZX_PKT_TYPE_USER, .user = {.u64 = {(uint64_t)work}}};
}

// ---- a worker ----

static void worker(uintptr_t, uintptr_t) {
    zx_port_packet_t packet;
    while (zx_port_wait(pool.port, ZX_TIME_INFINITE, &packet) == ZX_OK) {
        struct launchsvc_work* work = (struct launchsvc_work*)packet.user.u64[0];
        launchsvc_work_run(work);
        packet = packet_of(work);
        packet.key = async_receiver_key(&pool.receiver);
        if (zx_port_queue(pool.loop_port, &packet) != ZX_OK) {
            __builtin_trap(); // it cannot be full: WORKS_MAX
        }
    }
    zx_thread_exit();
}

static zx_status_t start_worker(void) {
    static const char name[] = "worker";
    zx_handle_t vmo;
    zx_handle_t thread;
    zx_vaddr_t stack;
    zx_status_t status = zx_vmo_create(STACK, 0, &vmo);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, STACK,
                         &stack);
    (void)zx_handle_close(vmo);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_thread_create(zx_process_self(), name, sizeof(name) - 1, 0, &thread);
    if (status == ZX_OK) {
        // As after a call.
        status = zx_thread_start(thread, (zx_vaddr_t)worker, stack + STACK - 8, 0, 0);
        (void)zx_handle_close(thread);
    }
    if (status != ZX_OK) {
        (void)zx_vmar_unmap(zx_vmar_root_self(), stack, STACK);
    }
    return status;
}

// ---- the loop's side ----

static void came_back(struct async_receiver*, const zx_port_packet_t* packet) {
    pool.works--;
    pool.finished((struct launchsvc_work*)packet->user.u64[0]);
}

zx_status_t workers_init(struct async_loop* loop, void (*finished)(struct launchsvc_work* work)) {
    pool.finished = finished;
    pool.loop_port = loop->port;
    pool.receiver.handler = came_back;
    async_receiver_begin(loop, &pool.receiver);
    return zx_port_create(0, &pool.port);
}

zx_status_t workers_run(struct launchsvc_work* work) {
    if (pool.works == WORKS_MAX) {
        return ZX_ERR_NO_RESOURCES;
    }
    if (pool.works >= pool.workers && pool.workers < WORKERS_MAX) {
        zx_status_t status = start_worker();
        if (status == ZX_OK) {
            pool.workers++;
        } else if (pool.workers == 0) {
            return status;
        }
    }
    zx_port_packet_t packet = packet_of(work);
    zx_status_t status = zx_port_queue(pool.port, &packet);
    if (status == ZX_OK) {
        pool.works++;
    }
    return status;
}
