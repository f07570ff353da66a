// What the shared libraries of the tests offer. Both are made of the same source.
#pragma once

#pragma GCC visibility push(default)
extern int shared_counter;
int shared_add(int value);
int shared_is_constructed(void);
int shared_next_of_thread(void); // counts from 5 in each thread
int shared_print(char* out, unsigned long size, const char* text);
int shared_call(int (*function)(void)); // what it returns, and 1
void* shared_allocate(unsigned long size);
#pragma GCC visibility pop
