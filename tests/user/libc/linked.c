// What loader.c starts: says which library it was linked with, or finds at run time.
#include <dlfcn.h>
#include <stdio.h>

#include "shared.h"

int main(int argc, char** argv) {
    if (argc < 2) {
        return shared_counter;
    }
    void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    // The same again is the same, whoever is asked.
    const int* counter = dlsym(library, "shared_counter");
    return dlopen(argv[1], RTLD_NOW) == library && counter != nullptr ? *counter : 2;
}
