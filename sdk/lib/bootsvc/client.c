#include <bootsvc/client.h>

#include <string.h>

#include <bootsvc/protocol.h>
#include <jacinth/startup.h>
#include <zircon/syscalls.h>

static constexpr char mount[] = "/boot";

zx_handle_t bootsvc_startup(void) {
    static zx_handle_t service; // written once, by the first caller of a start-up that has one
    for (uint32_t i = 0; service == ZX_HANDLE_INVALID; i++) {
        const char* name = zx_startup_name(i);
        if (name == nullptr) {
            break;
        }
        if (strcmp(name, mount) == 0) {
            service = zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        }
    }
    return service;
}

// A request with its path, without "/boot" and slashes at the ends.
struct request {
    struct bootsvc_request head;
    char path[bootsvc_path_max];
};

static bool make_request(struct request* r, uint64_t ordinal, const char* path) {
    size_t mount_len = sizeof(mount) - 1;
    if (strncmp(path, mount, mount_len) == 0 && (path[mount_len] == '/' || path[mount_len] == 0)) {
        path += mount_len;
    }
    while (*path == '/') {
        path++;
    }
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/') {
        len--;
    }
    if (len > bootsvc_path_max) {
        return false;
    }
    memset(&r->head, 0, sizeof(r->head));
    r->head.header.magic = bootsvc_magic;
    r->head.header.ordinal = ordinal;
    r->head.path_len = (uint32_t)len;
    memcpy(r->path, path, len);
    return true;
}

// `got`: bytes of the answer. A handle that came although `vmo` is null is closed.
static zx_status_t call(zx_handle_t service, const struct request* r, void* reply,
                        uint32_t reply_max, uint32_t* got, zx_handle_t* vmo) {
    zx_handle_t handle = ZX_HANDLE_INVALID;
    uint32_t handles = 0;
    zx_channel_call_args_t args = {.wr_bytes = r,
                                   .wr_num_bytes = (uint32_t)sizeof(r->head) + r->head.path_len,
                                   .rd_bytes = reply,
                                   .rd_num_bytes = reply_max,
                                   .rd_handles = &handle,
                                   .rd_num_handles = 1};
    zx_status_t status = zx_channel_call(service, 0, ZX_TIME_INFINITE, &args, got, &handles);
    if (status == ZX_OK && vmo != nullptr) {
        *vmo = handle;
    } else {
        (void)zx_handle_close(handle);
    }
    return status;
}

zx_status_t bootsvc_open(zx_handle_t service, const char* path, zx_handle_t* vmo, uint64_t* size) {
    struct request r;
    if (!make_request(&r, bootsvc_open_ordinal, path)) {
        return ZX_ERR_BAD_PATH;
    }
    struct bootsvc_open_reply reply;
    uint32_t got;
    zx_handle_t handle = ZX_HANDLE_INVALID;
    zx_status_t status = call(service, &r, &reply, sizeof(reply), &got, &handle);
    if (status != ZX_OK) {
        return status;
    }
    if (got != sizeof(reply)) {
        status = ZX_ERR_IO;
    } else if (reply.status != ZX_OK) {
        status = reply.status;
    } else if (handle == ZX_HANDLE_INVALID) {
        status = ZX_ERR_IO;
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(handle);
        return status;
    }
    *vmo = handle;
    *size = reply.size;
    return ZX_OK;
}

zx_status_t bootsvc_clone(zx_handle_t service, zx_handle_t* out) {
    zx_handle_t theirs;
    zx_status_t status = zx_channel_create(0, out, &theirs);
    if (status != ZX_OK) {
        return status;
    }
    struct bootsvc_header header = {.magic = bootsvc_magic, .ordinal = bootsvc_clone_ordinal};
    status = zx_channel_write(service, 0, &header, sizeof(header), &theirs, 1);
    if (status != ZX_OK) {
        (void)zx_handle_close(*out);
        *out = ZX_HANDLE_INVALID;
    }
    return status;
}

// ---- listing ----

struct lister {
    const struct request* request;
    bootsvc_found_fn found;
    void* ctx;
    bool any;
    char last[bootsvc_path_max]; // the directory that was reported last
    uint32_t last_len;
};

// From a full path to what stands directly in the directory. False: stop.
static bool report(struct lister* l, const char* name, uint32_t len, uint32_t size) {
    uint32_t skip = l->request->head.path_len;
    skip += skip > 0 && skip < len; // the slash
    if (skip >= len) {
        return true; // the path names a file
    }
    const char* rest = name + skip;
    uint32_t rest_len = len - skip;
    const char* slash = memchr(rest, '/', rest_len);
    struct bootsvc_item item = {.name = rest, .name_len = rest_len, .size = size};
    if (slash != nullptr) {
        item = (struct bootsvc_item){
            .name = rest, .name_len = (uint32_t)(slash - rest), .is_directory = true};
        // Names come sorted: what is below one directory comes together.
        if (item.name_len == l->last_len && memcmp(rest, l->last, l->last_len) == 0) {
            return true;
        }
        memcpy(l->last, rest, item.name_len);
        l->last_len = item.name_len;
    }
    l->any = true;
    return l->found(l->ctx, &item);
}

// One answer's entries. IO: malformed. *more: false when the callback has had enough.
static zx_status_t report_entries(struct lister* l, const char* bytes, uint32_t len, uint32_t count,
                                  bool* more) {
    uint32_t at = sizeof(struct bootsvc_list_reply);
    *more = count != 0;
    for (uint32_t i = 0; i < count && *more; i++) {
        struct bootsvc_entry entry;
        if (len - at < sizeof(entry)) {
            return ZX_ERR_IO;
        }
        memcpy(&entry, bytes + at, sizeof(entry));
        at += (uint32_t)sizeof(entry);
        uint32_t padded = (entry.name_len + 3) & ~3u;
        if (entry.name_len > bootsvc_path_max || padded > len - at) {
            return ZX_ERR_IO;
        }
        *more = report(l, bytes + at, entry.name_len, entry.size);
        at += padded;
    }
    return ZX_OK;
}

zx_status_t bootsvc_list(zx_handle_t service, const char* directory, bootsvc_found_fn found,
                         void* ctx) {
    struct request r;
    if (!make_request(&r, bootsvc_list_ordinal, directory)) {
        return ZX_ERR_BAD_PATH;
    }
    struct lister l = {.request = &r, .found = found, .ctx = ctx};
    bool more = true;
    while (more) {
        alignas(8) char bytes[bootsvc_message_max];
        uint32_t got;
        zx_status_t status = call(service, &r, bytes, sizeof(bytes), &got, nullptr);
        if (status != ZX_OK) {
            return status;
        }
        struct bootsvc_list_reply head;
        if (got < sizeof(head)) {
            return ZX_ERR_IO;
        }
        memcpy(&head, bytes, sizeof(head));
        if (head.status != ZX_OK) {
            return head.status;
        }
        status = report_entries(&l, bytes, got, head.entry_count, &more);
        if (status != ZX_OK) {
            return status;
        }
        r.head.cursor = head.cursor;
    }
    return l.any ? ZX_OK : ZX_ERR_NOT_FOUND;
}
