// The library against what the tool writes, and against damage. Arguments: the folder that
// tools/symbols/sample.py has filled.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/symbols.h>

static const char* folder;

static uint8_t* read_sample(size_t* len) {
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/symbols", folder);
    FILE* file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t* bytes = malloc(1 << 20);
    assert_non_null(bytes);
    *len = fread(bytes, 1, 1 << 20, file);
    assert_true(*len > 0 && *len < 1 << 20);
    (void)fclose(file);
    return realloc(bytes, *len); // so that nothing behind it can be read unnoticed
}

static void every_answer(void**) {
    size_t len;
    uint8_t* bytes = read_sample(&len);
    struct symbols s;
    assert_true(symbols_open(&s, bytes, len));
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/answers", folder);
    FILE* file = fopen(path, "r");
    assert_non_null(file);
    uint64_t id, offset;
    char want[400];
    size_t count = 0;
    while (fscanf(file, "%" SCNx64 " %" SCNx64 " %399s", &id, &offset, want) == 3) {
        struct symbols_place place;
        char got[400] = "-";
        if (symbols_find(&s, id, offset, &place)) {
            (void)snprintf(got, sizeof(got), "%s+%" PRIx64, place.name, place.offset);
        }
        assert_string_equal(got, want);
        count++;
    }
    assert_true(count > 500);
    (void)fclose(file);
    free(bytes);
}

static void ask_all(const uint8_t* bytes, size_t len) {
    struct symbols s;
    if (!symbols_open(&s, bytes, len)) {
        return;
    }
    for (uint32_t i = 0; i < s.modules && i < 8; i++) {
        uint64_t id;
        memcpy(&id, bytes + 32 + (size_t)i * 16, sizeof(id));
        struct symbols_place place;
        (void)symbols_find(&s, id, 0x2000, &place);
        (void)symbols_find(&s, id, UINT64_MAX, &place);
    }
}

// (The address sanitizer is the judge.)
static void damaged(void**) {
    size_t len;
    uint8_t* bytes = read_sample(&len);
    for (size_t cut = 0; cut < len; cut += cut < 64 ? 1 : 97) {
        uint8_t* part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, bytes, cut);
        struct symbols s;
        assert_false(symbols_open(&s, part, cut));
        free(part);
    }
    for (size_t at = 0; at < len; at += at < 512 ? 1 : 31) {
        const uint8_t was = bytes[at];
        for (uint32_t bit = 0; bit < 8; bit++) {
            bytes[at] = was ^ (uint8_t)(1u << bit);
            ask_all(bytes, len);
        }
        bytes[at] = was;
    }
    free(bytes);
}

// ---- build ids ----

struct image {
    uint8_t bytes[64 + 2 * 56];
};

static void put(struct image* i, size_t at, const void* value, size_t len) {
    memcpy(i->bytes + at, value, len);
}

// A program header: type, link-time address, length in memory.
static void put_program(struct image* i, size_t index, uint32_t type, uint64_t vaddr,
                        uint64_t len) {
    size_t at = 64 + index * 56;
    put(i, at, &type, sizeof(type));
    put(i, at + 16, &vaddr, sizeof(vaddr));
    put(i, at + 40, &len, sizeof(len));
}

static struct image image(void) {
    struct image i = {.bytes = {0x7f, 'E', 'L', 'F', 2, 1}};
    const uint64_t program_at = 64;
    const uint16_t lens[] = {64, 56, 2};
    put(&i, 32, &program_at, sizeof(program_at));
    put(&i, 52, lens, sizeof(lens));
    put_program(&i, 0, 1, 0x40010, 0x1000);
    put_program(&i, 1, 4, 0x40230, 36);
    return i;
}

static void notes_of_an_image(void**) {
    struct image i = image();
    struct symbols_range notes = {};
    assert_true(symbols_find_notes(&i, sizeof(i), &notes));
    assert_int_equal(notes.offset, 0x230);
    assert_int_equal(notes.len, 36);
    assert_false(symbols_find_notes(&i, 63, &notes));           // too short
    assert_false(symbols_find_notes(&i, 64 + 56 + 55, &notes)); // the header of the notes is cut
    i.bytes[0] = 0;
    assert_false(symbols_find_notes(&i, sizeof(i), &notes));
    i = image();
    put_program(&i, 1, 4, 0x3f000, 36); // before the image
    assert_false(symbols_find_notes(&i, sizeof(i), &notes));
    i = image();
    const uint64_t far = UINT64_MAX;
    put(&i, 32, &far, sizeof(far));
    assert_false(symbols_find_notes(&i, sizeof(i), &notes));
}

static void build_id_among_notes(void**) {
    alignas(4) uint8_t notes[12 + 4 + 8 + 12 + 4 + 20] = {4, 0, 0, 0, 7, 0, 0, 0, 1};
    memcpy(notes + 12, "GNU", 4);
    uint8_t* second = notes + 24;
    const uint32_t head[] = {4, 20, 3};
    memcpy(second, head, sizeof(head));
    memcpy(second + 12, "GNU", 4);
    for (uint8_t i = 0; i < 20; i++) {
        second[16 + i] = i + 1;
    }
    assert_int_equal(symbols_build_id(notes, sizeof(notes)), 0x0807060504030201);
    assert_int_equal(symbols_build_id(second, 36), 0x0807060504030201);
    assert_int_equal(symbols_build_id(second, 35), 0);
    assert_int_equal(symbols_build_id(notes, 24), 0);
    assert_int_equal(symbols_build_id(notes, 0), 0);
    second[4] = 7; // too short an id
    assert_int_equal(symbols_build_id(second, 36), 0);
    memset(second, 0xff, 8);
    assert_int_equal(symbols_build_id(second, 36), 0);
}

int main(int argc, char** argv) {
    if (argc != 2) {
        return 2;
    }
    folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer),
        cmocka_unit_test(damaged),
        cmocka_unit_test(notes_of_an_image),
        cmocka_unit_test(build_id_among_notes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
