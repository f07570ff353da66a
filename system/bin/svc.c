// The services: a list of them, restarting one, and who can reach whom.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <fidl/jacinth.system.h>
#include <init/services.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

#include "tool.h"
#include "tools.h"

static const char usage[] = "usage: svc [restart NAME | --graph [--svg] | --help]\n";
static const char help[] =
    "Without arguments: each service, its state, how often it was started again, the return code "
    "of\n"
    "the instance that ended last (-1024: killed, as `restart` and `kill` do; -1028: by an "
    "exception),\n"
    "its process and for how many seconds it has run.\n"
    "  restart NAME   end it if it runs, and start it\n"
    "  --graph        who can reach whom, by /boot/etc/services, for dot\n"
    "  --graph --svg  the same as a picture\n";

// ---- asking init ----

static zx_status_t connect(zx_handle_t* out) {
    return tool_connect("jacinth.system.Services", out);
}

static alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
static const struct fidl_storage storage = {buffer, sizeof(buffer)};

static const char* state_name(jacinth_system_state_t state) {
    switch (state) {
    case JACINTH_SYSTEM_STATE_IDLE:
        return "idle";
    case JACINTH_SYSTEM_STATE_RUNNING:
        return "running";
    case JACINTH_SYSTEM_STATE_WAITING:
        return "waiting";
    case JACINTH_SYSTEM_STATE_ENDED:
        return "ended";
    }
    return "?";
}

static void print_service(const struct jacinth_system_service* s) {
    long long seconds =
        s->started != 0 ? (long long)((zx_clock_get_monotonic() - s->started) / ZX_SEC(1)) : 0;
    printf("%-16.*s %-8s %8u %8lld", (int)s->name.count, s->name.data, state_name(s->state),
           s->restarts, (long long)s->return_code);
    if (s->process != 0) {
        printf(" %8llu %8lld", (unsigned long long)s->process, seconds);
    }
    printf("\n");
}

static int list(void) {
    zx_handle_t services;
    struct jacinth_system_services_list_response* answer;
    zx_status_t status = connect(&services);
    if (status == ZX_OK) {
        status = jacinth_system_services_list_call(services, ZX_TIME_INFINITE, storage, &answer);
    }
    if (status != ZX_OK) {
        return tool_failed("svc", "no list", status);
    }
    printf("%-16s %-8s %8s %8s %8s %8s\n", "SERVICE", "STATE", "RESTARTS", "CODE", "PROCESS",
           "SECONDS");
    for (uint64_t i = 0; i < answer->services.count; i++) {
        print_service(&answer->services.data[i]);
    }
    return EXIT_SUCCESS;
}

static int no_such_service(const char* name) {
    fprintf(stderr, "svc: no service %s (svc lists them)\n", name);
    return EXIT_FAILURE;
}

static int restart(char* name) {
    zx_handle_t services;
    size_t len = strlen(name);
    if (len > JACINTH_SYSTEM_MAX_NAME) {
        return no_such_service(name);
    }
    struct jacinth_system_services_restart_request request = {.name = {len, name}};
    zx_status_t status = connect(&services);
    if (status == ZX_OK) {
        status =
            jacinth_system_services_restart_call(services, ZX_TIME_INFINITE, &request, storage);
    }
    if (status == ZX_ERR_NOT_FOUND) {
        return no_such_service(name);
    }
    return status == ZX_OK ? EXIT_SUCCESS : tool_failed("svc", name, status);
}

// ---- the graph ----

static void emit(void*, const char* text) {
    printf("%s", text);
}

static int graph(bool svg) {
    static char text[SERVICES_TEXT_MAX + 1];
    static struct services services;
    struct services_error error;
    zx_handle_t vmo;
    uint64_t size;
    zx_status_t status = bootsvc_open(bootsvc_startup(), "etc/services", &vmo, &size);
    if (status == ZX_OK) {
        status = size <= SERVICES_TEXT_MAX ? zx_vmo_read(vmo, text, 0, size) : ZX_ERR_FILE_BIG;
    }
    if (status != ZX_OK) {
        return tool_failed("svc", "/boot/etc/services", status);
    }
    if (!services_read(&services, text, size, &error)) {
        fprintf(stderr, "/boot/etc/services:%u: %s\n", error.line, error.text);
        return EXIT_FAILURE;
    }
    (svg ? services_write_svg : services_write_dot)(&services, emit, nullptr);
    return EXIT_SUCCESS;
}

int svc_main(int argc, char** argv) {
    const char* first = argc > 1 ? argv[1] : "";
    if (argc == 1) {
        return list();
    }
    if (strcmp(first, "--help") == 0) {
        printf("%s%s", usage, help);
        return EXIT_SUCCESS;
    }
    if (strcmp(first, "restart") == 0 && argc == 3) {
        return restart(argv[2]);
    }
    if (strcmp(first, "--graph") == 0 && argc == 2) {
        return graph(false);
    }
    if (strcmp(first, "--graph") == 0 && argc == 3 && strcmp(argv[2], "--svg") == 0) {
        return graph(true);
    }
    fprintf(stderr, "%s", usage);
    return 2;
}
