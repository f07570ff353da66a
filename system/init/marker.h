// The lines that init writes for tests (tests/README.md).
#pragma once

// One line in one call; whatever stdout holds comes before it.
[[gnu::format(printf, 1, 2)]] void mark(const char* format, ...);
