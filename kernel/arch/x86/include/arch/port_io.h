// x86-64 I/O ports, for the few platform drivers that live in the kernel (console, PM timer,
// power).
#pragma once

#include <stdint.h>

#include <lib/compiler.h>

constexpr uint32_t PORT_COUNT = 1u << 16;

// What the kernel drives itself is never granted to user mode. Claims are made while the kernel
// initialises, on one CPU, and stay.
void arch_ports_claim(uint16_t first, uint32_t count);
bool arch_ports_claimed(uint16_t first, uint32_t count); // one of them is

ALWAYS_INLINE uint8_t port_in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

ALWAYS_INLINE uint16_t port_in16(uint16_t port) {
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

ALWAYS_INLINE uint32_t port_in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

ALWAYS_INLINE void port_out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

ALWAYS_INLINE void port_out16(uint16_t port, uint16_t value) {
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

ALWAYS_INLINE void port_out32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
