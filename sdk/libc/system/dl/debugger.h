// What a debugger is told, as Zircon's programs tell it.
#pragma once

// `list`: <link.h>'s struct r_debug, complete: the program and its libraries are mapped and
// relocated, and nothing of them has run. The address becomes ZX_PROP_PROCESS_DEBUG_ADDR; a
// debugger that has set ZX_PROCESS_DEBUG_ADDR_BREAK_ON_SET there before gets a breakpoint
// exception.
void dl_tell_debugger(const void* list);
