// Short forms for objects that many cases need.
#include <utest/utest.h>

#include <jacinth/startup.h>

zx_handle_t utest_event(void) {
    zx_handle_t h;
    EXPECT_OK(zx_event_create(0, &h));
    return h;
}

zx_handle_t utest_port(void) {
    zx_handle_t h;
    EXPECT_OK(zx_port_create(0, &h));
    return h;
}

zx_handle_t utest_vmo(uint64_t size) {
    zx_handle_t h;
    EXPECT_OK(zx_vmo_create(size, 0, &h));
    return h;
}

struct utest_pair utest_channel(void) {
    struct utest_pair pair;
    EXPECT_OK(zx_channel_create(0, &pair.a, &pair.b));
    return pair;
}

struct utest_pair utest_eventpair(void) {
    struct utest_pair pair;
    EXPECT_OK(zx_eventpair_create(0, &pair.a, &pair.b));
    return pair;
}

void utest_close_pair(struct utest_pair pair) {
    EXPECT_CLOSE(pair.a);
    EXPECT_CLOSE(pair.b);
}

zx_handle_t utest_with_rights(zx_handle_t handle, zx_rights_t rights) {
    zx_handle_t h;
    EXPECT_OK(zx_handle_duplicate(handle, rights, &h));
    return h;
}

zx_handle_t utest_without(zx_handle_t handle, zx_rights_t rights) {
    return utest_with_rights(handle, utest_basic(handle).rights & ~rights);
}

zx_handle_t utest_stale_handle(void) {
    zx_handle_t h = utest_event();
    EXPECT_CLOSE(h);
    return h;
}

zx_info_handle_basic_t utest_basic(zx_handle_t handle) {
    zx_info_handle_basic_t info;
    EXPECT_OK(
        zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr));
    return info;
}

zx_koid_t utest_koid(zx_handle_t handle) {
    return utest_basic(handle).koid;
}

zx_signals_t utest_signals(zx_handle_t handle, zx_signals_t mask) {
    zx_signals_t observed = 0;
    zx_status_t status = zx_object_wait_one(handle, mask, ZX_TIME_INFINITE_PAST, &observed);
    EXPECT(status == ZX_OK || status == ZX_ERR_TIMED_OUT);
    return observed & mask;
}

// Handles are taken from the runtime once and kept here.
zx_handle_t utest_startup_peek(uint32_t info) {
    static struct {
        uint32_t info;
        zx_handle_t handle;
    } kept[16];
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (kept[i].info == info) {
            return kept[i].handle;
        }
        if (kept[i].info == 0) {
            kept[i].info = info;
            kept[i].handle = zx_take_startup_handle(info);
            return kept[i].handle;
        }
    }
    FAIL("more startup handles than the harness keeps");
}

zx_time_t utest_after_ms(int64_t ms) {
    return zx_deadline_after(ms * 1000000);
}

void utest_sleep_ms(int64_t ms) {
    EXPECT_OK(zx_nanosleep(utest_after_ms(ms)));
}
