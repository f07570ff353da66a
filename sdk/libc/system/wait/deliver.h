// What the signal module does for a thread that was interrupted.
#pragma once

#include <signal/signal.h>

// Weak here: a program that has no signals does without it.
[[gnu::weak]] signal_outcome_t signal_deliver(void);
