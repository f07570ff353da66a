// The launcher service: starts programs for others (fuchsia.process/Launcher), so that they need
// not own the launcher library. It holds nothing but the vDSO: job, program and handles come from
// the client, and so does every right that the new process has.

#include <stdio.h>
#include <stdlib.h>

#include <async/guests.h>
#include <async/loop.h>
#include <io/offers.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <launchsvc/server.h>
#include <lib/compiler.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include "workers.h"

constexpr uint32_t CLIENTS_MAX = 4000; // fewer than a port can watch

struct client {
    struct async_guest guest;
    struct launchsvc_connection* connection;
};

static struct async_loop loop;
static struct launch_vdso vdso;
static struct async_guests clients;

// ---- clients ----

static struct client* client_of(struct async_channel* channel) {
    return container_of(channel, struct client, guest.channel);
}

static void client_free(struct client* c) {
    async_guest_gone(&clients, &c->guest);
    launchsvc_connection_end(c->connection);
    free(c);
}

static zx_status_t client_message(struct async_channel* channel, struct fidl_message* message) {
    struct client* c = client_of(channel);
    async_guest_spoke(&clients, &c->guest);
    return launchsvc_handle(c->connection, message, async_loop_storage(&loop));
}

static void client_closed(struct async_channel* channel, zx_status_t) {
    client_free(client_of(channel));
}

static zx_status_t begin_work(struct launchsvc_service*, struct launchsvc_work* work) {
    return workers_run(work);
}

static struct launchsvc_service service = {.vdso = &vdso, .begin = begin_work};

static void finish_work(struct launchsvc_work* work) {
    void* owner = nullptr;
    if (launchsvc_work_finish(work, async_loop_storage(&loop), &owner) == ZX_OK) {
        return;
    }
    struct client* c = owner;
    async_channel_end(&c->guest.channel);
    client_free(c);
}

static void client_begin(void*, zx_handle_t channel) {
    struct client* c = calloc(1, sizeof(*c));
    if (c != nullptr) {
        c->connection = launchsvc_connection_new(&service, channel, c);
    }
    if (c == nullptr || c->connection == nullptr) {
        free(c);
        (void)zx_handle_close(channel);
        return;
    }
    c->guest.channel = (struct async_channel){
        .handle = channel, .message = client_message, .closed = client_closed};
    if (async_guest_begin(&loop, &clients, &c->guest) != ZX_OK) {
        launchsvc_connection_end(c->connection);
        free(c);
    }
}

// Whoever started us is gone: nobody can connect any more.
static void abandoned(void*) {
    async_loop_quit(&loop);
}

static int fail(const char* what, zx_status_t status) {
    fprintf(stderr, "launcher: %s: %s\n", what, zx_status_get_string(status));
    return EXIT_FAILURE;
}

int main(int, char**) {
    static struct io_offer offer = {.name = "fuchsia.process.Launcher", .connect = client_begin};
    static struct io_offers offers = {
        .loop = &loop, .offers = &offer, .count = 1, .abandoned = abandoned};
    zx_handle_t directory = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    if (directory == ZX_HANDLE_INVALID) {
        return fail("nobody to serve", ZX_ERR_BAD_HANDLE);
    }
    struct launch_result result = launch_vdso_init(&vdso, zx_vmo_vdso());
    if (result.error != LAUNCH_OK) {
        return fail(launch_error_text(result.error), result.status);
    }
    async_guests_init(&clients, CLIENTS_MAX);
    zx_status_t status = async_loop_init(&loop);
    if (status == ZX_OK) {
        status = workers_init(&loop, finish_work);
    }
    if (status == ZX_OK) {
        status = io_offers_begin(&offers, directory);
    }
    if (status == ZX_OK) {
        status = async_loop_run(&loop);
    }
    return status == ZX_OK ? EXIT_SUCCESS : fail("cannot wait", status);
}
