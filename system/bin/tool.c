#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fidl/jacinth.system.h>
#include <jacinth/startup.h>
#include <system/grants.h>
#include <tasks/tasks.h>
#include <zircon/rights.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "ns.h"

bool tool_wants_help(int argc, char** argv, const char* usage) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("usage: %s\n", usage);
            return true;
        }
    }
    return false;
}

bool tool_takes(int count, int argc, char** argv, const char* usage, const char* help, int* code) {
    *code = 0;
    if (tool_wants_help(argc, argv, usage)) {
        printf("%s\n", help);
        return false;
    }
    if (argc != count + 1) {
        *code = tool_bad_usage(usage);
    }
    return *code == 0;
}

int tool_bad_usage(const char* usage) {
    fprintf(stderr, "usage: %s\n", usage);
    return 2;
}

int tool_failed(const char* program, const char* what, zx_status_t status) {
    (void)fflush(stdout);
    // What a tool uses was given to it or made by it, so a bad handle is one that it was not given;
    // a service that it was not given is a channel that closes.
    bool not_given = status == ZX_ERR_BAD_HANDLE || status == ZX_ERR_PEER_CLOSED;
    fprintf(stderr, "%s: %s: %s%s\n", program, what, zx_status_get_string(status),
            not_given ? " (not given to it)" : "");
    return 1;
}

bool tool_parse_u64(const char* text, uint64_t* out) {
    char* end;
    *out = strtoull(text, &end, 0);
    return end != text && *end == '\0' && *text != '-';
}

void tool_name(zx_handle_t handle, char name[ZX_MAX_NAME_LEN]) {
    name[0] = '\0';
    (void)zx_object_get_property(handle, ZX_PROP_NAME, name, ZX_MAX_NAME_LEN);
    name[ZX_MAX_NAME_LEN - 1] = '\0';
    for (char* c = name; *c != '\0'; c++) {
        *c = *c >= ' ' && *c <= '~' ? *c : '?'; // whoever made it chose the name
    }
}

zx_handle_t tool_directory(const char* prefix) {
    struct ns_entry entry;
    for (uint32_t i = 0; ns_entry(i, &entry); i++) {
        if (strcmp(entry.prefix, prefix) == 0) {
            return entry.directory;
        }
    }
    return ZX_HANDLE_INVALID;
}

zx_status_t tool_connect(const char* protocol, zx_handle_t* out) {
    zx_handle_t theirs;
    zx_handle_t svc = tool_directory("/svc");
    zx_status_t status = zx_channel_create(0, out, &theirs);
    if (status == ZX_OK && svc != ZX_HANDLE_INVALID) {
        return io_connect(svc, protocol, strlen(protocol), theirs);
    }
    if (status == ZX_OK) {
        (void)zx_handle_close(theirs); // as of a service that is not there
    }
    return status;
}

static zx_handle_t ask_for_root(void) {
    alignas(8) uint8_t buffer[64];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_system_tasks_get_root_response* answer;
    zx_handle_t tasks;
    zx_handle_t job = ZX_HANDLE_INVALID;
    if (tool_connect("jacinth.system.Tasks", &tasks) == ZX_OK) {
        if (jacinth_system_tasks_get_root_call(tasks, ZX_TIME_INFINITE, storage, &answer) ==
            ZX_OK) {
            job = answer->job;
        }
        (void)zx_handle_close(tasks);
    }
    return job;
}

zx_handle_t tool_root_job(void) {
    static zx_handle_t root; // one thread asks
    if (root == ZX_HANDLE_INVALID) {
        root = zx_take_startup_handle(GRANTED_ROOT_JOB);
    }
    if (root == ZX_HANDLE_INVALID) {
        root = ask_for_root();
    }
    if (root == ZX_HANDLE_INVALID) {
        root = zx_job_default();
    }
    return root;
}

zx_status_t tool_find_process(const char* koid_text, zx_handle_t* out) {
    uint64_t koid;
    return tool_parse_u64(koid_text, &koid) ? tasks_find_process(tool_root_job(), koid, out)
                                            : ZX_ERR_INVALID_ARGS;
}

const char* tool_type_name(zx_obj_type_t type) {
    static const char* const names[] = {
        [ZX_OBJ_TYPE_PROCESS] = "process",
        [ZX_OBJ_TYPE_THREAD] = "thread",
        [ZX_OBJ_TYPE_VMO] = "vmo",
        [ZX_OBJ_TYPE_CHANNEL] = "channel",
        [ZX_OBJ_TYPE_EVENT] = "event",
        [ZX_OBJ_TYPE_PORT] = "port",
        [ZX_OBJ_TYPE_INTERRUPT] = "interrupt",
        [ZX_OBJ_TYPE_DEBUGLOG] = "debuglog",
        [ZX_OBJ_TYPE_SOCKET] = "socket",
        [ZX_OBJ_TYPE_RESOURCE] = "resource",
        [ZX_OBJ_TYPE_EVENTPAIR] = "eventpair",
        [ZX_OBJ_TYPE_JOB] = "job",
        [ZX_OBJ_TYPE_VMAR] = "vmar",
        [ZX_OBJ_TYPE_FIFO] = "fifo",
        [ZX_OBJ_TYPE_TIMER] = "timer",
        [ZX_OBJ_TYPE_PROFILE] = "profile",
        [ZX_OBJ_TYPE_SUSPEND_TOKEN] = "suspend",
        [ZX_OBJ_TYPE_PAGER] = "pager",
        [ZX_OBJ_TYPE_EXCEPTION] = "exception",
        [ZX_OBJ_TYPE_CLOCK] = "clock",
        [ZX_OBJ_TYPE_STREAM] = "stream",
        [ZX_OBJ_TYPE_COUNTER] = "counter",
    };
    bool known = type < sizeof(names) / sizeof(names[0]) && names[type] != nullptr;
    return known ? names[type] : "?";
}

// One letter for each right, from bit 0 on.
static const char rights_letters[] = "dtrwxmgsekpqSPWIJMTAKCRaV";
static_assert(sizeof(rights_letters) == tool_rights_len);
static_assert(ZX_RIGHT_MANAGE_VMO == 1u << (tool_rights_len - 2));

const char tool_rights_legend[] =
    "d duplicate  t transfer  r read  w write  x execute  m map  g get property  s set property\n"
    "e enumerate  k destroy  p set policy  q get policy  S signal  P signal peer  W wait\n"
    "I inspect  J manage job  M manage process  T manage thread  A apply profile\n"
    "K manage socket  C operate on children  R resize  a attach VMO  V manage VMO\n";

void tool_rights(zx_rights_t rights, char text[tool_rights_len]) {
    for (uint32_t i = 0; i < tool_rights_len - 1; i++) {
        text[i] = (rights & (1u << i)) != 0 ? rights_letters[i] : '.';
    }
    text[tool_rights_len - 1] = '\0';
}
