// Words (PA_HND) under which programs of the system are given what the bootstrap message has no
// word for.
#pragma once

#include <zircon/processargs.h>

#define GRANTED_ROOT_JOB   PA_HND(PA_USER0, 0)
#define GRANTED_EXCEPTIONS PA_HND(PA_USER0, 1) // the exception channel of a job

// A part of the system resource comes under PA_SYSTEM_RESOURCE and its base
// (ZX_RSRC_SYSTEM_*_BASE), the whole under PA_SYSTEM_RESOURCE and 0.
