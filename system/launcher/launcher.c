// The launcher service: starts programs for others (protocol: sdk/lib/launchsvc), so that they need
// not own the launcher library. It holds nothing but the vDSO: job, program and handles come from
// the client, and so does every right that the new process has.
//
// The channel it is started with takes new connections: messages without bytes and with a channel.
// It ends when that channel is closed.

#include <stdio.h>
#include <stdlib.h>

#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <launchsvc/client.h>
#include <launchsvc/server.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>

constexpr uint64_t KEY_ROOT = 0;
constexpr uint32_t REQUESTS_AT_ONCE = 8;
constexpr uint32_t CLIENTS_MAX = 4096; // fewer than a port can watch

struct client {
    zx_handle_t channel;
    struct launchsvc_connection* connection;
};

static struct launch_vdso vdso;
static zx_handle_t port;
static uint32_t client_count;
static alignas(8) char buffer[ZX_CHANNEL_MAX_MSG_BYTES];

static zx_status_t watch(zx_handle_t channel, uint64_t key) {
    return zx_object_wait_async(channel, port, key, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                0);
}

static void client_end(struct client* c) {
    (void)zx_handle_close(c->channel);
    launchsvc_connection_free(c->connection);
    free(c);
    client_count--;
}

// A few requests at once: what is left comes up again behind those of other clients.
static void client_serve(struct client* c) {
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < REQUESTS_AT_ONCE && status == ZX_OK; i++) {
        status = launchsvc_serve(c->connection, c->channel, buffer);
    }
    bool stays = status == ZX_OK || status == ZX_ERR_SHOULD_WAIT;
    if (!stays || watch(c->channel, (uint64_t)c) != ZX_OK) {
        client_end(c);
    }
}

static void client_begin(zx_handle_t channel) {
    struct client* c = client_count < CLIENTS_MAX ? malloc(sizeof(*c)) : nullptr;
    struct launchsvc_connection* connection =
        c != nullptr ? launchsvc_connection_new(&vdso) : nullptr;
    if (connection == nullptr) {
        free(c);
        (void)zx_handle_close(channel);
        return;
    }
    client_count++;
    *c = (struct client){.channel = channel, .connection = connection};
    client_serve(c);
}

// False: nobody can connect any more.
static bool accept_all(zx_handle_t root) {
    for (;;) {
        zx_handle_t channel = ZX_HANDLE_INVALID;
        uint32_t len;
        uint32_t handles = 0;
        zx_status_t status = zx_channel_read(root, ZX_CHANNEL_READ_MAY_DISCARD, nullptr, &channel,
                                             0, 1, &len, &handles);
        if (status == ZX_ERR_SHOULD_WAIT) {
            return watch(root, KEY_ROOT) == ZX_OK;
        }
        if (status == ZX_OK && handles == 1) {
            client_begin(channel);
        } else if (status != ZX_OK && status != ZX_ERR_BUFFER_TOO_SMALL) {
            return false;
        }
    }
}

static int fail(const char* what, zx_status_t status) {
    fprintf(stderr, "launcher: %s: %s\n", what, zx_status_get_string(status));
    return EXIT_FAILURE;
}

int main(int, char**) {
    zx_handle_t root = zx_take_startup_handle(LAUNCHSVC_STARTUP);
    if (root == ZX_HANDLE_INVALID) {
        return fail("nobody to serve", ZX_ERR_BAD_HANDLE);
    }
    struct launch_result result = launch_vdso_init(&vdso, zx_vmo_vdso());
    if (result.error != LAUNCH_OK) {
        return fail(launch_error_text(result.error), result.status);
    }
    zx_status_t status = zx_port_create(0, &port);
    if (status != ZX_OK) {
        return fail("no port", status);
    }
    bool open = accept_all(root);
    while (open) {
        zx_port_packet_t packet;
        status = zx_port_wait(port, ZX_TIME_INFINITE, &packet);
        if (status != ZX_OK) {
            return fail("cannot wait", status);
        }
        if (packet.key == KEY_ROOT) {
            open = accept_all(root);
        } else {
            client_serve((struct client*)packet.key);
        }
    }
    return EXIT_SUCCESS;
}
