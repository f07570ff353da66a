// The bootstrap message: how a new process learns its arguments, environment and handles.
//
// It is the first message on the channel whose handle is the entry point's first argument. The
// header gives offsets from the start of the message; the handle table holds one 32-bit PA_HND
// entry per handle sent along, in the same order; strings are NUL-terminated and packed one after
// the other. A reader must treat all of it as untrusted: offsets, counts and terminators are the
// sender's word.
#pragma once

#include <stdint.h>
#include <zircon/compiler.h>

__BEGIN_CDECLS

#define ZX_PROCARGS_PROTOCOL ((uint32_t)0x4150585du)
#define ZX_PROCARGS_VERSION  ((uint32_t)0x00001000u)

typedef struct zx_proc_args {
    uint32_t protocol;
    uint32_t version;
    uint32_t handle_info_off;
    uint32_t args_off;
    uint32_t args_num;
    uint32_t environ_off;
    uint32_t environ_num;
    uint32_t names_off; // strings that PA_NS_DIR entries refer to by index
    uint32_t names_num;
} zx_proc_args_t;
ZX_ABI_SIZE(zx_proc_args_t, 36);
ZX_ABI_OFFSET(zx_proc_args_t, handle_info_off, 8);
ZX_ABI_OFFSET(zx_proc_args_t, names_num, 32);

// One entry of the handle table: what the handle is (8 bits) and an argument (16 bits).
#define PA_HND(type, arg) (((type) & 0xFF) | (((arg) & 0xFFFF) << 16))
#define PA_HND_TYPE(n)    ((n) & 0xFF)
#define PA_HND_ARG(n)     (((n) >> 16) & 0xFFFF)

// The process itself.
#define PA_PROC_SELF   0x01u
#define PA_THREAD_SELF 0x02u // its first thread
#define PA_JOB_DEFAULT 0x03u // where it may create processes
#define PA_VMAR_ROOT   0x04u
#define PA_VMAR_LOADED 0x05u // the region its image lies in

// Loading.
#define PA_LDSVC_LOADER         0x10u // loader service
#define PA_VMO_VDSO             0x11u
#define PA_VMO_STACK            0x13u // the first stack; its size is the stack's
#define PA_VMO_EXECUTABLE       0x14u
#define PA_VMO_BOOTDATA         0x1Au // the boot image (userboot)
#define PA_VMO_BOOTFS           0x1Bu
#define PA_VMO_KERNEL_FILE      0x1Cu
#define PA_VMO_COMPONENT_CONFIG 0x1Du

#define PA_NS_DIR              0x20u // directory mounted at name[arg]
#define PA_FD                  0x30u // file descriptor arg
#define PA_LIFECYCLE           0x3Au
#define PA_DIRECTORY_REQUEST   0x3Bu // server end of the outgoing directory
#define PA_ESCROWED_DICTIONARY 0x3Cu
#define PA_LOG_SINK            0x3Du
#define PA_RESOURCE            0x3Fu
#define PA_CLOCK_UTC           0x40u
// Ours: for whoever is given no such clock, UTC was this, in seconds, when the machine started
// (2026-01-01), so that all count alike.
#define PA_CLOCK_UTC_AT_BOOT 1767225600

// Resources, one per kind.
#define PA_MMIO_RESOURCE   0x50u
#define PA_IRQ_RESOURCE    0x51u
#define PA_IOPORT_RESOURCE 0x52u
#define PA_SMC_RESOURCE    0x53u
#define PA_SYSTEM_RESOURCE 0x54u

// For a protocol between one program and its one starter.
#define PA_USER0 0xF0u
#define PA_USER1 0xF1u
#define PA_USER2 0xF2u

__END_CDECLS
