// Between the harness's own files.
#pragma once

#define UTEST_CHILD_FLAG "--child"

constexpr int UTEST_NO_SUCH_CHILD = 125;

// Maps what the bad pointers point to.
void utest_pointers_prepare(void);
// Whether the caller is a thread of utest_thread_start().
bool utest_thread_is_helper(void);
// A check failed in some thread of the case.
bool utest_failed(void);
[[noreturn]] void utest_leave_failed(void);
