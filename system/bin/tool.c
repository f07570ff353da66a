#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/rights.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>

bool tool_wants_help(int argc, char** argv, const char* usage) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("usage: %s\n", usage);
            return true;
        }
    }
    return false;
}

int tool_bad_usage(const char* usage) {
    fprintf(stderr, "usage: %s\n", usage);
    return 2;
}

int tool_failed(const char* program, const char* what, zx_status_t status) {
    (void)fflush(stdout);
    // What a tool uses was given to it or made by it, so a bad handle is one that it was not given.
    fprintf(stderr, "%s: %s: %s%s\n", program, what, zx_status_get_string(status),
            status == ZX_ERR_BAD_HANDLE ? " (not given to it; the prompt gives it, sh cannot)"
                                        : "");
    return 1;
}

bool tool_parse_u64(const char* text, uint64_t* out) {
    char* end;
    *out = strtoull(text, &end, 0);
    return end != text && *end == '\0' && *text != '-';
}

// A list may grow between asking how long it is and asking for it.
zx_status_t tool_list(zx_handle_t handle, uint32_t topic, size_t record_size, void** out,
                      size_t* count) {
    size_t capacity = 16;
    for (;;) {
        size_t avail = 0;
        void* list = calloc(capacity, record_size);
        if (list == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
        zx_status_t status =
            zx_object_get_info(handle, topic, list, capacity * record_size, count, &avail);
        if (status == ZX_OK && avail <= capacity) {
            *out = list;
            return ZX_OK;
        }
        free(list);
        if (status != ZX_OK) {
            return status;
        }
        capacity = avail + avail / 2;
    }
}

void tool_name(zx_handle_t handle, char name[ZX_MAX_NAME_LEN]) {
    name[0] = '\0';
    (void)zx_object_get_property(handle, ZX_PROP_NAME, name, ZX_MAX_NAME_LEN);
    name[ZX_MAX_NAME_LEN - 1] = '\0';
    for (char* c = name; *c != '\0'; c++) {
        *c = *c >= ' ' && *c <= '~' ? *c : '?'; // whoever made it chose the name
    }
}

zx_handle_t tool_system_resource(uint64_t base) {
    zx_handle_t part = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, (uint32_t)base));
    if (part != ZX_HANDLE_INVALID) {
        return part;
    }
    zx_handle_t whole = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    if (whole != ZX_HANDLE_INVALID) {
        (void)zx_resource_create(whole, ZX_RSRC_KIND_SYSTEM, base, 1, "part", 4, &part);
        (void)zx_handle_close(whole);
    }
    return part;
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
