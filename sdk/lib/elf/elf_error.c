// Names and sentences of the errors, straight from the one list.
#include <elf/error.h>

#define ELF_ERROR_CASE_NAME(name, text) \
    case ELF_##name:                    \
        return #name;
#define ELF_ERROR_CASE_TEXT(name, text) \
    case ELF_##name:                    \
        return text;

const char* elf_error_name(elf_error_t error) {
    switch (error) {
        ELF_ERRORS(ELF_ERROR_CASE_NAME)
    case ELF_ERROR_COUNT:
        break;
    }
    return "UNKNOWN";
}

const char* elf_error_text(elf_error_t error) {
    switch (error) {
        ELF_ERRORS(ELF_ERROR_CASE_TEXT)
    case ELF_ERROR_COUNT:
        break;
    }
    return "unknown error";
}
