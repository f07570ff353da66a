// What the compiler expects of a C++ library when there are no exceptions and no run-time types:
// memory, and the places where the language can only give up.
//
// operator new that finds no memory ends the program, since it cannot throw; the std::nothrow forms
// return null. Static variables in functions are initialised once, whoever comes second waits on a
// futex (Itanium C++ ABI, section 3.3.2).
#include <stdint.h>
#include <stdlib.h>

#include <new>

#include <zircon/syscalls.h>

namespace std {
const nothrow_t nothrow{};
}

namespace {

void* allocate(size_t size) {
    return malloc(size != 0 ? size : 1);
}

void* allocate(size_t size, std::align_val_t alignment) {
    size_t align = static_cast<size_t>(alignment);
    size = (size + align - 1) & ~(align - 1);
    return aligned_alloc(align, size != 0 ? size : align);
}

void* or_end(void* p) {
    if (p == nullptr) {
        abort();
    }
    return p;
}

} // namespace

void* operator new(size_t size) {
    return or_end(allocate(size));
}
void* operator new[](size_t size) {
    return or_end(allocate(size));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void* operator new(size_t size, std::align_val_t alignment) {
    return or_end(allocate(size, alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
    return or_end(allocate(size, alignment));
}
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(size, alignment);
}
void* operator new[](size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate(size, alignment);
}

void operator delete(void* p) noexcept {
    free(p);
}
void operator delete[](void* p) noexcept {
    free(p);
}
void operator delete(void* p, size_t) noexcept {
    free(p);
}
void operator delete[](void* p, size_t) noexcept {
    free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
    free(p);
}
void operator delete[](void* p, std::align_val_t) noexcept {
    free(p);
}
void operator delete(void* p, size_t, std::align_val_t) noexcept {
    free(p);
}
void operator delete[](void* p, size_t, std::align_val_t) noexcept {
    free(p);
}

extern "C" {

void __cxa_pure_virtual();
void __cxa_deleted_virtual();
int __cxa_guard_acquire(int32_t* guard);
void __cxa_guard_release(int32_t* guard);
void __cxa_guard_abort(int32_t* guard);

// A virtual function was called on an object whose constructor or destructor runs.
void __cxa_pure_virtual() {
    abort();
}
void __cxa_deleted_virtual() {
    abort();
}

// The compiler looks at the first byte: 1 = initialised. The second word is ours.
constexpr int32_t guard_free = 0;
constexpr int32_t guard_taken = 1;
constexpr int32_t guard_waited_for = 2;

int __cxa_guard_acquire(int32_t* guard) {
    int32_t* state = guard + 1;
    for (;;) {
        if (__atomic_load_n(reinterpret_cast<uint8_t*>(guard), __ATOMIC_ACQUIRE) != 0) {
            return 0;
        }
        int32_t seen = guard_free;
        if (__atomic_compare_exchange_n(state, &seen, guard_taken, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            // Whoever held it may have finished in between.
            if (__atomic_load_n(reinterpret_cast<uint8_t*>(guard), __ATOMIC_ACQUIRE) == 0) {
                return 1;
            }
            __cxa_guard_abort(guard);
            return 0;
        }
        if (seen == guard_taken && !__atomic_compare_exchange_n(state, &seen, guard_waited_for,
                                                                false, __ATOMIC_RELAXED,
                                                                __ATOMIC_RELAXED)) {
            continue;
        }
        (void)zx_futex_wait(state, guard_waited_for, ZX_HANDLE_INVALID, ZX_TIME_INFINITE);
    }
}

void __cxa_guard_release(int32_t* guard) {
    __atomic_store_n(reinterpret_cast<uint8_t*>(guard), 1, __ATOMIC_RELEASE);
    __cxa_guard_abort(guard);
}

void __cxa_guard_abort(int32_t* guard) {
    int32_t* state = guard + 1;
    if (__atomic_exchange_n(state, guard_free, __ATOMIC_RELEASE) == guard_waited_for) {
        (void)zx_futex_wake(state, UINT32_MAX);
    }
}

} // extern "C"
