// Between the parts of the services library.
#pragma once

#include <init/services.h>

[[gnu::format(printf, 3, 4)]] bool services_fail(struct services_error* error, uint32_t line,
                                                 const char* format, ...);

// What a keyword wants.
struct services_keyword {
    const char* name;
    const char* choices; // "a b c": one of these words; null: any
    bool services_only;
    bool once;
};
extern const struct services_keyword services_keywords[SERVICES_KEY_COUNT];

bool services_check(const struct services* s, struct services_error* error);
