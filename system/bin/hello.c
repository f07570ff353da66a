// Greets whom it is told to, the world if nobody.
#include <stdio.h>

int main(int argc, char** argv) {
    printf("hello");
    for (int i = 1; i < argc; i++) {
        printf(" %s", argv[i]);
    }
    printf("%s\n", argc > 1 ? "" : ", world");
    return 0;
}
