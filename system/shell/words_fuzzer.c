// Any command line: its words lie one behind the other in the result's text, each terminated, and
// nothing is read beyond the line or written beyond the text.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <shell/words.h>

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    char* line = malloc(len + 1); // of just this size: a byte too far is seen
    memcpy(line, data, len);
    line[len] = '\0';
    struct shell_words* words = malloc(sizeof(*words));
    memset(words, 0xa5, sizeof(*words));
    shell_words_error_t error = shell_words_split(line, words);
    (void)shell_words_are_for_a_shell(line);
    require(shell_words_error_text(error) != nullptr);
    require(words->count <= shell_words_max);
    require(error != SHELL_WORDS_OK || words->word[words->count] == nullptr);
    const char* next = words->text;
    const char* end = words->text + sizeof(words->text);
    for (uint32_t i = 0; i < words->count; i++) {
        require(words->word[i] == next);
        size_t length = strnlen(next, (size_t)(end - next));
        require(length < (size_t)(end - next) && length <= strlen(line));
        next += length + 1;
    }
    free(words);
    free(line);
    return 0;
}
