// From the headers of an ELF64 file to a plan that a mapper can execute.
//
// The file is reached only through a read callback; nothing of it is kept but what stands in
// `struct elf_plan`, nothing is allocated, and the work is bounded by fixed limits, whatever the
// file says and however large it is. Every field is checked before it is used and every refusal
// has a name (elf_error_text). A plan that comes back with ELF_OK guarantees:
//   - segments ascend, are page aligned, do not share a page and lie in [base, base + span_len);
//   - file pages lie in the file (its last page may be partly beyond the end and reads as zero);
//   - no addition on its numbers can overflow;
//   - the entry point (if required) lies in an executable segment; dynamic section, TLS image,
//     RELRO and program headers lie in segments.
//
// Two sets of rules exist. Native: ET_DYN only, no segment writable and executable, no executable
// stack. Linux: ET_EXEC as well, and those two are reported instead of refused, for the caller's
// policy to decide. The interpreter of a program is planned by a second call on its own file.
//
// What the mapper does with a segment: map `file_len` bytes of the file's pages from `file_offset`
// (directly, or through a copy-on-write child when `copy` says so), zero the bytes from
// `zero_from` to the end of the last of these pages, map `anon_len` bytes of fresh zero pages
// behind it. Addresses are link-time: add (mapped start - base), a multiple of `align`. Gaps
// between segments stay unmapped, but belong to the image: reserve the whole span.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <elf/error.h>

constexpr uint64_t elf_page_len = 4096;
constexpr uint32_t elf_header_count_max = 64;  // program headers in a file
constexpr uint32_t elf_segment_count_max = 32; // PT_LOADs among them
constexpr uint32_t elf_interp_len_max = 255;   // without the NUL
constexpr uint64_t elf_align_max = 1ull << 30;

typedef enum elf_machine : uint16_t {
    ELF_MACHINE_X86_64 = 62,
    ELF_MACHINE_AARCH64 = 183,
    ELF_MACHINE_RISCV = 243,
} elf_machine_t;

// Reads up to len bytes at offset; *out_len is less only at the end of the file. A value other than
// 0 is the caller's own status and comes back in elf_plan.io_status.
typedef int32_t (*elf_read_fn)(void* ctx, uint64_t offset, void* buffer, size_t len,
                               size_t* out_len);

struct elf_file {
    elf_read_fn read;
    void* ctx;
    uint64_t len;
};

struct elf_rules {
    elf_machine_t machine;
    bool allow_fixed;      // ET_EXEC
    bool allow_write_exec; // segments with W and X
    bool allow_exec_stack;
    bool require_entry;   // false for libraries
    uint64_t address_min; // lowest address for ET_EXEC
    uint64_t address_end; // end of user addresses; also the longest span
};

struct elf_rules elf_rules_native(elf_machine_t machine, uint64_t address_end);
struct elf_rules elf_rules_linux(elf_machine_t machine, uint64_t address_min, uint64_t address_end);

typedef enum elf_permission : uint8_t { // the values of p_flags
    ELF_EXECUTE = 1,
    ELF_WRITE = 2,
    ELF_READ = 4,
} elf_permission_t;

struct elf_segment {
    uint64_t vaddr;       // page aligned
    uint64_t file_offset; // page aligned; 0 if file_len is 0
    uint64_t file_len;    // bytes of file pages, a multiple of the page
    uint64_t anon_len;    // bytes of zero pages behind them
    uint32_t zero_from;   // in the last file page: zero from this byte on; 0: leave it as it is
    uint8_t permissions;  // elf_permission_t bits
    bool copy;            // file pages need a private copy: writable, or a tail to zero
};

struct elf_range {
    uint64_t vaddr;
    uint64_t len; // 0: not there
};

struct elf_plan {
    uint64_t base;     // link-time start of the span, a multiple of align
    uint64_t span_len; // from base to the end of the last segment, whole pages
    uint64_t align;    // power of two, at least a page
    uint64_t entry;    // link-time address; 0 if there is none and none is required
    bool fixed;        // ET_EXEC: must be mapped at base
    bool write_exec;   // some segment is W and X
    bool exec_stack;
    bool has_tls;
    uint16_t header_count;
    uint32_t segment_count;
    uint64_t stack_len;     // PT_GNU_STACK's size; 0: no wish
    uint64_t headers_vaddr; // where the program headers are in memory; 0: nowhere
    struct elf_range dynamic;
    struct elf_range relro; // whole pages to make read-only after relocation
    struct elf_range tls;   // the initial image: file part only
    uint64_t tls_len;       // the block's whole length
    uint64_t tls_align;
    uint32_t interp_len;   // 0: no interpreter
    int32_t io_status;     // what the read callback returned with ELF_READ_FAILED
    uint32_t error_header; // index of the program header an error is about, if it is about one
    char interp[elf_interp_len_max + 1];                // up to its NUL
    struct elf_segment segments[elf_segment_count_max]; // the first segment_count
};

// Fills *plan. On an error only io_status and error_header mean anything.
elf_error_t elf_plan_make(const struct elf_file* file, const struct elf_rules* rules,
                          struct elf_plan* plan);
