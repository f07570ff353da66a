// What row 28 starts: a program of the C library that does nothing.

int main(void) {
    return 0;
}
