#include <shell/words.h>

const char* shell_words_error_text(shell_words_error_t error) {
    switch (error) {
    case SHELL_WORDS_OK:
        return "no error";
    case SHELL_WORDS_UNTERMINATED:
        return "a quote is not closed";
    case SHELL_WORDS_TOO_MANY:
        return "too many words";
    case SHELL_WORDS_TOO_LONG:
        return "the line is too long";
    }
    return "unknown error";
}

static bool is_blank(char ch) {
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

static bool is_operator(char ch) {
    static constexpr char operators[] = "|&;<>$`*";
    for (size_t i = 0; i < sizeof(operators) - 1; i++) {
        if (ch == operators[i]) {
            return true;
        }
    }
    return false;
}

bool shell_words_are_for_a_shell(const char* line) {
    char quote = '\0';
    for (const char* at = line; *at != '\0'; at++) {
        if (*at == '\\' && quote != '\'') {
            if (*++at == '\0') {
                break;
            }
        } else if (quote != '\0') {
            quote = *at == quote ? '\0' : quote;
        } else if (*at == '\'' || *at == '"') {
            quote = *at;
        } else if (*at == '#' && (at == line || is_blank(at[-1]))) {
            break;
        } else if (is_operator(*at)) {
            return true;
        }
    }
    return false;
}

struct splitter {
    const char* at;
    struct shell_words* out;
    size_t used;
};

static shell_words_error_t put(struct splitter* s, char ch) {
    if (s->used == sizeof(s->out->text)) {
        return SHELL_WORDS_TOO_LONG;
    }
    s->out->text[s->used++] = ch;
    return SHELL_WORDS_OK;
}

// From the character after the opening quote to the one after the closing.
static shell_words_error_t take_quoted(struct splitter* s, char quote) {
    for (; *s->at != quote; s->at++) {
        bool escaped = quote == '"' && *s->at == '\\' && (s->at[1] == '"' || s->at[1] == '\\');
        s->at += escaped;
        if (*s->at == '\0') {
            return SHELL_WORDS_UNTERMINATED;
        }
        shell_words_error_t error = put(s, *s->at);
        if (error != SHELL_WORDS_OK) {
            return error;
        }
    }
    s->at++;
    return SHELL_WORDS_OK;
}

static shell_words_error_t take_word(struct splitter* s) {
    while (*s->at != '\0' && !is_blank(*s->at)) {
        char ch = *s->at++;
        shell_words_error_t error;
        if (ch == '\'' || ch == '"') {
            error = take_quoted(s, ch);
        } else if (ch == '\\' && *s->at == '\0') {
            error = SHELL_WORDS_UNTERMINATED;
        } else {
            error = put(s, ch == '\\' ? *s->at++ : ch);
        }
        if (error != SHELL_WORDS_OK) {
            return error;
        }
    }
    return put(s, '\0');
}

shell_words_error_t shell_words_split(const char* line, struct shell_words* out) {
    struct splitter s = {.at = line, .out = out};
    out->count = 0;
    out->word[0] = nullptr;
    for (;;) {
        while (is_blank(*s.at)) {
            s.at++;
        }
        if (*s.at == '\0' || *s.at == '#') {
            return SHELL_WORDS_OK;
        }
        if (out->count == shell_words_max) {
            return SHELL_WORDS_TOO_MANY;
        }
        out->word[out->count] = out->text + s.used;
        shell_words_error_t error = take_word(&s);
        if (error != SHELL_WORDS_OK) {
            return error;
        }
        out->word[++out->count] = nullptr;
    }
}
