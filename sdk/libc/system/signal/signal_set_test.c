// Default actions and classes.
#include <signal/signal_set.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void sets(void**) {
    assert_int_equal(signal_first(0), 0);
    for (int signal = 1; signal <= signal_max; signal++) {
        assert_true(signal_valid(signal));
        assert_int_equal(signal_first(signal_bit(signal)), signal);
    }
    assert_false(signal_valid(0));
    assert_false(signal_valid(signal_max + 1));
    assert_int_equal(signal_first(signal_bit(64) | signal_bit(7)), 7);
    assert_int_equal(signal_immutable, signal_bit(ABI_SIGKILL) | signal_bit(ABI_SIGSTOP));
}

static void defaults(void**) {
    assert_int_equal(signal_default(ABI_SIGCHLD), SIGNAL_IGNORED);
    assert_int_equal(signal_default(ABI_SIGTSTP), SIGNAL_STOPS);
    assert_int_equal(signal_default(ABI_SIGPIPE), SIGNAL_ENDS);
    assert_int_equal(signal_default(40), SIGNAL_ENDS);
}

// A class speaks for all its signals: no signal that ends shares one with signals that do not, and
// those that shells care about have one of their own.
static void classes(void**) {
    for (int a = 1; a <= signal_max; a++) {
        assert_int_equal(__builtin_popcount(signal_class(a)), 1);
        for (int b = 1; b < a; b++) {
            if (signal_class(a) == signal_class(b)) {
                assert_int_equal(signal_default(a) == SIGNAL_ENDS,
                                 signal_default(b) == SIGNAL_ENDS);
                assert_false(a == ABI_SIGTERM || b == ABI_SIGINT || b == ABI_SIGHUP);
            }
        }
    }
    assert_int_equal(signal_classes(0), 0);
    assert_int_equal(signal_classes(signal_bit(ABI_SIGINT) | signal_bit(ABI_SIGTERM)),
                     signal_class(ABI_SIGINT) | signal_class(ABI_SIGTERM));
    assert_int_equal(__builtin_popcount(signal_classes(UINT64_MAX)), 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sets), cmocka_unit_test(defaults),
                                       cmocka_unit_test(classes)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
