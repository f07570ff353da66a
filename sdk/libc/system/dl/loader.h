// Libraries that a loader service has (fuchsia.ldsvc/Loader).
//
// Whoever starts a program may give it such a service. Then a library without a slash in its name
// is looked for
//
//     in LD_LIBRARY_PATH and RUNPATH   what is named for this run, or by the file itself
//     with the loader service          what whoever started the program wants it to have
//     in /lib and /boot/lib            only if the service says that it has no such library
//
// so that what the starter decides is not undone by what happens to lie in the namespace, and so
// that a program needs no namespace to be linked. Any other answer of the service is the answer: a
// library of the same name from elsewhere might be another one.
#pragma once

#include <zircon/types.h>

// Once, at the start. Consumes the handle, which may be ZX_HANDLE_INVALID: there is none.
void dl_set_loader(zx_handle_t loader);

// For musl (dynlink.patch), which calls it with its lock held. A descriptor, or an errno negated;
// -ENOENT: look elsewhere. A service that has not answered within ten seconds, is not there any
// more, or gives an answer that makes no sense is not asked again: -ETIMEDOUT, -ECONNRESET, -EPROTO
// from then on.
int dl_open_library(const char* name);
