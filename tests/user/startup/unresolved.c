// A program that wants what the vDSO does not have. It must not reach main().
void zx_call_that_does_not_exist(void);

int main(int argc, char** argv) {
    (void)argv;
    if (argc > 1000) {
        zx_call_that_does_not_exist();
    }
    return 0;
}
