// What the heap needs from the machine: this CPU's number with interrupts off, and locks. The
// host's version is for tests.
#pragma once

#ifdef JX_HOST
#include "heap_port_host.h"
#else
#include "heap_port_kernel.h"
#endif
