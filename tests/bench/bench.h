// What the rows of the benchmark are made of.
//
// Under -icount one virtual nanosecond is one executed instruction, so a difference of clock
// readings is a count. A figure is the median over rounds of many operations each, with the cost of
// the empty loop taken off.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// Prints one figure (tests/README.md, "[bench]").
void bench_report(const char* row, int64_t instructions);
// Whether the command line asks for this row (`bench ROW...`; none: all).
bool bench_wanted(const char* row);
// Measures and reports a wanted row.
void bench_row(const char* row, void (*operation)(void* arg), void* arg);
// Ends the program with a message if `status` is not OK: a figure of something that failed is worse
// than none.
void bench_check(zx_status_t status, const char* what);

constexpr size_t BENCH_ROUNDS = 11;
constexpr size_t BENCH_OPERATIONS = 64;

// Runs `operation` and returns the median cost of one.
int64_t bench_measure(void (*operation)(void* arg), void* arg);
int64_t bench_median(int64_t* figures, size_t count);

// A thread of this process with a stack of its own, joined by waiting for its handle and closing
// it.
zx_handle_t bench_thread(void (*entry)(uintptr_t arg), uintptr_t arg);
void bench_join(zx_handle_t thread);

// Starts this program again as `mode`, with one end of a new channel; returns the other. *process
// is the caller's.
zx_handle_t bench_partner(const char* mode, zx_handle_t* process);
// What such a partner does: `bench MODE`. False: no such mode.
bool bench_serve(const char* mode);

// The storm of switches: its exit code, and its partner.
int bench_storm(uint32_t rounds);
void storm_serve(zx_handle_t channel);

void bench_calls(void);
void bench_ipc(void);
void bench_threads(void);
void bench_memory(void);
void bench_processes(void);
