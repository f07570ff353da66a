// The least that a program with the C library does: text, memory, the environment.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
    char* text = malloc(32);
    if (text == nullptr) {
        return 1;
    }
    strcpy(text, "world");
    const char* path = getenv("PATH");
    printf("hello, %s: %d arguments, %s, PATH=%s, pi is %.4f, pid %s\n", text, argc, argv[0],
           path != nullptr ? path : "(none)", 3.14159, getpid() > 1 ? "good" : "bad");
    free(text);
    return 0;
}
