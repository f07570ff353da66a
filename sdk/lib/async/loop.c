#include <async/loop.h>

#include <stdlib.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>

static bool runs_before(const struct heap_node* a, const struct heap_node* b) {
    const struct async_task* x = container_of(a, struct async_task, node);
    const struct async_task* y = container_of(b, struct async_task, node);
    return x->deadline != y->deadline ? x->deadline < y->deadline : x->sequence < y->sequence;
}

zx_status_t async_loop_init(struct async_loop* loop) {
    *loop = (struct async_loop){};
    heap_init(&loop->tasks, runs_before);
    return zx_port_create(ZX_PORT_BIND_TO_INTERRUPT, &loop->port);
}

void async_loop_destroy(struct async_loop* loop) {
    (void)zx_handle_close(loop->port);
    free(loop->buffers);
    *loop = (struct async_loop){};
}

void async_loop_quit(struct async_loop* loop) {
    loop->quit = true;
}

// ---- tasks ----

void async_task_cancel(struct async_task* task) {
    if (task->loop != nullptr) {
        heap_remove(&task->loop->tasks, &task->node);
        task->loop = nullptr;
    }
}

// No deadline lies before the turn: a task that posts itself "now" stands behind those that are due
// and have waited longer.
void async_task_post(struct async_loop* loop, struct async_task* task, zx_time_t deadline) {
    async_task_cancel(task);
    task->loop = loop;
    task->deadline = deadline > loop->now ? deadline : loop->now;
    task->sequence = loop->next_sequence++;
    heap_insert(&loop->tasks, &task->node);
}

static struct async_task* first_task(struct async_loop* loop) {
    struct heap_node* top = heap_top(&loop->tasks);
    return top != nullptr ? container_of(top, struct async_task, node) : nullptr;
}

// Those that are due and were posted before this turn. False: none was.
static bool run_due_tasks(struct async_loop* loop) {
    uint64_t end = loop->next_sequence;
    bool any = false;
    for (;;) {
        struct async_task* task = first_task(loop);
        if (task == nullptr || task->deadline > loop->now || task->sequence >= end) {
            return any;
        }
        async_task_cancel(task);
        task->handler(task);
        any = true;
    }
}

// ---- packets ----

static void deliver_signal(struct async_source* source, const zx_port_packet_t* packet) {
    struct async_wait* wait = container_of(source, struct async_wait, source);
    wait->loop->armed_waits--;
    wait->loop = nullptr;
    wait->handler(wait, &packet->signal);
}

zx_status_t async_wait_begin(struct async_loop* loop, struct async_wait* wait) {
    wait->source.deliver = deliver_signal;
    wait->loop = nullptr;
    if (loop->armed_waits == ASYNC_WAITS_MAX) {
        return ZX_ERR_NO_RESOURCES;
    }
    zx_status_t status = zx_object_wait_async(wait->object, loop->port,
                                              (uint64_t)(uintptr_t)&wait->source, wait->trigger, 0);
    if (status == ZX_OK) {
        wait->loop = loop;
        loop->armed_waits++;
    }
    return status;
}

void async_wait_cancel(struct async_wait* wait) {
    if (wait->loop == nullptr) {
        return;
    }
    uint64_t key = (uint64_t)(uintptr_t)&wait->source;
    // By object, which finds the wait at once. By key alone if that fails: were the handle closed
    // too early, the packet could still be in the port.
    if (zx_port_cancel(wait->loop->port, wait->object, key) != ZX_OK) {
        (void)zx_port_cancel_key(wait->loop->port, 0, key);
    }
    wait->loop->armed_waits--;
    wait->loop = nullptr;
}

static void deliver_packet(struct async_source* source, const zx_port_packet_t* packet) {
    struct async_receiver* receiver = container_of(source, struct async_receiver, source);
    receiver->handler(receiver, packet);
}

void async_receiver_begin(struct async_loop* loop, struct async_receiver* receiver) {
    receiver->source.deliver = deliver_packet;
    receiver->loop = loop;
}

void async_receiver_cancel(struct async_receiver* receiver) {
    if (receiver->loop != nullptr) {
        (void)zx_port_cancel_key(receiver->loop->port, 0, async_receiver_key(receiver));
        receiver->loop = nullptr;
    }
}

// ---- turns ----

// How long the port may be waited for.
static zx_time_t wait_until(struct async_loop* loop, bool worked, zx_time_t deadline) {
    const struct async_task* task = first_task(loop);
    if (worked || loop->quit) {
        return 0;
    }
    return task != nullptr && task->deadline < deadline ? task->deadline : deadline;
}

zx_status_t async_loop_turn(struct async_loop* loop, zx_time_t deadline) {
    bool worked = false;
    if (!heap_is_empty(&loop->tasks)) {
        loop->now = zx_clock_get_monotonic();
        worked = run_due_tasks(loop);
    }
    zx_port_packet_t packet;
    zx_time_t until = wait_until(loop, worked, deadline);
    zx_status_t status = zx_port_wait(loop->port, until, &packet);
    if (status == ZX_OK) {
        struct async_source* source = (struct async_source*)(uintptr_t)packet.key;
        source->deliver(source, &packet);
    } else if (status == ZX_ERR_TIMED_OUT && (worked || until < deadline)) {
        status = ZX_OK; // a task was run, or is due now
    }
    return status;
}

zx_status_t async_loop_run(struct async_loop* loop) {
    zx_status_t status = ZX_OK;
    loop->quit = false;
    while (status == ZX_OK && !loop->quit) {
        status = async_loop_turn(loop, ZX_TIME_INFINITE);
    }
    return status;
}
