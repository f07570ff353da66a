// The rows of the benchmark that measure the C library: what allocation, formatting and threads
// cost a program. Reported like the other rows (bench.h), by a program with the library in it.
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>

enum { ROUNDS = 11, OPERATIONS = 64, BLOCKS = 1024 };

static char** wanted; // null: all rows

static int is_wanted(const char* row) {
    int found = wanted == NULL;
    for (char** w = wanted; w != NULL && *w != NULL; w++) {
        found = found || strcmp(*w, row) == 0;
    }
    return found;
}

static int by_value(const void* a, const void* b) {
    int64_t x = *(const int64_t*)a;
    int64_t y = *(const int64_t*)b;
    return (x > y) - (x < y);
}

static int64_t once(void (*operation)(void)) {
    zx_time_t begin = zx_clock_get_monotonic();
    for (int i = 0; i < OPERATIONS; i++) {
        operation();
    }
    return zx_clock_get_monotonic() - begin;
}

static void nothing(void) {
    __asm__ volatile("");
}

// Instructions of one operation: the median of several rounds, less the loop.
static void row(const char* key, void (*operation)(void)) {
    if (!is_wanted(key)) {
        return;
    }
    int64_t full[ROUNDS];
    int64_t empty[ROUNDS];
    operation();
    for (int i = 0; i < ROUNDS; i++) {
        empty[i] = once(nothing);
        full[i] = once(operation);
    }
    qsort(full, ROUNDS, sizeof(full[0]), by_value);
    qsort(empty, ROUNDS, sizeof(empty[0]), by_value);
    char line[96];
    int len = snprintf(line, sizeof(line), "\x1e[bench] %s %" PRId64 "\n", key,
                       (full[ROUNDS / 2] - empty[ROUNDS / 2]) / OPERATIONS);
    (void)zx_debug_write(line, (size_t)len);
}

static void* volatile kept;

static void allocate_one(void) {
    kept = malloc(64);
    free(kept);
}

// A program with a thousand blocks of all sizes, of which each operation renews one.
static void* blocks[BLOCKS];
static uint32_t random_state = 1;

static uint32_t next_random(void) {
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static void renew_one(void) {
    uint32_t which = next_random() % BLOCKS;
    free(blocks[which]);
    blocks[which] = malloc(next_random() % 16 == 0 ? 4000 : next_random() % 500 + 1);
}

static char text[256];

static void format_integers(void) {
    (void)snprintf(text, sizeof(text), "%s: %d of %u (%#x)", "name", -12345, 67890u, 0xabcdu);
}

static void format_double(void) {
    (void)snprintf(text, sizeof(text), "%.6g", 3.14159265358979);
}

static void lock_and_unlock(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
}

static void* come_back(void* argument) {
    return argument;
}

static void thread_and_join(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, come_back, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        fprintf(stderr, "bench: no thread\n");
        exit(1);
    }
}

int main(int argc, char** argv) {
    wanted = argc > 1 ? argv + 1 : NULL;
    for (int i = 0; i < 20 * BLOCKS; i++) {
        renew_one();
    }
    row("34", allocate_one);
    row("34b", renew_one);
    row("35", format_integers);
    row("35b", format_double);
    row("36", lock_and_unlock);
    row("37", thread_and_join);
    return 0;
}
