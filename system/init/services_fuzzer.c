// Any text: it is read or refused with a message; what was read can be asked and drawn.
#include <stdlib.h>
#include <string.h>

#include <init/services.h>

static void ignore(void* ctx, const char* text) {
    *(size_t*)ctx += strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    static struct services s;
    if (len > SERVICES_TEXT_MAX) {
        return 0;
    }
    char* text = malloc(len + 1);
    if (text == nullptr) {
        return 0;
    }
    memcpy(text, data, len);
    struct services_error error = {};
    if (services_read(&s, text, len, &error)) {
        size_t drawn = 0;
        services_write_dot(&s, ignore, &drawn);
        services_write_svg(&s, ignore, &drawn);
        uint32_t order[SERVICES_PARAGRAPHS_MAX];
        if (drawn == 0 || services_order(&s, order) > s.paragraph_count) {
            abort();
        }
    } else if (error.text[0] == '\0') {
        abort();
    }
    free(text);
    return 0;
}
