// /dev and /svc as a program sees them, and what init itself offers there: jacinth.system.Services
// and jacinth.system.Power. On init's loop.
#pragma once

#include <async/loop.h>

#include "authority.h"
#include "supervisor.h"

void views_init(const struct authority* a, struct async_loop* loop);
// What no service serves. The channel is gone whatever the outcome.
void views_attach(supervisor_attach_t what, uint32_t paragraph, const char* name,
                  zx_handle_t channel);
// Ends the machine; returns only if that fails.
void views_power_off(void);
