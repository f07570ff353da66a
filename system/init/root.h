// Where the namespace's "/" is a file system on a disk: whether it can be had.
//
// The loop only; what it has found out does not change any more, and is known before any other
// thread of init asks (root_is_boot_image).
#pragma once

#include <async/loop.h>

#include "authority.h"

// Calls `done` when the root answers, or when it has been waited for in vain and the boot image is
// in its place; at once if no service mounts "/", and for the rescue prompt.
void root_begin(const struct authority* a, struct async_loop* loop, void (*done)(void));
bool root_is_boot_image(void);
// The word of an environment as it is in that case: what names a place on the disk names another.
const char* root_environment(const char* word);
