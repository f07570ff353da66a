#include <fidl/types.h>

#include <string.h>

#include "fidl_priv.h"

const struct fidl_type fidl_bool_type = {.kind = FIDL_BOOL, .size = 1};
const struct fidl_type fidl_scalar8_type = {.kind = FIDL_SCALAR, .size = 1};
const struct fidl_type fidl_scalar16_type = {.kind = FIDL_SCALAR, .size = 2};
const struct fidl_type fidl_scalar32_type = {.kind = FIDL_SCALAR, .size = 4};
const struct fidl_type fidl_scalar64_type = {.kind = FIDL_SCALAR, .size = 8};

static const uint64_t framework_err_values[] = {(uint32_t)FIDL_FRAMEWORK_ERR_UNKNOWN_METHOD};
const struct fidl_type fidl_framework_err_type = {
    .kind = FIDL_ENUM, .strict = true, .size = 4, .count = 1, .values = framework_err_values};

const char* fidl_error_name(fidl_error_t error) {
    static const char* const names[] = {
        [FIDL_OK] = "ok",
        [FIDL_BAD_HEADER] = "not a message of this format",
        [FIDL_BAD_ORDINAL] = "another method",
        [FIDL_NOT_ALIGNED] = "buffer not aligned",
        [FIDL_TOO_SHORT] = "message too short",
        [FIDL_TOO_LONG] = "message too long",
        [FIDL_BAD_PADDING] = "padding not zero",
        [FIDL_BAD_PRESENCE] = "bad presence word",
        [FIDL_ABSENT] = "required and absent",
        [FIDL_LIMIT] = "too many elements",
        [FIDL_TOO_DEEP] = "nested too deeply",
        [FIDL_BAD_VALUE] = "not a value of its type",
        [FIDL_BAD_UTF8] = "not UTF-8",
        [FIDL_BAD_ENVELOPE] = "bad envelope",
        [FIDL_UNKNOWN_MEMBER] = "unknown member",
        [FIDL_HANDLE_COUNT] = "wrong number of handles",
        [FIDL_HANDLE_TYPE] = "handle of the wrong type",
        [FIDL_HANDLE_RIGHTS] = "handle lacks rights",
        [FIDL_BUFFER_FULL] = "buffer full",
    };
    return error < sizeof(names) / sizeof(names[0]) ? names[error] : "unknown";
}

fidl_error_t fidl_check_value(const struct fidl_type* t, const uint8_t* at) {
    uint64_t value = 0;
    memcpy(&value, at, t->size);
    if (t->kind == FIDL_BOOL) {
        return value <= 1 ? FIDL_OK : FIDL_BAD_VALUE;
    }
    if (!t->strict) {
        return FIDL_OK;
    }
    if (t->kind == FIDL_BITS) {
        return (value & ~t->mask) == 0 ? FIDL_OK : FIDL_BAD_VALUE;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->values[i] == value) {
            return FIDL_OK;
        }
    }
    return FIDL_BAD_VALUE;
}

// The length of the sequence that starts here; 0: none does. The second byte alone tells overlong
// forms, surrogates and what lies beyond U+10FFFF.
static size_t sequence_len(const uint8_t* s, size_t left) {
    uint8_t low = 0x80, high = 0xbf;
    size_t len;
    if (s[0] < 0x80) {
        return 1;
    } else if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;
    } else if ((s[0] & 0xf0) == 0xe0) {
        len = 3;
        low = s[0] == 0xe0 ? 0xa0 : low;
        high = s[0] == 0xed ? 0x9f : high;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        low = s[0] == 0xf0 ? 0x90 : low;
        high = s[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (left < len || s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool fidl_utf8_valid(const uint8_t* text, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t step = sequence_len(text + at, len - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

const struct fidl_type* fidl_member_type(const struct fidl_type* t, uint64_t ordinal) {
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->members[i].ordinal == ordinal) {
            return t->members[i].type;
        }
    }
    return nullptr;
}

bool fidl_is_plain(const struct fidl_type* t) {
    return t->kind == FIDL_SCALAR || ((t->kind == FIDL_ENUM || t->kind == FIDL_BITS) && !t->strict);
}
