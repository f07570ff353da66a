// Four threads count under one mutex; a condition variable tells main that they are done.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 10000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long count;   // under lock
static int finished; // under lock

// Each thread has one of its own.
static _Thread_local long own_count;

static void* count_up(void* argument) {
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        count++;
        pthread_mutex_unlock(&lock);
        own_count++;
    }
    pthread_mutex_lock(&lock);
    finished++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    *(long*)argument = own_count;
    return argument;
}

int main(void) {
    pthread_t threads[THREADS];
    long own[THREADS];
    for (int i = 0; i < THREADS; i++) {
        int error = pthread_create(&threads[i], NULL, count_up, &own[i]);
        if (error != 0) {
            fprintf(stderr, "threads: %s\n", strerror(error));
            return 1;
        }
    }
    pthread_mutex_lock(&lock);
    while (finished < THREADS) {
        pthread_cond_wait(&changed, &lock);
    }
    printf("together: %ld\n", count);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++) {
        void* result;
        pthread_join(threads[i], &result);
        printf("thread %d: %ld\n", i, *(long*)result);
    }
    return count == (long)THREADS * ROUNDS ? 0 : 1;
}
