// Who the process is, and what the machine is called.
//
// There are no users: authority is in handles. So every process has the ids 0 and may set them to
// what they are; anything else is EPERM.
#include <string.h>

#include <zircon/syscalls.h>

#include <libc/operations.h>

long sys_uname(struct abi_utsname* out) {
    *out = (struct abi_utsname){
        .sysname = "Jacinth", .nodename = "jacinth", .machine = "x86_64", .domainname = "(none)"};
    zx_string_view_t version = zx_system_get_version_string();
    size_t len = version.length;
    len = len < sizeof(out->version) - 1 ? len : sizeof(out->version) - 1;
    memcpy(out->version, version.c_str, len);
    // The release is the first word of the version.
    for (size_t i = 0; i < len && out->version[i] != ' '; i++) {
        out->release[i] = out->version[i];
    }
    return 0;
}

long sys_sethostname(const char*, size_t) {
    return -ABI_EPERM;
}

long sys_getuid(void) {
    return 0;
}

long sys_geteuid(void) {
    return 0;
}

long sys_getgid(void) {
    return 0;
}

long sys_getegid(void) {
    return 0;
}

static long give_ids(uint32_t* real, uint32_t* effective, uint32_t* saved) {
    *real = 0;
    *effective = 0;
    *saved = 0;
    return 0;
}

long sys_getresuid(uint32_t* real, uint32_t* effective, uint32_t* saved) {
    return give_ids(real, effective, saved);
}

long sys_getresgid(uint32_t* real, uint32_t* effective, uint32_t* saved) {
    return give_ids(real, effective, saved);
}

long sys_getgroups(int, uint32_t*) {
    return 0;
}

// UINT32_MAX leaves an id as it is.
static bool is_own(unsigned id) {
    return id == 0 || id == UINT32_MAX;
}

static long take_ids(unsigned a, unsigned b, unsigned c) {
    return is_own(a) && is_own(b) && is_own(c) ? 0 : -ABI_EPERM;
}

long sys_setuid(unsigned id) {
    return take_ids(id, 0, 0);
}

long sys_setgid(unsigned id) {
    return take_ids(id, 0, 0);
}

long sys_setresuid(unsigned real, unsigned effective, unsigned saved) {
    return take_ids(real, effective, saved);
}

long sys_setresgid(unsigned real, unsigned effective, unsigned saved) {
    return take_ids(real, effective, saved);
}

long sys_setreuid(unsigned real, unsigned effective) {
    return take_ids(real, effective, 0);
}

long sys_setregid(unsigned real, unsigned effective) {
    return take_ids(real, effective, 0);
}

long sys_setgroups(size_t count, const uint32_t* list) {
    for (size_t i = 0; i < count; i++) {
        if (list[i] != 0) {
            return -ABI_EPERM;
        }
    }
    return 0;
}
