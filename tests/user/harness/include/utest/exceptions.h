// Exceptions in cases: listening, catching, letting go.
#pragma once

#include <utest/utest.h>

#include <zircon/syscalls/debug.h>
#include <zircon/syscalls/exception.h>

struct utest_exception {
    zx_handle_t handle;
    zx_exception_info_t info;
};

static inline zx_handle_t utest_listen(zx_handle_t task, uint32_t options) {
    zx_handle_t channel;
    EXPECT_OK(zx_task_create_exception_channel(task, options, &channel));
    return channel;
}

// The next exception (10 s), which must be of this type.
static inline struct utest_exception utest_catch(zx_handle_t channel, zx_excp_type_t type) {
    struct utest_exception e;
    uint32_t bytes;
    uint32_t handles;
    EXPECT_OK(zx_object_wait_one(channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_channel_read(channel, 0, &e.info, &e.handle, sizeof(e.info), 1, &bytes, &handles));
    EXPECT_EQ(bytes, sizeof(e.info));
    EXPECT_EQ(handles, 1);
    EXPECT_EQ(e.info.type, type);
    return e;
}

// Closes it, with this ZX_EXCEPTION_STATE_*.
static inline void utest_let_go(struct utest_exception* e, uint32_t state) {
    EXPECT_OK(zx_object_set_property(e->handle, ZX_PROP_EXCEPTION_STATE, &state, sizeof(state)));
    EXPECT_CLOSE(e->handle);
}

static inline zx_handle_t utest_thread_of(const struct utest_exception* e) {
    zx_handle_t thread;
    EXPECT_OK(zx_exception_get_thread(e->handle, &thread));
    return thread;
}

static inline zx_thread_state_general_regs_t utest_registers(zx_handle_t thread) {
    zx_thread_state_general_regs_t r;
    EXPECT_OK(zx_thread_read_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r)));
    return r;
}

static inline void utest_set_registers(zx_handle_t thread,
                                       const zx_thread_state_general_regs_t* r) {
    EXPECT_OK(zx_thread_write_state(thread, ZX_THREAD_STATE_GENERAL_REGS, r, sizeof(*r)));
}

// Moves the thread over the instruction that it could not execute.
static inline void utest_skip_instruction(const struct utest_exception* e, uint32_t length) {
    zx_handle_t thread = utest_thread_of(e);
    zx_thread_state_general_regs_t r = utest_registers(thread);
    r.rip += length;
    utest_set_registers(thread, &r);
    EXPECT_CLOSE(thread);
}

static inline zx_info_thread_t utest_thread_info(zx_handle_t thread) {
    zx_info_thread_t info;
    EXPECT_OK(zx_object_get_info(thread, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr));
    return info;
}
