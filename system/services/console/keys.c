#include <console/keys.h>

#include <string.h>

constexpr uint8_t RELEASED = 0x80;

// By code, without and with shift; 0: no character.
static const char plain[] = {0,   0x1b, '1',  '2',  '3',  '4', '5', '6',  '7', '8', '9', '0',
                             '-', '=',  0x7f, '\t', 'q',  'w', 'e', 'r',  't', 'y', 'u', 'i',
                             'o', 'p',  '[',  ']',  '\r', 0,   'a', 's',  'd', 'f', 'g', 'h',
                             'j', 'k',  'l',  ';',  '\'', '`', 0,   '\\', 'z', 'x', 'c', 'v',
                             'b', 'n',  'm',  ',',  '.',  '/', 0,   '*',  0,   ' '};
static const char shifted[] = {0,   0x1b, '!',  '@',  '#',  '$', '%', '^', '&', '*', '(', ')',
                               '_', '+',  0x7f, '\t', 'Q',  'W', 'E', 'R', 'T', 'Y', 'U', 'I',
                               'O', 'P',  '{',  '}',  '\r', 0,   'A', 'S', 'D', 'F', 'G', 'H',
                               'J', 'K',  'L',  ':',  '"',  '~', 0,   '|', 'Z', 'X', 'C', 'V',
                               'B', 'N',  'M',  '<',  '>',  '?', 0,   '*', 0,   ' '};
static_assert(sizeof(plain) == 0x3a && sizeof(shifted) == 0x3a);

// Keys that send a sequence, with and without 0xe0 (then they are those of the numeric pad).
static const struct {
    uint8_t code;
    const char* text;
} sequences[] = {
    {0x48, "\x1b[A"},   {0x50, "\x1b[B"},   {0x4d, "\x1b[C"},   {0x4b, "\x1b[D"},
    {0x47, "\x1b[H"},   {0x4f, "\x1b[F"},   {0x49, "\x1b[5~"},  {0x51, "\x1b[6~"},
    {0x52, "\x1b[2~"},  {0x53, "\x1b[3~"},  {0x3b, "\x1bOP"},   {0x3c, "\x1bOQ"},
    {0x3d, "\x1bOR"},   {0x3e, "\x1bOS"},   {0x3f, "\x1b[15~"}, {0x40, "\x1b[17~"},
    {0x41, "\x1b[18~"}, {0x42, "\x1b[19~"}, {0x43, "\x1b[20~"}, {0x44, "\x1b[21~"},
    {0x57, "\x1b[23~"}, {0x58, "\x1b[24~"},
};

enum code : uint8_t {
    CONTROL = 0x1d,
    SHIFT_LEFT = 0x2a,
    SHIFT_RIGHT = 0x36,
    ALT = 0x38,
    CAPS_LOCK = 0x3a,
    PAGE_UP = 0x49,
    PAGE_DOWN = 0x51,
    PAD_MINUS = 0x4a,
    PAD_PLUS = 0x4e,
    PAD_ENTER = 0x1c,
    PAD_SLASH = 0x35,
};

// True: it was a modifier.
static bool take_modifier(struct keys* k, uint8_t key, bool extended, bool down) {
    switch (key) {
    case CONTROL:
        *(extended ? &k->control_right : &k->control_left) = down;
        return true;
    case SHIFT_LEFT:
        // With 0xe0 it is a part of what some keys send, and means nothing.
        k->shift_left = extended ? k->shift_left : down;
        return true;
    case SHIFT_RIGHT:
        k->shift_right = extended ? k->shift_right : down;
        return true;
    case ALT:
        k->alt = down;
        return true;
    case CAPS_LOCK:
        k->caps_lock = k->caps_lock != down;
        return true;
    default:
        return false;
    }
}

static char character_of(const struct keys* k, uint8_t key, bool extended) {
    if (extended) {
        return key == PAD_ENTER ? '\r' : key == PAD_SLASH ? '/' : '\0';
    }
    if (key == PAD_MINUS || key == PAD_PLUS) {
        return key == PAD_MINUS ? '-' : '+';
    }
    if (key >= sizeof(plain)) {
        return '\0';
    }
    bool letter = plain[key] >= 'a' && plain[key] <= 'z';
    bool shift = (k->shift_left || k->shift_right) != (letter && k->caps_lock);
    return shift ? shifted[key] : plain[key];
}

static char with_control(char ch) {
    if (ch >= 'a' && ch <= 'z') {
        return (char)(ch - 'a' + 1);
    }
    if (ch >= '@' && ch <= '_') {
        return (char)(ch - '@');
    }
    return ch == '/' ? 0x1f : ch;
}

static keys_action_t put_character(const struct keys* k, char ch, bool control, uint8_t* bytes,
                                   uint32_t* count) {
    // A zero byte: control with space or @.
    bool zero = control && (ch == ' ' || ch == '@' || ch == '2');
    uint32_t len = 0;
    if (k->alt) {
        bytes[len++] = 0x1b;
    }
    bytes[len++] = zero ? 0 : (uint8_t)(control ? with_control(ch) : ch);
    *count = len;
    return KEYS_BYTES;
}

static keys_action_t put_sequence(uint8_t key, uint8_t* bytes, uint32_t* count) {
    for (uint32_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        if (sequences[i].code == key) {
            *count = (uint32_t)strlen(sequences[i].text);
            memcpy(bytes, sequences[i].text, *count);
            return KEYS_BYTES;
        }
    }
    return KEYS_NONE;
}

// True: the code is a part of a longer one.
static bool take_prefix(struct keys* k, uint8_t code) {
    if (k->skipped > 0) {
        k->skipped--;
        return true;
    }
    if (code == 0xe1) {
        k->skipped = 2; // the pause key: e1 1d 45, and the same released
        return true;
    }
    if (code == 0xe0) {
        k->extended = true;
        return true;
    }
    return false;
}

keys_action_t keys_take(struct keys* k, uint8_t code, uint8_t bytes[KEYS_BYTES_MAX],
                        uint32_t* count) {
    *count = 0;
    if (take_prefix(k, code)) {
        return KEYS_NONE;
    }
    bool extended = k->extended;
    bool down = (code & RELEASED) == 0;
    uint8_t key = code & (uint8_t)~RELEASED;
    k->extended = false;
    if (take_modifier(k, key, extended, down) || !down) {
        return KEYS_NONE;
    }
    bool shift = k->shift_left || k->shift_right;
    if (shift && extended && (key == PAGE_UP || key == PAGE_DOWN)) {
        return key == PAGE_UP ? KEYS_SCROLL_UP : KEYS_SCROLL_DOWN;
    }
    char ch = character_of(k, key, extended);
    return ch != '\0' ? put_character(k, ch, k->control_left || k->control_right, bytes, count)
                      : put_sequence(key, bytes, count);
}
