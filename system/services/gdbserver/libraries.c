#include "libraries.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr size_t LIBRARIES_MAX = 64; // more are not shown
constexpr size_t NAME_MAX = 256;
static const char vdso_name[] = "libzircon.so";

// ---- what is in the program ----

// <link.h>'s struct r_debug and struct link_map.
struct debug {
    int32_t version, padding1;
    uint64_t first, brk;
    int32_t state, padding2;
    uint64_t linker;
};

struct entry {
    uint64_t bias, name, dynamic, next, before;
};

static bool read_exactly(struct target* t, uint64_t at, void* out, size_t len) {
    return target_read(t, at, out, len) == len;
}

static bool find_list(struct target* t, struct debug* out) {
    uint64_t at = 0;
    (void)zx_object_get_property(t->process, ZX_PROP_PROCESS_DEBUG_ADDR, &at, sizeof(at));
    return at != 0 && at != ZX_PROCESS_DEBUG_ADDR_BREAK_ON_SET &&
           read_exactly(t, at, out, sizeof(*out)) && out->first != 0;
}

uint64_t libraries_program(struct target* t) {
    struct debug debug;
    struct entry first;
    return find_list(t, &debug) && read_exactly(t, debug.first, &first, sizeof(first)) ? first.bias
                                                                                       : 0;
}

uint64_t libraries_linker(struct target* t) {
    struct debug debug;
    return find_list(t, &debug) ? debug.linker : 0;
}

// As much of a name as can be read, with what is not plain text replaced.
static void read_name(struct target* t, uint64_t at, char name[NAME_MAX]) {
    size_t len = 0;
    while (at != 0 && len < NAME_MAX - 1 && target_read(t, at + len, &name[len], 1) == 1 &&
           name[len] != '\0') {
        const char c = name[len];
        if (c < ' ' || c > '~' || c == '<' || c == '>' || c == '&' || c == '"' || c == '\'') {
            name[len] = '?';
        }
        len++;
    }
    name[len] = '\0';
}

// ---- the vDSO ----

struct image {
    uint64_t base, dynamic;
};

static bool find_vdso(struct target* t, struct image* out) {
    constexpr uint32_t type_dynamic = 2;
    struct {
        uint8_t ident[32];
        uint64_t headers, sections;
        uint32_t flags;
        uint16_t len, header_len, header_count, rest[3];
    } elf;
    static_assert(sizeof(elf) == 64);
    struct {
        uint32_t type, flags;
        uint64_t offset, vaddr, rest[4];
    } header;
    static_assert(sizeof(header) == 56);
    uint64_t base = 0;
    (void)zx_object_get_property(t->process, ZX_PROP_PROCESS_VDSO_BASE_ADDRESS, &base,
                                 sizeof(base));
    if (base == 0 || !read_exactly(t, base, &elf, sizeof(elf))) {
        return false;
    }
    for (uint16_t i = 0; i < elf.header_count; i++) {
        if (!read_exactly(t, base + elf.headers + i * sizeof(header), &header, sizeof(header))) {
            return false;
        }
        if (header.type == type_dynamic) {
            *out = (struct image){.base = base, .dynamic = base + header.vaddr};
            return true;
        }
    }
    return false;
}

// ---- the document ----

struct document {
    char* at;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct document* d, const char* format, ...) {
    va_list args;
    va_start(args, format);
    const size_t room = libraries_xml_max - d->len;
    const int len = vsnprintf(d->at + d->len, room, format, args);
    d->len += len > 0 && (size_t)len < room ? (size_t)len : 0; // what does not fit is left out
    d->at[d->len] = '\0';
    va_end(args);
}

static void add_library(struct document* d, const char* name, uint64_t entry, uint64_t bias,
                        uint64_t dynamic) {
    add(d, "<library name=\"%s\" lm=\"0x%llx\" l_addr=\"0x%llx\" l_ld=\"0x%llx\" lmid=\"0x0\"/>",
        name, (unsigned long long)entry, (unsigned long long)bias, (unsigned long long)dynamic);
}

size_t libraries_describe(struct target* t, char out[libraries_xml_max]) {
    struct document d = {.at = out};
    struct debug debug = {};
    struct image vdso = {};
    bool vdso_is_listed = !find_vdso(t, &vdso);
    const bool has_list = find_list(t, &debug);
    add(&d, "<library-list-svr4 version=\"1.0\"");
    if (has_list) {
        add(&d, " main-lm=\"0x%llx\"", (unsigned long long)debug.first);
    }
    add(&d, ">");
    struct entry e;
    uint64_t at = debug.first;
    for (size_t i = 0; i < LIBRARIES_MAX && at != 0 && read_exactly(t, at, &e, sizeof(e)); i++) {
        char name[NAME_MAX];
        const bool is_vdso = e.dynamic == vdso.dynamic && vdso.dynamic != 0;
        read_name(t, e.name, name);
        vdso_is_listed |= is_vdso;
        if (i > 0) {
            add_library(&d, is_vdso ? vdso_name : name, at, e.bias, e.dynamic);
        }
        at = e.next;
    }
    if (!vdso_is_listed) {
        add_library(&d, vdso_name, vdso.base, vdso.base, vdso.dynamic);
    }
    add(&d, "</library-list-svr4>");
    return d.len;
}
