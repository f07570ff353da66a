// vfork() without a fork: one thread plays the child until it execs or exits.
//
// vfork() notes the caller's registers and return address, gives the thread a copy of the process's
// view (descriptors, directory, umask, actions, group) and returns 0. All operations of the thread
// act on the copy. exec() starts a new process as the copy says, and _exit() makes up a child that
// has ended; both give the thread its view and its mask back, and return from vfork() a second
// time. An exec() that fails returns, and the thread is the child still. Other threads run on and
// see the old view. A child may vfork, too.
//
// The child must not return from the function that called vfork(), as everywhere: the frame to
// which vfork() returns would be gone. Where that can be seen (the stack ends above the frame) the
// process ends by a trap instead of running on with a wrong stack.
#pragma once

// Weak where it is asked: a program without vfork has no such child.
// Whether the calling thread is a child that has not execed.
[[gnu::weak]] bool vfork_is_child(void);
// The child's end: a status as waitpid() answers it.
[[noreturn]] [[gnu::weak]] void vfork_end(int status);
