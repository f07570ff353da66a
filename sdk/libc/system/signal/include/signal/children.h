// What the spawn module tells the signal module, if that is in the program.
#pragma once

// SIGCHLD is ignored, or its action has SA_NOCLDWAIT: children leave nothing behind.
[[gnu::weak]] bool signal_children_unwanted(void);
// A child has ended that was never a process: SIGCHLD.
[[gnu::weak]] void signal_child_ended(int pid, int status);
// A child was stopped by this signal, 0: it goes on. SIGCHLD, unless its action does not want it.
[[gnu::weak]] void signal_child_stopped(int pid, int signal);
// Whoever starts programs has job control, so this one is not weak. A child-to-be may have put
// itself in front of a terminal under its provisional pid; it has its own now.
void signal_foreground_rename(int provisional, int pid);
