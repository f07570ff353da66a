// The tools, each the main() of a program of its own name: one file has them all, because what they
// share is more than what each is.
#pragma once

#define TOOL(name) int name##_main(int argc, char** argv);
#include "tools.def"
#undef TOOL
