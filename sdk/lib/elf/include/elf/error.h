// Why an ELF file was refused. Every value has a name for programs (elf_error_name, stable) and a
// sentence for people (elf_error_text).
#pragma once

#include <stdint.h>

// X(name, sentence)
#define ELF_ERRORS(X)                                                                          \
    X(OK, "no error")                                                                          \
    X(READ_FAILED, "the file could not be read")                                               \
    X(TRUNCATED, "the file ends inside its headers")                                           \
    X(BAD_MAGIC, "not an ELF file")                                                            \
    X(BAD_CLASS, "not a 64-bit ELF file")                                                      \
    X(BAD_BYTE_ORDER, "not a little-endian ELF file")                                          \
    X(BAD_VERSION, "unknown ELF version")                                                      \
    X(BAD_HEADER_SIZE, "ELF header sizes are not those of ELF64")                              \
    X(BAD_MACHINE, "the program is for another processor")                                     \
    X(BAD_TYPE, "not an executable or shared object")                                          \
    X(FIXED_ADDRESS, "fixed-address (ET_EXEC) programs are not accepted")                      \
    X(NO_HEADERS, "the file has no program headers")                                           \
    X(TOO_MANY_HEADERS, "the file has too many program headers")                               \
    X(HEADERS_OUTSIDE_FILE, "the program headers lie outside the file")                        \
    X(NO_SEGMENTS, "nothing to load")                                                          \
    X(TOO_MANY_SEGMENTS, "the file has too many segments to load")                             \
    X(DUPLICATE_HEADER, "a program header that may occur once occurs twice")                   \
    X(SEGMENT_ALIGNMENT, "a segment's alignment is not a power of two or is too large")        \
    X(SEGMENT_MISALIGNED, "a segment's address and file offset disagree modulo the page size") \
    X(SEGMENT_FILE_SIZE, "a segment is larger in the file than in memory")                     \
    X(SEGMENT_OUTSIDE_FILE, "a segment lies outside the file")                                 \
    X(SEGMENT_ADDRESS, "a segment lies outside the address range for programs")                \
    X(SEGMENT_ORDER, "segments are not in ascending order")                                    \
    X(SEGMENT_OVERLAP, "segments overlap")                                                     \
    X(SEGMENT_SHARED_PAGE, "two segments share a page of memory")                              \
    X(SEGMENT_WRITE_EXEC, "a segment is both writable and executable")                         \
    X(EXEC_STACK, "the program asks for an executable stack")                                  \
    X(ENTRY_OUTSIDE, "the entry point is not in an executable segment")                        \
    X(BAD_INTERP, "the interpreter's path is empty, too long or malformed")                    \
    X(BAD_DYNAMIC, "the dynamic section is misaligned or not in a segment")                    \
    X(BAD_TLS, "the thread-local segment is malformed or not in a segment")                    \
    X(BAD_RELRO, "the read-only-after-relocation range is not in a writable segment")          \
    X(BAD_PHDR, "the program headers' own segment is not where they are")

typedef enum [[nodiscard("says why the file was refused")]] elf_error : uint8_t {
#define ELF_ERROR_VALUE(name, text) ELF_##name,
    ELF_ERRORS(ELF_ERROR_VALUE)
#undef ELF_ERROR_VALUE
        ELF_ERROR_COUNT,
} elf_error_t;

const char* elf_error_name(elf_error_t error); // "BAD_MAGIC"
const char* elf_error_text(elf_error_t error); // "not an ELF file"
