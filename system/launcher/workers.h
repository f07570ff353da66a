// Threads for what may wait: launches read files and ask loader services that belong to clients.
#pragma once

#include <async/loop.h>
#include <launchsvc/server.h>

// `finished` is called on the loop's thread, with each work that has run.
zx_status_t workers_init(struct async_loop* loop, void (*finished)(struct launchsvc_work* work));
// From the loop's thread. NO_RESOURCES: too many are under way.
zx_status_t workers_run(struct launchsvc_work* work);
