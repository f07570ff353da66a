// One program, many names: does what the name says by which it was started.
#include "tools.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char* name;
    int (*main)(int argc, char** argv);
} tools[] = {
#define TOOL(name) {#name, name##_main},
#include "tools.def"
#undef TOOL
};

int main(int argc, char** argv) {
    const char* name = argc > 0 ? argv[0] : "";
    const char* slash = strrchr(name, '/');
    name = slash != nullptr ? slash + 1 : name;
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
        if (strcmp(tools[i].name, name) == 0) {
            return tools[i].main(argc, argv);
        }
    }
    fprintf(stderr, "tools: there is none named %s\n", name);
    return 127;
}
