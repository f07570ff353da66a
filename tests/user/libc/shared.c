// A library for dynamic.c: data, thread-local data, a constructor, uses of the C library.
#include "shared.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef SHARED_COUNTER
#define SHARED_COUNTER 40
#endif

int shared_counter = SHARED_COUNTER;
static int constructed;
static thread_local int per_thread = 5;

__attribute__((constructor)) static void construct(void) {
    constructed = 1;
}

int shared_add(int value) {
    shared_counter += value;
    return shared_counter;
}

int shared_is_constructed(void) {
    return constructed;
}

int shared_next_of_thread(void) {
    return per_thread++;
}

int shared_print(char* out, unsigned long size, const char* text) {
    return snprintf(out, size, "shared: %s", text);
}

int shared_call(int (*function)(void)) {
    return function() + 1;
}

void* shared_allocate(unsigned long size) {
    return malloc(size);
}
