// Watchers of directories. The kernel keeps a bounded number of messages for a client that does not
// read; when it refuses one, what the client is owed is a single OVERFLOW, which is tried again
// with the next change and every tenth of a second.
#include <stdlib.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>

#include "server_priv.h"

constexpr zx_duration_t RETRY = ZX_MSEC(100);

struct watcher {
    struct list_node link; // of the directory
    struct list_node all;  // of the server
    struct io_server* server;
    struct io_account* account; // with a reference
    struct io_node* directory;  // with a reference
    zx_handle_t channel;
    struct async_wait closed;
    struct async_task retry; // armed: an OVERFLOW is owed
};

static void watcher_free(struct watcher* w) {
    async_wait_cancel(&w->closed);
    async_task_cancel(&w->retry);
    (void)zx_handle_close(w->channel);
    list_remove(&w->link);
    list_remove(&w->all);
    w->server->watcher_count--;
    io_account_give_back(w->account);
    io_account_unref(w->account);
    io_node_unref(w->server, w->directory);
    free(w);
}

static void on_closed(struct async_wait* wait, const zx_packet_signal_t*) {
    watcher_free(container_of(wait, struct watcher, closed));
}

static zx_status_t send_change(struct watcher* w, jacinth_io_change_t change, struct io_name name) {
    alignas(8) uint8_t bytes[sizeof(struct fidl_header) + 64 + IO_SERVER_NAME_MAX];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_io_watcher_on_change_event event = {.change = change,
                                                       .name = {name.len, (uint8_t*)name.text}};
    return jacinth_io_watcher_on_change_send(w->channel, storage, &event);
}

static void on_retry(struct async_task* task) {
    struct watcher* w = container_of(task, struct watcher, retry);
    if (send_change(w, JACINTH_IO_CHANGE_OVERFLOW, (struct io_name){}) == ZX_ERR_SHOULD_WAIT) {
        async_task_post(w->server->loop, task, zx_clock_get_monotonic() + RETRY);
    }
}

// If the channel is closed, its wait tells.
static void tell(struct watcher* w, jacinth_io_change_t change, struct io_name name) {
    bool owes = w->retry.loop != nullptr;
    if (owes || send_change(w, change, name) == ZX_ERR_SHOULD_WAIT) {
        async_task_cancel(&w->retry);
        on_retry(&w->retry);
    }
}

static bool has_watchers(const struct io_node* directory) {
    return directory->watchers.next != nullptr;
}

// The node's member is the ring's head; null links: there never was a watcher.
void io_server_changed(struct io_server*, struct io_node* directory, jacinth_io_change_t change,
                       struct io_name name) {
    if (!has_watchers(directory)) {
        return;
    }
    for (struct list_node* n = directory->watchers.next; n != &directory->watchers; n = n->next) {
        tell(container_of(n, struct watcher, link), change, name);
    }
}

void io_watchers_end(struct io_server* server) {
    for (struct list_node* n; (n = list_first(&server->watchers)) != nullptr;) {
        watcher_free(container_of(n, struct watcher, all));
    }
}

zx_status_t io_watcher_new(struct io_connection* c, zx_handle_t channel) {
    struct io_server* s = c->server;
    bool allowed = s->watcher_count < s->watchers_max && io_account_charge(c->account) == ZX_OK;
    struct watcher* w = allowed ? calloc(1, sizeof(*w)) : nullptr;
    if (w == nullptr) {
        if (allowed) {
            io_account_give_back(c->account);
        }
        (void)zx_handle_close(channel);
        return ZX_ERR_NO_RESOURCES;
    }
    w->server = s;
    w->channel = channel;
    w->directory = c->node;
    w->retry.handler = on_retry;
    w->closed = (struct async_wait){
        .object = channel, .trigger = ZX_CHANNEL_PEER_CLOSED, .handler = on_closed};
    zx_status_t status = async_wait_begin(s->loop, &w->closed);
    if (status != ZX_OK) {
        io_account_give_back(c->account);
        (void)zx_handle_close(channel);
        free(w);
        return status;
    }
    w->account = c->account;
    w->account->refs++;
    (void)io_node_ref(w->directory);
    struct list_node* head = &c->node->watchers;
    if (head->next == nullptr) {
        head->prev = head->next = head;
    }
    list_insert_before(head, &w->link);
    list_push_back(&s->watchers, &w->all);
    s->watcher_count++;
    return ZX_OK;
}
