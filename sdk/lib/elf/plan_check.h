// For tests: is a plan that was accepted one that a mapper can execute blindly?
#pragma once

#include <elf/plan.h>

// Null if everything that <elf/plan.h> promises holds, else what does not.
const char* plan_violation(const struct elf_plan* plan, const struct elf_rules* rules,
                           uint64_t file_len);
