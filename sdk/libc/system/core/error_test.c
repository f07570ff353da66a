// The translation of statuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libc/abi.h>
#include <libc/error.h>

#include <zircon/errors.h>

static void success_is_zero(void** state) {
    (void)state;
    assert_int_equal(errno_from_status(ZX_OK), 0);
}

static void errors_are_negated(void** state) {
    (void)state;
    assert_int_equal(errno_from_status(ZX_ERR_NO_MEMORY), -ABI_ENOMEM);
    assert_int_equal(errno_from_status(ZX_ERR_PEER_CLOSED), -ABI_EPIPE);
    assert_int_equal(errno_from_status(ZX_ERR_NOT_EMPTY), -ABI_ENOTEMPTY);
}

static void unknown_ones_are_eio(void** state) {
    (void)state;
    assert_int_equal(errno_from_status(-9999), -ABI_EIO);
    assert_int_equal(errno_from_status(ZX_ERR_IO_DATA_LOSS), -ABI_EIO);
    // A status is never positive; if one is, it must not look like success.
    assert_int_equal(errno_from_status(7), -ABI_EIO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_zero),
        cmocka_unit_test(errors_are_negated),
        cmocka_unit_test(unknown_ones_are_eio),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
