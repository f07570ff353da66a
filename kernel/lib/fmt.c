// Bounded text formatting.
//
// One pass: literal runs go to the sink as they stand; a conversion is parsed into a `struct spec`,
// its argument is fetched by length, and the field is emitted as five parts: left padding, prefix
// (sign or 0x), zeros, body, right padding. No field is ever assembled in memory, therefore no
// width can overflow a buffer; only the digits of one integer live on the stack.
#include <lib/fmt.h>

#include <lib/string.h>
#include <stdint.h>

constexpr int field_len_max = 1024;
constexpr size_t digits_max = 22; // 64 bits in octal

struct out {
    fmt_sink_fn sink;
    void* ctx;
    size_t len;
};

struct spec {
    int width;
    int precision; // negative: none given
    bool left;
    bool zero;
    bool plus;
    bool space;
    bool alternate;
    bool upper;
    enum length : uint8_t {
        LEN_INT,
        LEN_CHAR,
        LEN_SHORT,
        LEN_LONG,
        LEN_LLONG,
        LEN_SIZE,
        LEN_PTRDIFF,
        LEN_MAX
    } length;
};

struct argument_list {
    va_list
        args; // in a struct, because a va_list parameter cannot be passed on by address portably
};

static void emit(struct out* out, const char* text, size_t len) {
    if (len > 0) {
        out->sink(out->ctx, text, len);
        out->len += len;
    }
}

static void emit_repeated(struct out* out, char ch, int count) {
    char run[16];
    memset(run, ch, sizeof(run));
    while (count > 0) {
        size_t len = (size_t)count < sizeof(run) ? (size_t)count : sizeof(run);
        emit(out, run, len);
        count -= (int)len;
    }
}

static int cap_field(int value) {
    return value > field_len_max ? field_len_max : value;
}

// Reads digits or a *, leaves *cursor behind them.
static int parse_count(const char** cursor, struct argument_list* list) {
    if (**cursor == '*') {
        (*cursor)++;
        return va_arg(list->args, int);
    }
    int value = 0;
    while (**cursor >= '0' && **cursor <= '9') {
        value = cap_field(value * 10 + (**cursor - '0'));
        (*cursor)++;
    }
    return value;
}

static void parse_flags(const char** cursor, struct spec* spec) {
    for (;; (*cursor)++) {
        switch (**cursor) {
        case '-':
            spec->left = true;
            break;
        case '0':
            spec->zero = true;
            break;
        case '+':
            spec->plus = true;
            break;
        case ' ':
            spec->space = true;
            break;
        case '#':
            spec->alternate = true;
            break;
        default:
            return;
        }
    }
}

static enum length parse_length(const char** cursor) {
    const char* at = *cursor;
    enum length length = LEN_INT;
    switch (*at) {
    case 'h':
        length = at[1] == 'h' ? LEN_CHAR : LEN_SHORT;
        break;
    case 'l':
        length = at[1] == 'l' ? LEN_LLONG : LEN_LONG;
        break;
    case 'z':
        length = LEN_SIZE;
        break;
    case 't':
        length = LEN_PTRDIFF;
        break;
    case 'j':
        length = LEN_MAX;
        break;
    default:
        return LEN_INT;
    }
    *cursor = at + (length == LEN_CHAR || length == LEN_LLONG ? 2 : 1);
    return length;
}

// Parses everything between % and the conversion letter.
static struct spec parse_spec(const char** cursor, struct argument_list* list) {
    struct spec spec = {.precision = -1};
    parse_flags(cursor, &spec);
    int width = parse_count(cursor, list);
    if (width < 0) {
        spec.left = true;
        width = width < -field_len_max ? field_len_max : -width;
    }
    spec.width = cap_field(width);
    if (**cursor == '.') {
        (*cursor)++;
        int precision = parse_count(cursor, list);
        spec.precision = precision < 0 ? -1 : cap_field(precision);
    }
    spec.length = parse_length(cursor);
    return spec;
}

static uint64_t fetch_unsigned(enum length length, struct argument_list* list) {
    switch (length) {
    case LEN_CHAR:
        return (unsigned char)va_arg(list->args, unsigned int);
    case LEN_SHORT:
        return (unsigned short)va_arg(list->args, unsigned int);
    case LEN_INT:
        return va_arg(list->args, unsigned int);
    case LEN_LONG:
        return va_arg(list->args, unsigned long);
    case LEN_LLONG:
        return va_arg(list->args, unsigned long long);
    case LEN_SIZE:
        return va_arg(list->args, size_t);
    case LEN_PTRDIFF:
        return (uint64_t)va_arg(list->args, ptrdiff_t);
    case LEN_MAX:
        return va_arg(list->args, uintmax_t);
    }
    return 0;
}

static int64_t fetch_signed(enum length length, struct argument_list* list) {
    uint64_t value = fetch_unsigned(length, list);
    switch (length) {
    case LEN_CHAR:
        return (signed char)value;
    case LEN_SHORT:
        return (short)value;
    case LEN_INT:
        return (int)value;
    default:
        return (int64_t)value;
    }
}

// Writes the digits so that they end at digits[digits_max]; returns how many. Zero has none here:
// the precision rule adds its one digit.
static int digits_make(char digits[static digits_max], uint64_t value, unsigned base, bool upper) {
    const char* alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t at = digits_max;
    while (value != 0) {
        digits[--at] = alphabet[value % base];
        value /= base;
    }
    return (int)(digits_max - at);
}

static void emit_integer(struct out* out, const struct spec* spec, const char* prefix,
                         uint64_t value, unsigned base) {
    char digits[digits_max];
    int digit_count = digits_make(digits, value, base, spec->upper);
    int prefix_len = (int)strlen(prefix);
    int minimum = spec->precision >= 0 ? spec->precision : 1;
    int zeros = minimum > digit_count ? minimum - digit_count : 0;
    if (base == 8 && spec->alternate && zeros == 0) {
        zeros = 1;
    }
    int padding = spec->width - prefix_len - zeros - digit_count;
    if (padding > 0 && spec->zero && !spec->left && spec->precision < 0) {
        zeros += padding;
        padding = 0;
    }
    if (!spec->left) {
        emit_repeated(out, ' ', padding);
    }
    emit(out, prefix, (size_t)prefix_len);
    emit_repeated(out, '0', zeros);
    emit(out, digits + digits_max - digit_count, (size_t)digit_count);
    if (spec->left) {
        emit_repeated(out, ' ', padding);
    }
}

static void emit_signed(struct out* out, const struct spec* spec, struct argument_list* list) {
    int64_t value = fetch_signed(spec->length, list);
    const char* prefix = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    emit_integer(out, spec, prefix, magnitude, 10);
}

static void emit_hex(struct out* out, const struct spec* spec, struct argument_list* list) {
    uint64_t value = fetch_unsigned(spec->length, list);
    const char* prefix = !spec->alternate || value == 0 ? "" : spec->upper ? "0X" : "0x";
    emit_integer(out, spec, prefix, value, 16);
}

static void emit_text(struct out* out, const struct spec* spec, const char* text, size_t len) {
    int padding = len < (size_t)spec->width ? spec->width - (int)len : 0;
    if (!spec->left) {
        emit_repeated(out, ' ', padding);
    }
    emit(out, text, len);
    if (spec->left) {
        emit_repeated(out, ' ', padding);
    }
}

static void emit_string(struct out* out, const struct spec* spec, struct argument_list* list) {
    const char* text = va_arg(list->args, const char*);
    if (text == nullptr) {
        text = "(null)";
    }
    size_t len = spec->precision >= 0 ? strnlen(text, (size_t)spec->precision) : strlen(text);
    emit_text(out, spec, text, len);
}

// Handles one conversion whose letter is `letter`; false if there is no such conversion.
static bool emit_conversion(struct out* out, char letter, struct spec* spec,
                            struct argument_list* list) {
    switch (letter) {
    case 'd':
    case 'i':
        emit_signed(out, spec, list);
        return true;
    case 'u':
        emit_integer(out, spec, "", fetch_unsigned(spec->length, list), 10);
        return true;
    case 'o':
        emit_integer(out, spec, "", fetch_unsigned(spec->length, list), 8);
        return true;
    case 'X':
        spec->upper = true;
        [[fallthrough]];
    case 'x':
        emit_hex(out, spec, list);
        return true;
    case 'p':
        emit_integer(out, spec, "0x", (uintptr_t)va_arg(list->args, void*), 16);
        return true;
    case 'c': {
        char ch = (char)va_arg(list->args, int);
        emit_text(out, spec, &ch, 1);
        return true;
    }
    case 's':
        emit_string(out, spec, list);
        return true;
    case '%':
        emit(out, "%", 1);
        return true;
    default:
        return false;
    }
}

size_t fmt_vwrite(fmt_sink_fn sink, void* ctx, const char* format, va_list args) {
    struct out out = {.sink = sink, .ctx = ctx};
    struct argument_list list;
    va_copy(list.args, args);
    while (*format != '\0') {
        const char* start = format;
        while (*format != '\0' && *format != '%') {
            format++;
        }
        emit(&out, start, (size_t)(format - start));
        if (*format == '\0') {
            break;
        }
        start = format++;
        struct spec spec = parse_spec(&format, &list);
        bool known = emit_conversion(&out, *format, &spec, &list);
        if (*format != '\0') {
            format++;
        }
        if (!known) {
            emit(&out, start, (size_t)(format - start));
        }
    }
    va_end(list.args);
    return out.len;
}

size_t fmt_write(fmt_sink_fn sink, void* ctx, const char* format, ...) {
    va_list args;
    va_start(args, format);
    size_t len = fmt_vwrite(sink, ctx, format, args);
    va_end(args);
    return len;
}

struct buffer_sink {
    char* buf;
    size_t room; // characters that still fit, terminator excluded
};

static void buffer_sink_write(void* ctx, const char* text, size_t len) {
    struct buffer_sink* sink = ctx;
    size_t fits = len < sink->room ? len : sink->room;
    memcpy(sink->buf, text, fits);
    sink->buf += fits;
    sink->room -= fits;
}

size_t fmt_vsnprintf(char* buf, size_t cap, const char* format, va_list args) {
    struct buffer_sink sink = {.buf = buf, .room = cap > 0 ? cap - 1 : 0};
    size_t len = fmt_vwrite(buffer_sink_write, &sink, format, args);
    if (cap > 0) {
        *sink.buf = '\0';
    }
    return len;
}

size_t fmt_snprintf(char* buf, size_t cap, const char* format, ...) {
    va_list args;
    va_start(args, format);
    size_t len = fmt_vsnprintf(buf, cap, format, args);
    va_end(args);
    return len;
}
