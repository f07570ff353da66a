// What init was given, and how it hands parts of that to programs: by the paragraphs of the
// services file and by nothing else.
//
// Immutable after start-up, so any thread may use it; what must happen on the loop is posted to it
// (supervisor_attach).
#pragma once

#include <init/services.h>
#include <launcher/launcher.h>
#include <zircon/syscalls/resource.h>
#include <zircon/types.h>

constexpr uint32_t GIVEN_HANDLES_MAX = 40;
constexpr uint32_t GIVEN_NAMES_MAX = 12;
constexpr uint32_t ENVIRON_MAX = 128;

struct authority {
    struct services services;
    zx_handle_t root_job;
    zx_handle_t programs; // the job of what is run by commands
    zx_handle_t boot_files;
    zx_handle_t bin;                       // a directory in them
    zx_handle_t mmio, irq, ioport, system; // resources, whole kinds
    zx_handle_t utc;                       // the clock, which nobody else sets
    struct launch_vdso vdso;
    const char* const* environ;
    uint32_t environ_count;
};

// What one program is given. The strings are those of init and of the services file.
struct given {
    struct launch_handle handles[GIVEN_HANDLES_MAX];
    uint32_t handle_count;
    const char* names[GIVEN_NAMES_MAX];
    uint32_t name_count;
    const char* environ[ENVIRON_MAX];
    uint32_t environ_count;
};

// Whether the kernel's command line has this word.
bool authority_has_word(const struct authority* a, const char* word);
// A resource for a part of what `system` allows; ZX_HANDLE_INVALID: there is none.
zx_handle_t authority_system_part(const struct authority* a, zx_rsrc_system_base_t base,
                                  const char* name);
// The job with the paragraph's policy; its name is the program's.
zx_status_t authority_make_job(const struct authority* a, uint32_t paragraph, zx_handle_t parent,
                               const char* name, zx_handle_t* job);
// Everything that the paragraph says. SERVICES_NONE: environment, clock and job only. What cannot
// be had (no memory, no such resource) is left out: the program finds out.
void authority_give(const struct authority* a, uint32_t paragraph, zx_handle_t job,
                    struct given* out);
void given_add(struct given* g, uint32_t info, zx_handle_t handle);
// Descriptors 0 to 2: an open of a terminal. The handles stay the caller's.
void given_add_terminal(struct given* g, zx_handle_t connection, zx_handle_t events);
