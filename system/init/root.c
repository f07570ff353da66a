// Before the first command: does the root file system answer?
//
// A disk's driver may have to be started, or started again, so a root that is refused is asked for
// again for DISK_WAIT. One that has taken the question and does not answer is being mounted, which
// includes the check of a file system that was not unmounted: that may take MOUNT_WAIT. Then the
// boot image takes its place until the next boot: programs run, and what they have open does not
// change under them when the disk comes after all.
#include "root.h"

#include <stdio.h>
#include <string.h>

#include <async/client.h>
#include <fidl/jacinth.io.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

#include "supervisor.h"

constexpr zx_duration_t ASK_AGAIN = ZX_MSEC(250);
constexpr zx_duration_t DISK_WAIT = ZX_SEC(5);
constexpr zx_duration_t MOUNT_WAIT = ZX_SEC(60);

static constexpr char prefix[] = "/";

static struct {
    const struct authority* a;
    struct async_loop* loop;
    void (*done)(void);
    struct async_client client;
    struct async_call call;
    struct async_task ask, limit;
    zx_time_t began;
    bool is_asked; // and has not answered
    bool is_boot_image;
} root;

static void say(const char* text) {
    (void)zx_debug_write(text, strlen(text));
}

static void finish(void) {
    async_task_cancel(&root.ask);
    async_task_cancel(&root.limit);
    if (root.is_asked) {
        root.is_asked = false;
        async_client_end(&root.client);
    }
    root.done();
}

static void give_up(void) {
    char line[256];
    int waited = (int)((zx_clock_get_monotonic() - root.began) / ZX_SEC(1));
    (void)snprintf(line, sizeof(line),
                   "init: no disk that a driver knows has the root file system (waited %d s): / is "
                   "the boot image, which cannot be written to\n",
                   waited);
    say(line);
    root.is_boot_image = true;
    finish();
}

// ---- asking ----

static void ask_later(void) {
    async_task_post(root.loop, &root.ask, zx_clock_get_monotonic() + ASK_AGAIN);
}

static void answered(struct async_call*, zx_status_t status, void* response) {
    void* body;
    if (status == ZX_OK && fidl_result(response, &body) == ZX_OK) {
        finish();
    } else if (status == ZX_OK) { // its file system is in trouble
        root.is_asked = false;
        async_client_end(&root.client);
        ask_later();
    } // else `closed` follows
}

static void closed(struct async_client*, zx_status_t) {
    root.is_asked = false;
    ask_later();
}

static void ask(struct async_task*) {
    zx_handle_t near, far;
    if (zx_channel_create(0, &near, &far) != ZX_OK) {
        ask_later();
        return;
    }
    supervisor_attach_now(SUPERVISOR_PREFIX, SERVICES_NONE, prefix, far);
    root.client = (struct async_client){.closed = closed};
    root.call = (struct async_call){.handler = answered};
    if (async_client_begin(root.loop, &root.client, near) != ZX_OK) {
        ask_later();
        return;
    }
    root.is_asked = true;
    if (async_client_call(&root.client, &root.call, &jacinth_io_node_get_attributes_method,
                          nullptr) != ZX_OK) {
        root.is_asked = false;
        async_client_end(&root.client);
        ask_later();
    }
}

static void limit_reached(struct async_task*) {
    zx_time_t last = root.began + MOUNT_WAIT;
    if (root.is_asked && zx_clock_get_monotonic() < last) {
        say("init: the root file system does not answer yet: a check of it takes a while\n");
        async_task_post(root.loop, &root.limit, last);
    } else {
        give_up();
    }
}

void root_begin(const struct authority* a, struct async_loop* loop, void (*done)(void)) {
    root.a = a;
    root.loop = loop;
    root.done = done;
    root.ask.handler = ask;
    root.limit.handler = limit_reached;
    root.began = zx_clock_get_monotonic();
    bool is_rescue = authority_has_word(a, "init.rescue=1"); // waits for nothing that may be broken
    if (is_rescue || services_server(&a->services, SERVICES_MOUNTS, prefix) == SERVICES_NONE) {
        done();
        return;
    }
    async_task_post(loop, &root.limit, root.began + DISK_WAIT);
    ask(nullptr);
}

// ---- without it ----

bool root_is_boot_image(void) {
    return root.is_boot_image;
}

const char* root_environment(const char* word) {
    static constexpr char home[] = "HOME=";
    bool names_home = strncmp(word, home, sizeof(home) - 1) == 0;
    return root.is_boot_image && names_home ? "HOME=/tmp" : word;
}
