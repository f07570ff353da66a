// What gdb asks, and the answers.
#pragma once

#include <gdbserver/rsp.h>

#include "target.h"

struct session {
    struct target target;
    struct rsp_reply reply;
    zx_koid_t thread; // that registers are asked of (Hg); 0: the one that stopped it
    size_t list_at;   // how far the list of threads has been told
    uint64_t image;   // where the program's image begins
    uint32_t register_count;
    bool was_attached;
    bool no_ack;  // gdb trusts the line
    bool is_over; // killed, or let go
};

enum outcome : uint8_t { OUTCOME_REPLY, OUTCOME_GOES };
// `reply` is what to send, or with OUTCOME_GOES nothing until the program stands.
enum outcome command_run(struct session* s, const char* packet, size_t len);
// Why it stands, or how it ended.
void command_report_stop(struct session* s);
