// One table says of each register what gdb calls it and where it is. The order within a feature is
// gdb's: the numbers of the packets follow from it.
#include <gdbserver/registers.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum kind : uint8_t {
    PLAIN, // the low bytes of a member
    TAGS,  // the x87's tag word, which FXSAVE keeps in short
    NOT_SHOWN,
};

struct description {
    const char* name;
    const char* type;
    uint8_t size; // bytes
    enum kind kind;
    uint16_t offset; // in struct registers
};

#define AT(member) (uint16_t)offsetof(struct registers, member)
#define G(name_)   {#name_, "int64", 8, PLAIN, AT(general.name_)}
#define ST(n)      {"st" #n, "i387_ext", 10, PLAIN, AT(fp.st[n])}
#define XMM(n)     {"xmm" #n, "vec128", 16, PLAIN, AT(vector.zmm[n])}
#define YMMH(n)    {"ymm" #n "h", "uint128", 16, PLAIN, AT(vector.zmm[n].v[2])}
#define NONE(n)    {#n, "int32", 4, NOT_SHOWN, 0}

static const struct description table[] = {
    G(rax),
    G(rbx),
    G(rcx),
    G(rdx),
    G(rsi),
    G(rdi),
    {"rbp", "data_ptr", 8, PLAIN, AT(general.rbp)},
    {"rsp", "data_ptr", 8, PLAIN, AT(general.rsp)},
    G(r8),
    G(r9),
    G(r10),
    G(r11),
    G(r12),
    G(r13),
    G(r14),
    G(r15),
    {"rip", "code_ptr", 8, PLAIN, AT(general.rip)},
    {"eflags", "int32", 4, PLAIN, AT(general.rflags)},
    NONE(cs),
    NONE(ss),
    NONE(ds),
    NONE(es),
    NONE(fs),
    NONE(gs),
    ST(0),
    ST(1),
    ST(2),
    ST(3),
    ST(4),
    ST(5),
    ST(6),
    ST(7),
    {"fctrl", "int", 4, PLAIN, AT(fp.fcw)},
    {"fstat", "int", 4, PLAIN, AT(fp.fsw)},
    {"ftag", "int", 4, TAGS, 0},
    {"fiseg", "int", 4, NOT_SHOWN, 0},
    {"fioff", "int", 4, PLAIN, AT(fp.fip)},
    {"foseg", "int", 4, NOT_SHOWN, 0},
    {"fooff", "int", 4, PLAIN, AT(fp.fdp)},
    {"fop", "int", 4, PLAIN, AT(fp.fop)},
    XMM(0),
    XMM(1),
    XMM(2),
    XMM(3),
    XMM(4),
    XMM(5),
    XMM(6),
    XMM(7),
    XMM(8),
    XMM(9),
    XMM(10),
    XMM(11),
    XMM(12),
    XMM(13),
    XMM(14),
    XMM(15),
    {"mxcsr", "int", 4, PLAIN, AT(vector.mxcsr)},
    {"fs_base", "int64", 8, PLAIN, AT(general.fs_base)},
    {"gs_base", "int64", 8, PLAIN, AT(general.gs_base)},
    {"orig_rax", "int64", 8, NOT_SHOWN, 0}, // gdb wants it; there is no such thing here
    YMMH(0),
    YMMH(1),
    YMMH(2),
    YMMH(3),
    YMMH(4),
    YMMH(5),
    YMMH(6),
    YMMH(7),
    YMMH(8),
    YMMH(9),
    YMMH(10),
    YMMH(11),
    YMMH(12),
    YMMH(13),
    YMMH(14),
    YMMH(15),
};
static_assert(sizeof(table) / sizeof(table[0]) == registers_with_avx);

constexpr uint32_t first_of_sse = 40;
constexpr uint32_t first_of_segments = 57;
constexpr uint32_t first_of_linux = 59;

// Bytes that the member has; beyond them a register reads as zero.
static size_t member_size(uint32_t n) {
    const uint16_t at = table[n].offset;
    return at == AT(fp.fcw) || at == AT(fp.fsw) || at == AT(fp.fop) ? 2 : table[n].size;
}

size_t register_size(uint32_t n) {
    return table[n].size;
}

// Two bits for each register, 3: empty; in short, one bit, 1: not empty. Which of the other tags it
// is nobody needs to know.
static uint32_t tags_long(uint8_t in_short) {
    uint32_t tags = 0;
    for (uint32_t i = 0; i < 8; i++) {
        tags |= (in_short >> i & 1) != 0 ? 0 : 3u << 2 * i;
    }
    return tags;
}

static uint8_t tags_short(uint32_t tags) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 8; i++) {
        bits |= (tags >> 2 * i & 3) != 3 ? 1u << i : 0;
    }
    return (uint8_t)bits;
}

bool register_get(const struct registers* r, uint32_t n, uint8_t out[register_max]) {
    const struct description* d = &table[n];
    memset(out, 0, register_max);
    if (d->kind == TAGS) {
        const uint32_t tags = tags_long(r->fp.ftw);
        memcpy(out, &tags, sizeof(tags));
    } else {
        memcpy(out, (const uint8_t*)r + d->offset, member_size(n));
    }
    return d->kind != NOT_SHOWN;
}

void register_set(struct registers* r, uint32_t n, const uint8_t in[register_max]) {
    const struct description* d = &table[n];
    if (d->kind == TAGS) {
        uint32_t tags;
        memcpy(&tags, in, sizeof(tags));
        r->fp.ftw = tags_short(tags);
    } else if (d->kind == PLAIN) {
        memcpy((uint8_t*)r + d->offset, in, member_size(n));
    }
}

void register_print(const struct registers* r, uint32_t n, struct rsp_reply* out) {
    uint8_t value[register_max];
    if (register_get(r, n, value)) {
        rsp_bytes(out, value, table[n].size);
    } else {
        for (size_t i = 0; i < table[n].size; i++) {
            rsp_text(out, "xx");
        }
    }
}

void registers_print(const struct registers* r, uint32_t count, struct rsp_reply* out) {
    for (uint32_t n = 0; n < count; n++) {
        register_print(r, n, out);
    }
}

bool register_parse(struct registers* r, uint32_t n, struct rsp_text* text) {
    uint8_t value[register_max] = {};
    if (table[n].kind == NOT_SHOWN && rsp_take(text, "xx")) {
        bool ok = true;
        for (size_t i = 1; i < table[n].size; i++) {
            ok &= rsp_take(text, "xx");
        }
        return ok;
    }
    if (!rsp_take_bytes(text, value, table[n].size)) {
        return false;
    }
    register_set(r, n, value);
    return true;
}

bool registers_parse(struct registers* r, uint32_t count, struct rsp_text* text) {
    if (rsp_at_end(text)) {
        return false;
    }
    for (uint32_t n = 0; n < count && !rsp_at_end(text); n++) {
        if (!register_parse(r, n, text)) {
            return false;
        }
    }
    return true;
}

// ---- the description ----

struct document {
    char* at;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct document* d, const char* format, ...) {
    va_list args;
    va_start(args, format);
    const size_t room = d->len < registers_xml_max ? registers_xml_max - d->len : 0;
    const int len = vsnprintf(d->at + registers_xml_max - room, room, format, args);
    d->len += len > 0 ? (size_t)len : 0;
    va_end(args);
}

static void add_registers(struct document* d, uint32_t first, uint32_t end) {
    for (uint32_t n = first; n < end; n++) {
        add(d, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"/>", table[n].name,
            table[n].size * 8u, table[n].type, n);
    }
    add(d, "</feature>");
}

size_t registers_describe(uint32_t count, char out[registers_xml_max]) {
    struct document d = {.at = out};
    add(&d, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
            "<architecture>i386:x86-64</architecture>"
            "<feature name=\"org.gnu.gdb.i386.core\">");
    add_registers(&d, 0, first_of_sse);
    add(&d, "<feature name=\"org.gnu.gdb.i386.sse\">"
            "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
            "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
            "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
            "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
            "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
            "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
            "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
            "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
            "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
            "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/>"
            "</union>");
    add_registers(&d, first_of_sse, first_of_segments);
    add(&d, "<feature name=\"org.gnu.gdb.i386.segments\">");
    add_registers(&d, first_of_segments, first_of_linux);
    // Only with this feature does gdb look for shared libraries as System V's are (libraries.c).
    add(&d, "<feature name=\"org.gnu.gdb.i386.linux\">");
    add_registers(&d, first_of_linux, registers_without_avx);
    if (count > registers_without_avx) {
        add(&d, "<feature name=\"org.gnu.gdb.i386.avx\">");
        add_registers(&d, registers_without_avx, count);
    }
    add(&d, "</target>");
    return d.len;
}
