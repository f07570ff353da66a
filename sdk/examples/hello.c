// The smallest program with the C library.
#include <stdio.h>

int main(int argc, char** argv) {
    printf("hello from %s\n", argc > 0 ? argv[0] : "nobody");
    return 0;
}
