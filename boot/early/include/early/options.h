#pragma once

// Does the last word `name=...` of the command line read `name=value`? Words are separated by
// blanks.
bool option_is(const char* cmdline, const char* name, const char* value);
