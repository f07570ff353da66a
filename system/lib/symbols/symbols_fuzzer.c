// Any bytes as a file of names, as an image's headers, and as notes: nothing outside is read, and a
// name that is found ends within its memory.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <symbols/symbols.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    struct symbols s;
    struct symbols_range notes;
    struct symbols_place place;
    (void)symbols_find_notes(data, len, &notes);
    (void)symbols_build_id(data, len);
    if (!symbols_open(&s, data, len)) {
        return 0;
    }
    for (uint32_t i = 0; i < s.modules && i < 4; i++) {
        uint64_t id;
        memcpy(&id, data + 32 + (size_t)i * 16, sizeof(id));
        for (uint64_t offset = 1; offset != 0; offset <<= 9) {
            if (symbols_find(&s, id, offset, &place) &&
                strnlen(place.name, sizeof(place.name)) == sizeof(place.name)) {
                abort();
            }
        }
    }
    return 0;
}
