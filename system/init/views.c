#include "views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <async/guests.h>
#include <io/client.h>
#include <lib/compiler.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/resource.h>
#include <zircon/syscalls/system.h>

#include "root.h"

constexpr uint32_t CONNECTIONS_MAX = 8192;
constexpr uint32_t WATCHERS_MAX = 256;
constexpr uint32_t OWN_CONNECTIONS_MAX = 256; // to what init offers itself
constexpr char prefix_folder[] = "ns";

// ---- nodes ----

typedef enum view_kind : uint8_t {
    VIEW_SVC,
    VIEW_PREFIXES, // ns, in it
    VIEW_DEV,
    VIEW_SERVICE,
    VIEW_PREFIX,
    VIEW_DEVICE,
    VIEW_TERMINAL,
} view_kind_t;

// Made when it is asked for. The name is a word of the services file, or of the tables below.
struct view {
    struct io_node node;
    view_kind_t kind;
    uint32_t paragraph;
    const char* name;
    jacinth_io_device_t device;
};

static struct {
    const struct authority* a;
    struct async_loop* loop;
    struct io_server server;
    struct async_guests own_connections;
    struct list waiting; // connections whose request for the power has no answer yet
    bool is_ending;      // the machine, after what is unsaved
} views;

static struct view* view_of(struct io_node* node) {
    return container_of(node, struct view, node);
}

static jacinth_io_kind_t node_kind(view_kind_t kind) {
    return kind <= VIEW_DEV                              ? JACINTH_IO_KIND_DIRECTORY
           : kind == VIEW_SERVICE || kind == VIEW_PREFIX ? JACINTH_IO_KIND_SERVICE
           : kind == VIEW_DEVICE                         ? JACINTH_IO_KIND_DEVICE
                                                         : JACINTH_IO_KIND_TERMINAL;
}

static zx_status_t new_view(view_kind_t kind, uint32_t paragraph, const char* name,
                            struct io_node** out) {
    struct view* v = malloc(sizeof(*v));
    if (v == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    *v = (struct view){.kind = kind, .paragraph = paragraph, .name = name};
    io_node_init(&v->node, node_kind(kind));
    *out = &v->node;
    return ZX_OK;
}

static const struct {
    const char* name;
    jacinth_io_device_t device;
} devices[] = {{"null", JACINTH_IO_DEVICE_NULL_DEVICE},
               {"zero", JACINTH_IO_DEVICE_ZERO},
               {"random", JACINTH_IO_DEVICE_RANDOM},
               {"urandom", JACINTH_IO_DEVICE_RANDOM},
               {"full", JACINTH_IO_DEVICE_FULL}};

static jacinth_io_device_t device_of(const char* name) {
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        if (strcmp(devices[i].name, name) == 0) {
            return devices[i].device;
        }
    }
    return JACINTH_IO_DEVICE_NONE;
}

// ---- what is in which directory ----

// The words that a directory's entries are.
static const struct services_word* words_of(const struct view* directory) {
    static constexpr services_key_t keys[] = {
        [VIEW_SVC] = SERVICES_USES, [VIEW_PREFIXES] = SERVICES_SEES, [VIEW_DEV] = SERVICES_REACHES};
    return views.a->services.paragraphs[directory->paragraph].words[keys[directory->kind]];
}

static struct io_name entry_name(const struct view* directory, const struct services_word* w) {
    const char* text = directory->kind == VIEW_PREFIXES ? services_entry_of(w->text) : w->text;
    return (struct io_name){text, strlen(text)};
}

static bool same(struct io_name a, struct io_name b) {
    return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

static const struct io_name prefixes_name = {prefix_folder, sizeof(prefix_folder) - 1};

static view_kind_t entry_kind(const struct view* directory, const char* name) {
    switch (directory->kind) {
    case VIEW_SVC:
        return VIEW_SERVICE;
    case VIEW_PREFIXES:
        return VIEW_PREFIX;
    default:
        return device_of(name) != JACINTH_IO_DEVICE_NONE ? VIEW_DEVICE : VIEW_TERMINAL;
    }
}

static zx_status_t op_lookup(struct io_node* node, struct io_name name, struct io_node** out) {
    struct view* directory = view_of(node);
    if (directory->kind == VIEW_SVC && same(name, prefixes_name)) {
        return new_view(VIEW_PREFIXES, directory->paragraph, prefix_folder, out);
    }
    for (const struct services_word* w = words_of(directory); w != nullptr; w = w->next) {
        if (!same(name, entry_name(directory, w))) {
            continue;
        }
        zx_status_t status =
            new_view(entry_kind(directory, w->text), directory->paragraph, w->text, out);
        if (status == ZX_OK) {
            view_of(*out)->device = device_of(w->text);
        }
        return status;
    }
    return ZX_ERR_NOT_FOUND;
}

static zx_status_t op_read_entries(struct io_node* node, uint64_t cookie,
                                   struct io_listing* listing) {
    struct view* directory = view_of(node);
    uint64_t index = 0;
    if (directory->kind == VIEW_SVC && index++ >= cookie &&
        !io_listing_add(listing, index, JACINTH_IO_KIND_DIRECTORY, prefixes_name, index)) {
        return ZX_OK;
    }
    for (const struct services_word* w = words_of(directory); w != nullptr; w = w->next) {
        if (index++ < cookie) {
            continue;
        }
        jacinth_io_kind_t kind = node_kind(entry_kind(directory, w->text));
        if (!io_listing_add(listing, index, kind, entry_name(directory, w), index)) {
            break;
        }
    }
    return ZX_OK;
}

// ---- the rest of the operations ----

static void op_release(struct io_server*, struct io_node* node) {
    free(view_of(node));
}

static void op_get_attributes(struct io_node* node, struct jacinth_io_attributes* out) {
    struct view* v = view_of(node);
    out->mode = v->kind <= VIEW_DEV ? 0555 : 0666;
    out->link_count = 1;
    out->device = v->device;
}

static struct io_node* op_parent(struct io_node*) {
    return nullptr; // ".." stays: what is above is another server's
}

static void op_query_usage(struct io_node*, struct jacinth_io_usage* out) {
    static uint8_t name[] = "init";
    out->max_name = IO_SERVER_NAME_MAX;
    out->read_only = true;
    out->name = (struct fidl_vector_of_uint8){sizeof(name) - 1, name};
}

static zx_status_t op_open_other(struct io_node* node, jacinth_io_flags_t flags,
                                 struct io_connection* connection, struct fidl_txn* txn,
                                 struct jacinth_io_opened* out) {
    struct view* v = view_of(node);
    if (v->kind == VIEW_DEVICE) {
        out->device = v->device;
        return ZX_OK;
    }
    // The terminal of a program is the console: there is no other.
    const char* name = strcmp(v->name, "tty") == 0 ? "console" : v->name;
    return supervisor_open_device(name, flags, connection, txn);
}

static void op_connect(struct io_node* node, zx_handle_t request) {
    struct view* v = view_of(node);
    supervisor_attach_now(v->kind == VIEW_PREFIX ? SUPERVISOR_PREFIX : SUPERVISOR_SERVICE,
                          v->paragraph, v->name, request);
}

static const struct io_ops ops = {
    IO_OPS_NO_FILES,
    .release = op_release,
    .get_attributes = op_get_attributes,
    .lookup = op_lookup,
    .parent = op_parent,
    .read_entries = op_read_entries,
    .query_usage = op_query_usage,
    .open_other = op_open_other,
    .connect = op_connect,
};

// ---- what init offers ----

struct own_connection {
    struct async_guest guest;
    bool is_power;
    struct list_node waiting; // for the answer to this:
    struct fidl_txn txn;
};

static zx_status_t do_list(void*, struct fidl_txn* txn) {
    static struct jacinth_system_service list[SERVICES_PARAGRAPHS_MAX];
    struct jacinth_system_services_list_response response = {
        .services = {supervisor_list(list), list}};
    return jacinth_system_services_list_reply(txn, &response);
}

static zx_status_t do_restart(void*, struct jacinth_system_services_restart_request* request,
                              struct fidl_txn* txn) {
    zx_status_t status = supervisor_restart((const char*)request->name.data, request->name.count);
    return status == ZX_OK ? jacinth_system_services_restart_reply(txn)
                           : jacinth_system_services_restart_reply_error(txn, status);
}

static void own_closed(struct async_channel* channel, zx_status_t why);

static void answer_power(struct own_connection* c, zx_status_t status) {
    list_remove(&c->waiting);
    c->txn.storage = async_loop_storage(views.loop);
    zx_status_t sent = status == ZX_OK ? fidl_reply_response(&c->txn, nullptr)
                                       : fidl_reply_error(&c->txn, (uint32_t)status);
    if (sent != ZX_OK) {
        async_channel_end(&c->guest.channel);
        own_closed(&c->guest.channel, sent);
    }
}

// It comes back if the machine goes on.
static void power(uint32_t command) {
    zx_handle_t resource = authority_system_part(views.a, ZX_RSRC_SYSTEM_POWER_BASE, "power");
    zx_status_t status = zx_system_powerctl(resource, command, nullptr);
    (void)zx_handle_close(resource);
    views.is_ending = false;
    if (list_empty(&views.waiting)) {
        fprintf(stderr, "init: the machine goes on: %s\n", zx_status_get_string(status));
    }
    for (struct list_node* n; (n = list_first(&views.waiting)) != nullptr;) {
        answer_power(container_of(n, struct own_connection, waiting), status);
    }
}

// Of several the first decides.
static void begin_power(uint32_t command) {
    if (!views.is_ending) {
        views.is_ending = true;
        (void)fflush(stdout);
        supervisor_sync_then(power, command);
    }
}

void views_power_off(void) {
    begin_power(ZX_SYSTEM_POWERCTL_SHUTDOWN);
}

static zx_status_t ask_power(struct own_connection* c, struct fidl_txn* txn, uint32_t command) {
    if (list_linked(&c->waiting)) {
        return fidl_reply_error(txn, (uint32_t)ZX_ERR_BAD_STATE);
    }
    c->txn = *txn;
    list_push_back(&views.waiting, &c->waiting);
    begin_power(command);
    return ZX_OK;
}

static zx_status_t do_power_off(void* ctx, struct fidl_txn* txn) {
    return ask_power(ctx, txn, ZX_SYSTEM_POWERCTL_SHUTDOWN);
}

static zx_status_t do_reboot(void* ctx, struct fidl_txn* txn) {
    return ask_power(ctx, txn, ZX_SYSTEM_POWERCTL_REBOOT);
}

static const struct jacinth_system_services_ops services_ops = {.list = do_list,
                                                                .restart = do_restart};
static const struct jacinth_system_power_ops power_ops = {.power_off = do_power_off,
                                                          .reboot = do_reboot};

static zx_status_t own_message(struct async_channel* channel, struct fidl_message* message) {
    struct own_connection* c = container_of(channel, struct own_connection, guest.channel);
    struct fidl_storage storage = async_loop_storage(channel->loop);
    async_guest_spoke(&views.own_connections, &c->guest);
    return c->is_power
               ? jacinth_system_power_dispatch(&power_ops, c, channel->handle, message, storage)
               : jacinth_system_services_dispatch(&services_ops, c, channel->handle, message,
                                                  storage);
}

static void own_closed(struct async_channel* channel, zx_status_t) {
    struct own_connection* c = container_of(channel, struct own_connection, guest.channel);
    async_guest_gone(&views.own_connections, &c->guest);
    if (list_linked(&c->waiting)) {
        list_remove(&c->waiting);
    }
    free(c);
}

static void serve_own(bool is_power, zx_handle_t channel) {
    struct own_connection* c = malloc(sizeof(*c));
    if (c == nullptr) {
        (void)zx_handle_close(channel);
        return;
    }
    *c = (struct own_connection){
        .guest.channel = {.handle = channel, .message = own_message, .closed = own_closed},
        .is_power = is_power};
    if (async_guest_begin(views.loop, &views.own_connections, &c->guest) != ZX_OK) {
        free(c);
    }
}

// ---- attaching ----

static void serve_view(view_kind_t kind, uint32_t paragraph, const char* name,
                       zx_handle_t channel) {
    struct io_node* node;
    if (new_view(kind, paragraph, name, &node) != ZX_OK) {
        (void)zx_handle_close(channel);
        return;
    }
    (void)io_server_serve(&views.server, channel, node,
                          JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE);
    io_node_unref(&views.server, node);
}

void views_attach(supervisor_attach_t what, uint32_t paragraph, const char* name,
                  zx_handle_t channel) {
    if (what == SUPERVISOR_SERVICE && strcmp(name, "jacinth.system.Services") == 0) {
        serve_own(false, channel);
    } else if (what == SUPERVISOR_SERVICE && strcmp(name, "jacinth.system.Power") == 0) {
        serve_own(true, channel);
    } else if (what == SUPERVISOR_PREFIX && strcmp(name, "/svc") == 0) {
        serve_view(VIEW_SVC, paragraph, name, channel);
    } else if (what == SUPERVISOR_PREFIX && strcmp(name, "/dev") == 0) {
        serve_view(VIEW_DEV, paragraph, name, channel);
    } else if (what == SUPERVISOR_PREFIX &&
               (strcmp(name, "/boot") == 0 || (strcmp(name, "/") == 0 && root_is_boot_image()))) {
        (void)io_clone_to(views.a->boot_files, channel);
    } else if (what == SUPERVISOR_PREFIX && strcmp(name, "/bin") == 0) {
        (void)io_clone_to(views.a->bin, channel);
    } else {
        (void)zx_handle_close(channel);
    }
}

void views_init(const struct authority* a, struct async_loop* loop) {
    views.a = a;
    views.loop = loop;
    async_guests_init(&views.own_connections, OWN_CONNECTIONS_MAX);
    list_init(&views.waiting);
    views.server.loop = loop;
    views.server.ops = &ops;
    views.server.connections_max = CONNECTIONS_MAX;
    views.server.watchers_max = WATCHERS_MAX;
    io_server_init(&views.server);
}
