// Names to files, for those who start programs: a program by its name (fuchsia.process/Resolver), a
// library by its name (fuchsia.ldsvc/Loader). Both come from the boot image, executable.
//
// A program's name is `hello` (bin/hello), or a path below /boot. A library's is a plain name,
// found in lib/. Nobody can reach anything else through here: what is handed out is what /boot
// hands out.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <async/guests.h>
#include <async/loop.h>
#include <bootsvc/client.h>
#include <fidl/fuchsia.ldsvc.h>
#include <fidl/fuchsia.process.h>
#include <io/offers.h>
#include <jacinth/startup.h>
#include <lib/compiler.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

constexpr uint32_t CLIENTS_MAX = 4000; // fewer than a port can watch
constexpr size_t PATH_MAX = 256;

struct client {
    struct async_guest guest;
    bool is_loader;
};

static struct async_loop loop;
static zx_handle_t boot;
static struct async_guests clients;

static zx_status_t client_begin(zx_handle_t channel, bool is_loader);

// ---- names ----

// "..", empty parts and NUL lead nowhere. (/boot has no way out, either; but names have one form.)
static bool is_plain(const char* name, size_t len, bool may_have_slash) {
    size_t part = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && name[i] != '/') {
            if (name[i] == '\0') {
                return false;
            }
            continue;
        }
        bool is_dots = i - part <= 2 && memcmp(name + part, "..", i - part) == 0;
        if (is_dots || (i < len && !may_have_slash)) {
            return false; // "", ".", ".."
        }
        part = i + 1;
    }
    return true;
}

static zx_status_t open_below(const char* folder, const char* name, size_t len, zx_handle_t* out) {
    char path[PATH_MAX];
    uint64_t size;
    int needed = snprintf(path, sizeof(path), "%s%.*s", folder, (int)len, name);
    return needed < (int)sizeof(path) ? bootsvc_open(boot, path, out, &size) : ZX_ERR_BAD_PATH;
}

static zx_status_t open_program(const struct fidl_string* name, zx_handle_t* out) {
    static const char prefix[] = "/boot/";
    constexpr size_t prefix_len = sizeof(prefix) - 1;
    const char* text = name->data;
    size_t len = name->count;
    if (len > prefix_len && memcmp(text, prefix, prefix_len) == 0) {
        text += prefix_len;
        len -= prefix_len;
        return len < PATH_MAX && is_plain(text, len, true) ? open_below("", text, len, out)
                                                           : ZX_ERR_BAD_PATH;
    }
    return len < PATH_MAX && is_plain(text, len, false) ? open_below("bin/", text, len, out)
                                                        : ZX_ERR_BAD_PATH;
}

static zx_status_t open_library(const struct fidl_string* name, zx_handle_t* out) {
    return name->count < PATH_MAX && is_plain(name->data, name->count, false)
               ? open_below("lib/", name->data, name->count, out)
               : ZX_ERR_BAD_PATH;
}

// ---- fuchsia.process/Resolver ----

// A loader of its own for each program: the far end of a channel that is served here.
static zx_status_t new_loader(zx_handle_t* out) {
    zx_handle_t ours;
    zx_status_t status = zx_channel_create(0, &ours, out);
    if (status == ZX_OK) {
        status = client_begin(ours, true);
        if (status != ZX_OK) {
            (void)zx_handle_close(*out);
        }
    }
    return status;
}

static zx_status_t resolve(void*, struct fuchsia_process_resolver_resolve_request* request,
                           struct fidl_txn* txn) {
    struct fuchsia_process_resolver_resolve_response response = {};
    response.status = open_program(&request->name, &response.executable);
    if (response.status == ZX_OK) {
        response.status = new_loader(&response.ldsvc);
    }
    if (response.status != ZX_OK) {
        (void)zx_handle_close(response.executable);
        response.executable = response.ldsvc = ZX_HANDLE_INVALID;
    }
    return fidl_reply(txn, &response);
}

static const struct fuchsia_process_resolver_ops resolver_ops = {.resolve = resolve};

// ---- fuchsia.ldsvc/Loader ----

static zx_status_t done(void*) {
    return ZX_ERR_STOP;
}

static zx_status_t load_object(void*, struct fuchsia_ldsvc_loader_load_object_request* request,
                               struct fidl_txn* txn) {
    struct fuchsia_ldsvc_loader_load_object_response response = {};
    response.rv = open_library(&request->object_name, &response.object);
    return fidl_reply(txn, &response);
}

static zx_status_t config(void*, struct fuchsia_ldsvc_loader_config_request*,
                          struct fidl_txn* txn) {
    struct fuchsia_ldsvc_loader_config_response response = {.rv = ZX_ERR_NOT_SUPPORTED};
    return fidl_reply(txn, &response);
}

static zx_status_t clone(void*, struct fuchsia_ldsvc_loader_clone_request* request,
                         struct fidl_txn* txn) {
    struct fuchsia_ldsvc_loader_clone_response response = {
        .rv = client_begin(fidl_take(&request->loader), true)};
    return fidl_reply(txn, &response);
}

static const struct fuchsia_ldsvc_loader_ops loader_ops = {
    .done = done, .load_object = load_object, .config = config, .clone = clone};

// ---- clients ----

static struct client* client_of(struct async_channel* channel) {
    return container_of(channel, struct client, guest.channel);
}

static zx_status_t client_message(struct async_channel* channel, struct fidl_message* message) {
    struct client* c = client_of(channel);
    struct fidl_storage storage = async_loop_storage(&loop);
    async_guest_spoke(&clients, &c->guest);
    return c->is_loader ? fuchsia_ldsvc_loader_dispatch(&loader_ops, nullptr, channel->handle,
                                                        message, storage)
                        : fuchsia_process_resolver_dispatch(&resolver_ops, nullptr, channel->handle,
                                                            message, storage);
}

static void client_closed(struct async_channel* channel, zx_status_t) {
    struct client* c = client_of(channel);
    async_guest_gone(&clients, &c->guest);
    free(c);
}

// The channel is gone whatever the outcome.
static zx_status_t client_begin(zx_handle_t channel, bool is_loader) {
    struct client* c = malloc(sizeof(*c));
    if (c == nullptr) {
        (void)zx_handle_close(channel);
        return ZX_ERR_NO_MEMORY;
    }
    *c = (struct client){
        .guest.channel = {.handle = channel, .message = client_message, .closed = client_closed},
        .is_loader = is_loader};
    zx_status_t status = async_guest_begin(&loop, &clients, &c->guest);
    if (status != ZX_OK) {
        free(c);
    }
    return status;
}

static void connect_resolver(void*, zx_handle_t request) {
    (void)client_begin(request, false);
}

static void connect_loader(void*, zx_handle_t request) {
    (void)client_begin(request, true);
}

static void abandoned(void*) {
    async_loop_quit(&loop);
}

int main(int, char**) {
    static struct io_offer offer_list[] = {
        {.name = "fuchsia.process.Resolver", .connect = connect_resolver},
        {.name = "fuchsia.ldsvc.Loader", .connect = connect_loader},
    };
    static struct io_offers offers = {
        .loop = &loop, .offers = offer_list, .count = 2, .abandoned = abandoned};
    async_guests_init(&clients, CLIENTS_MAX);
    boot = bootsvc_startup();
    zx_handle_t directory = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    zx_status_t status = boot != ZX_HANDLE_INVALID && directory != ZX_HANDLE_INVALID
                             ? async_loop_init(&loop)
                             : ZX_ERR_BAD_HANDLE;
    if (status == ZX_OK) {
        status = io_offers_begin(&offers, directory);
    }
    if (status == ZX_OK) {
        status = async_loop_run(&loop);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "resolver: %s\n", zx_status_get_string(status));
    }
    return status == ZX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
