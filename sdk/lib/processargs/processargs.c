#include <processargs/processargs.h>

// No library below this one: crt0 uses it before anything else runs.
static void copy_bytes(char* to, const char* from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
}

static size_t string_size(const char* s) {
    size_t n = 0;
    while (s[n] != '\0') {
        n++;
    }
    return n + 1;
}

static processargs_error_t parse_strings(const char* message, size_t len, uint32_t offset,
                                         uint32_t count, struct processargs_strings* out) {
    *out = (struct processargs_strings){};
    if (count == 0) {
        return PROCESSARGS_OK;
    }
    if (offset < sizeof(zx_proc_args_t) || offset >= len) {
        return PROCESSARGS_BAD_STRINGS;
    }
    // Each string takes at least its terminator, so the loop is bounded by the message.
    uint32_t seen = 0;
    for (size_t at = offset; at < len && seen < count; at++) {
        seen += message[at] == '\0';
    }
    if (seen < count) {
        return PROCESSARGS_BAD_STRINGS;
    }
    *out = (struct processargs_strings){.first = message + offset, .count = count};
    return PROCESSARGS_OK;
}

processargs_error_t processargs_parse(const void* message, size_t len, uint32_t handle_count,
                                      struct processargs* out) {
    if (len < sizeof(zx_proc_args_t)) {
        return PROCESSARGS_TRUNCATED;
    }
    const zx_proc_args_t* header = message;
    if (header->protocol != ZX_PROCARGS_PROTOCOL || header->version != ZX_PROCARGS_VERSION) {
        return PROCESSARGS_BAD_PROTOCOL;
    }
    uint64_t infos_end =
        (uint64_t)header->handle_info_off + (uint64_t)handle_count * sizeof(uint32_t);
    if (handle_count != 0 &&
        (header->handle_info_off < sizeof(zx_proc_args_t) ||
         header->handle_info_off % alignof(uint32_t) != 0 || infos_end > len)) {
        return PROCESSARGS_BAD_HANDLES;
    }
    const char* bytes = message;
    out->handle_count = handle_count;
    out->handle_infos = (const uint32_t*)(const void*)(bytes + header->handle_info_off);
    processargs_error_t error =
        parse_strings(bytes, len, header->args_off, header->args_num, &out->args);
    if (error == PROCESSARGS_OK) {
        error = parse_strings(bytes, len, header->environ_off, header->environ_num, &out->environ);
    }
    if (error == PROCESSARGS_OK) {
        error = parse_strings(bytes, len, header->names_off, header->names_num, &out->names);
    }
    return error;
}

void processargs_string_pointers(const struct processargs_strings* strings, const char** pointers) {
    const char* at = strings->first;
    for (uint32_t i = 0; i < strings->count; i++) {
        pointers[i] = at;
        at += string_size(at);
    }
    pointers[strings->count] = nullptr;
}

// ---- building ----

struct writer {
    char* buffer;
    size_t capacity;
    size_t at;
    bool full;
};

static uint32_t put(struct writer* w, const void* bytes, size_t n) {
    size_t offset = w->at;
    if (n > w->capacity - w->at) {
        w->full = true;
        return 0;
    }
    copy_bytes(w->buffer + offset, bytes, n);
    w->at += n;
    return (uint32_t)offset;
}

static uint32_t put_strings(struct writer* w, const char* const* strings, uint32_t count) {
    uint32_t offset = (uint32_t)w->at;
    for (uint32_t i = 0; i < count && !w->full; i++) {
        put(w, strings[i], string_size(strings[i]));
    }
    return count == 0 ? 0 : offset;
}

processargs_error_t processargs_build(const struct processargs_input* in, void* buffer,
                                      size_t capacity, size_t* len) {
    struct writer w = {.buffer = buffer, .capacity = capacity};
    zx_proc_args_t header = {
        .protocol = ZX_PROCARGS_PROTOCOL,
        .version = ZX_PROCARGS_VERSION,
        .args_num = in->arg_count,
        .environ_num = in->environ_count,
        .names_num = in->name_count,
    };
    put(&w, &header, sizeof(header));
    header.handle_info_off = put(&w, in->handle_infos, in->handle_count * sizeof(uint32_t));
    header.args_off = put_strings(&w, in->args, in->arg_count);
    header.environ_off = put_strings(&w, in->environ, in->environ_count);
    header.names_off = put_strings(&w, in->names, in->name_count);
    if (w.full) {
        return PROCESSARGS_TOO_LARGE;
    }
    copy_bytes(buffer, (const char*)&header, sizeof(header));
    *len = w.at;
    return PROCESSARGS_OK;
}
