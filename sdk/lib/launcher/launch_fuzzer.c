// Any file, launched over the fake kernel three times: from a VMO, read by a callback, and read by
// one that fails. The first two make the same process or fail alike; nothing of a launch that
// failed is left; and the fake kernel ends the run if a call makes no sense (mappings that overlap
// or lie outside of what they map).
//
// Input: the mode; which read fails, and how; how much the callback gives at a time; the file.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <launcher/launcher.h>
#include <zircon/syscalls.h>

#include "fake_kernel.h"

constexpr size_t FILE_MAX = 6 * 4096;
constexpr size_t HEAD = 4;

struct file {
    const uint8_t* bytes;
    size_t len, at_most;
    uint32_t reads, failing;
    bool ends; // instead of an error
};

static int32_t read_some(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    struct file* f = ctx;
    *out_len = 0;
    if (f->reads++ >= f->failing) {
        return f->ends ? ZX_OK : ZX_ERR_IO_DATA_LOSS;
    }
    size_t left = offset < f->len ? f->len - (size_t)offset : 0;
    len = len < left ? len : left;
    // Headers, which are asked for by the kilobyte, come whole: there, less is the end of the file.
    *out_len = len > 1024 && len > f->at_most ? f->at_most : len;
    if (*out_len != 0) {
        memcpy(buffer, f->bytes + offset, *out_len);
    }
    return ZX_OK;
}

// What became of a launch: the result, the mappings, and a sum over what is in them.
struct outcome {
    struct launch_result result;
    uint64_t sum;
};

static uint64_t mix(uint64_t sum, uint64_t word) {
    return (sum ^ word) * 0x9e3779b97f4a7c15 + 1;
}

static uint64_t sum_of_process(void) {
    const struct fake_mapping* mappings;
    size_t count = fake_mappings(&mappings);
    uint64_t sum = mix(0, fake_started().entry);
    for (size_t i = 0; i < count; i++) {
        const struct fake_mapping* m = &mappings[i];
        sum = mix(mix(mix(sum, m->address), m->len), m->permissions);
        // All of what may come from the file; its zero pages are looked at in the unit tests.
        for (uint64_t at = 0; at < m->len && at < FILE_MAX; at += 512) {
            uint64_t words[64];
            if (!fake_read(m->address + at, words, sizeof(words))) {
                abort();
            }
            for (size_t j = 0; j < 64; j++) {
                sum = mix(sum, words[j]);
            }
        }
    }
    return sum;
}

static int handles_in_messages(void) {
    int count = 0;
    for (uint32_t i = 0; fake_message(i) != nullptr; i++) {
        count += (int)fake_message(i)->handle_count;
    }
    return count;
}

static struct outcome try(struct file* f, launch_mode_t mode, bool from_vmo) {
    static const uint8_t vdso_bytes[2 * 4096];
    fake_reset();
    struct launch_vdso vdso = {
        .vmo = fake_vmo(vdso_bytes, sizeof(vdso_bytes)), .code_offset = 4096, .code_len = 4096};
    struct launch_file file = {.read = read_some, .ctx = f, .len = f->len};
    if (from_vmo) {
        file.vmo = fake_vmo(f->bytes, f->len);
    }
    struct launch_request request = {
        .mode = mode, .job = fake_job(), .name = "fuzz", .file = file, .vdso = &vdso};
    int before = fake_live_handles();
    struct outcome o = {.result = launch(&request, nullptr)};
    bool good = o.result.error == LAUNCH_OK;
    if (fake_live_handles() - handles_in_messages() != before || fake_started().started != good ||
        fake_live_processes() != good || (o.result.status == ZX_OK) != good) {
        abort();
    }
    o.sum = good ? sum_of_process() : 0;
    return o;
}

// A program that is accepted: what the fuzzer makes up changes it. Six headers, of which two are
// nothing yet.
static void make_sound(uint8_t* file) {
    static const struct {
        uint8_t flags, page, bss;
    } loads[] = {{4, 0, 0}, {5, 1, 0}, {6, 2, 0x18}};
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    memcpy(file, ident, sizeof(ident));
    file[16] = 3;    // ET_DYN
    file[18] = 62;   // x86-64
    file[20] = 1;    // version
    file[25] = 0x10; // entry: the second page
    file[32] = 64;   // program headers
    file[52] = 64;   // size of this
    file[54] = 56;   // and of one of those
    file[56] = 6;    // how many
    for (size_t i = 0; i < 3; i++) {
        uint8_t* ph = file + 64 + 56 * i;
        ph[0] = 1; // PT_LOAD
        ph[4] = loads[i].flags;
        ph[9] = ph[17] = (uint8_t)(loads[i].page << 4);
        ph[32] = 0xf0; // a little less than a page in the file
        ph[33] = 0x0f;
        memcpy(ph + 40, ph + 32, 2);
        ph[41] = (uint8_t)(ph[41] + loads[i].bss);
        ph[49] = 0x10; // aligned to pages
    }
    for (size_t i = 64 + 6 * 56; i < FILE_MAX; i++) {
        file[i] = (uint8_t)(i * 7 + (i >> 8));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    static uint8_t bytes[FILE_MAX];
    if (len < HEAD) {
        return 0;
    }
    launch_mode_t mode = (data[0] & 1) != 0 ? LAUNCH_LINUX : LAUNCH_NATIVE;
    bool is_sound = (data[0] & 2) != 0;
    struct file f = {.bytes = bytes,
                     .at_most = 1 + (size_t)data[1] * 16,
                     .failing = UINT32_MAX,
                     .ends = (data[0] & 4) != 0};
    uint32_t failing = data[2];
    f.len = (size_t)(data[3] % 6 + 1) * 4096 - ((data[0] & 8) != 0 ? 100 : 0);
    memset(bytes, 0, sizeof(bytes));
    if (is_sound) {
        make_sound(bytes);
    }
    for (size_t i = 0; i < len - HEAD && i < f.len; i++) {
        bytes[i] ^= data[HEAD + i];
    }
    struct outcome mapped = try(&f, mode, true);
    f.reads = 0;
    struct outcome read = try(&f, mode, false);
    if (mapped.result.error != read.result.error || mapped.result.elf != read.result.elf ||
        mapped.sum != read.sum) {
        abort();
    }
    f.reads = 0;
    f.failing = failing;
    struct outcome failed = try(&f, mode, false);
    if (f.reads <= failing ? failed.sum != read.sum : failed.result.error == LAUNCH_OK) {
        abort();
    }
    return 0;
}
