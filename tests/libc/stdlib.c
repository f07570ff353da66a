// <stdlib.h>, <search.h> and their like: sorting, searching, arithmetic, environment, memory.
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>

#include "suite.h"

static int by_value(const void* a, const void* b) {
    int x = *(const int*)a;
    int y = *(const int*)b;
    return (x > y) - (x < y);
}

static void sorting(void) {
    begin_group("sort");
    static int values[2000];
    for (size_t n = 0; n < 2000; n = n * 3 / 2 + 1) {
        for (int kind = 0; kind < 4; kind++) {
            for (size_t i = 0; i < n; i++) {
                values[i] = kind == 0   ? (int)(next_random() % 1000)
                            : kind == 1 ? (int)i
                            : kind == 2 ? (int)(n - i)
                                        : (int)(i % 3);
            }
            qsort(values, n, sizeof(values[0]), by_value);
            uint64_t h = 0;
            for (size_t i = 0; i < n; i++) {
                h = h * 31 + (uint64_t)values[i];
            }
            int key = n > 0 ? values[n / 2] : 5;
            const int* found = bsearch(&key, values, n, sizeof(values[0]), by_value);
            begin_case();
            printf(" %zu %" PRIx64, n, h);
            show(found != NULL && *found == key);
            key = 1001;
            show(bsearch(&key, values, n, sizeof(values[0]), by_value) == NULL || n > 1001);
            end_case();
        }
    }
}

static void arithmetic(void) {
    begin_group("arithmetic");
    static const int values[] = {0, 1, -1, 7, -7, 100, -100, INT_MAX, INT_MIN + 1};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        for (size_t j = 1; j < sizeof(values) / sizeof(values[0]); j++) {
            begin_case();
            div_t d = div(values[i], values[j]);
            show(d.quot);
            show(d.rem);
            lldiv_t l = lldiv(values[i] * 1000LL, values[j]);
            show(l.quot);
            show(l.rem);
            show(labs(values[i]));
            end_case();
        }
    }
    begin_case();
    show(atoi(" 12x"));
    show(atol("-9"));
    show(atoll("99999999999"));
    printf(" %a", atof("2.5e3"));
    end_case();
}

static void environment(void) {
    begin_group("environment");
    begin_case();
    show(setenv("JX_SUITE", "one", 1));
    show_text(getenv("JX_SUITE"));
    show(setenv("JX_SUITE", "two", 0));
    show_text(getenv("JX_SUITE"));
    show(setenv("JX_SUITE", "three", 1));
    show_text(getenv("JX_SUITE"));
    show(unsetenv("JX_SUITE"));
    show_text(getenv("JX_SUITE"));
    show(setenv("BAD=NAME", "x", 1));
    show(errno == EINVAL);
    static char pair[] = "JX_PUT=put";
    show(putenv(pair));
    show_text(getenv("JX_PUT"));
    end_case();
}

static void memory(void) {
    begin_group("memory");
    for (size_t align = 8; align <= 65536; align *= 4) {
        begin_case();
        void* p = NULL;
        show(posix_memalign(&p, align, align * 3 + 1));
        show((uintptr_t)p % align == 0);
        free(p);
        p = aligned_alloc(align, align * 2);
        show((uintptr_t)p % align == 0 && p != NULL);
        free(p);
        end_case();
    }
    begin_case();
    unsigned char* p = calloc(1000, 33);
    int sum = 0;
    for (int i = 0; i < 33000; i++) {
        sum += p[i];
        p[i] = (unsigned char)i;
    }
    show(sum);
    p = realloc(p, 500000);
    for (int i = 0; i < 33000; i++) {
        sum += p[i] != (unsigned char)i;
    }
    show(sum);
    p = realloc(p, 10);
    show(p[9]);
    free(p);
    free(NULL);
    errno = 0;
    void* volatile much = malloc(PTRDIFF_MAX);
    show(much == NULL && errno == ENOMEM);
    much = calloc(SIZE_MAX / 2, 4);
    show(much == NULL);
    errno = 0;
    much = reallocarray(NULL, SIZE_MAX / 2, 4);
    show(much == NULL && errno == ENOMEM);
    end_case();
    // Many sizes at once, freed in another order; what is in them stays.
    static unsigned char* blocks[600];
    static size_t sizes[600];
    int bad = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 600; i++) {
            if (blocks[i] != NULL) {
                for (size_t k = 0; k < sizes[i]; k += 61) {
                    bad += blocks[i][k] != (unsigned char)(i + 1);
                }
                free(blocks[i]);
                blocks[i] = NULL;
            }
            if (next_random() % 3 != 0) {
                sizes[i] = next_random() % (next_random() % 50 == 0 ? 300000 : 600) + 1;
                blocks[i] = malloc(sizes[i]);
                memset(blocks[i], i + 1, sizes[i]);
            }
        }
    }
    begin_case();
    show(bad);
    end_case();
}

static void names(void) {
    static const char* const paths[] = {"/usr/lib", "/usr/", "usr",  "/",   ".",
                                        "..",       "",      "a//b", "a/b/"};
    begin_group("path");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char one[16];
        char two[16];
        strcpy(one, paths[i]);
        strcpy(two, paths[i]);
        begin_case();
        show_text(dirname(one));
        show_text(basename(two));
        end_case();
    }
    static const char* const patterns[] = {"*",   "a*",   "?b",  "[a-c]x", "[!a]*",
                                           "*.c", "\\*",  "a/*", "*/b",    "[[:digit:]]",
                                           "**b", "[]x]", "[a"};
    static const char* const texts[] = {"",    "a",  "ab", "bx", "file.c", "*",
                                        "a/b", ".c", "7",  "]",  "x",      "[a"};
    begin_group("fnmatch");
    for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
        begin_case();
        show_text(patterns[p]);
        for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
            show(fnmatch(patterns[p], texts[t], 0) != 0);
            show(fnmatch(patterns[p], texts[t], FNM_PATHNAME | FNM_PERIOD) != 0);
        }
        end_case();
    }
}

static void tables(void) {
    begin_group("table");
    begin_case();
    hcreate(100);
    static const char* const keys[] = {"one", "two", "three", "four"};
    for (size_t i = 0; i < 4; i++) {
        hsearch((ENTRY){(char*)keys[i], (void*)(uintptr_t)(i + 1)}, ENTER);
    }
    for (size_t i = 0; i < 4; i++) {
        const ENTRY* e = hsearch((ENTRY){(char*)keys[3 - i], NULL}, FIND);
        show(e != NULL ? (intmax_t)(uintptr_t)e->data : -1);
    }
    show(hsearch((ENTRY){(char*)"five", NULL}, FIND) == NULL);
    hdestroy();
    end_case();
    begin_case();
    void* root = NULL;
    static int numbers[] = {5, 2, 8, 1, 9, 3};
    for (size_t i = 0; i < 6; i++) {
        tsearch(&numbers[i], &root, by_value);
    }
    int key = 8;
    show(**(int**)tfind(&key, &root, by_value));
    tdelete(&key, &root, by_value);
    show(tfind(&key, &root, by_value) == NULL);
    end_case();
    begin_case();
    unsigned short seed[3] = {1, 2, 3};
    for (int i = 0; i < 5; i++) {
        show(nrand48(seed));
    }
    srand48(7);
    show(lrand48());
    printf(" %a", drand48());
    end_case();
    begin_case();
    char text[] = "name=value,flag,name";
    char* at = text;
    char* const options[] = {(char*)"name", (char*)"flag", NULL};
    for (char* value = NULL; *at != '\0'; value = NULL) {
        show(getsubopt(&at, options, &value));
        show_text(value);
    }
    end_case();
}

int main(void) {
    sorting();
    arithmetic();
    environment();
    memory();
    names();
    tables();
    return 0;
}
