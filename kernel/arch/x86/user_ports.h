// IN and OUT of user mode, made by the kernel.
#pragma once

struct arch_user_frame;

// A general protection fault with error code 0, interrupts on. True: it was an IN or OUT to ports
// that the process was granted; it is done, and the frame stands behind it.
bool x86_user_port_instruction(struct arch_user_frame* frame);
