// The promises of <elf/plan.h>, checked one by one in 128-bit arithmetic, independent of the
// planner.
#include "plan_check.h"

#define REQUIRE(condition)     \
    do {                       \
        if (!(condition)) {    \
            return #condition; \
        }                      \
    } while (0)

typedef unsigned __int128 wide_t;

static bool segments_hold(const struct elf_plan* plan, uint64_t vaddr, uint64_t len,
                          uint8_t permissions) {
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        const struct elf_segment* s = &plan->segments[i];
        if (vaddr >= s->vaddr &&
            (wide_t)vaddr + len <= (wide_t)s->vaddr + s->file_len + s->anon_len) {
            return (s->permissions & permissions) == permissions;
        }
    }
    return false;
}

static const char* segment_violation(const struct elf_segment* s, const struct elf_rules* rules,
                                     uint64_t file_len) {
    wide_t end = (wide_t)s->vaddr + s->file_len + s->anon_len;
    wide_t file_pages_len = ((wide_t)file_len + elf_page_len - 1) / elf_page_len * elf_page_len;
    REQUIRE(s->vaddr % elf_page_len == 0);
    REQUIRE(s->file_offset % elf_page_len == 0);
    REQUIRE(s->file_len % elf_page_len == 0);
    REQUIRE(s->anon_len % elf_page_len == 0);
    REQUIRE(s->file_len + s->anon_len > 0);
    REQUIRE(end <= rules->address_end);
    REQUIRE((wide_t)s->file_offset + s->file_len <= file_pages_len);
    REQUIRE((wide_t)s->file_offset + s->file_len <= UINT64_MAX);
    REQUIRE(s->zero_from < elf_page_len);
    REQUIRE(s->zero_from == 0 || s->file_len > 0);
    REQUIRE(s->zero_from == 0 || s->copy);
    REQUIRE((s->permissions & ELF_WRITE) == 0 || s->copy || s->file_len == 0);
    REQUIRE((s->permissions & ~7) == 0);
    if (!rules->allow_write_exec) {
        REQUIRE((s->permissions & (ELF_WRITE | ELF_EXECUTE)) != (ELF_WRITE | ELF_EXECUTE));
    }
    return nullptr;
}

static const char* single_violation(const struct elf_plan* plan, const struct elf_rules* rules) {
    if (plan->entry != 0 || rules->require_entry) {
        REQUIRE(segments_hold(plan, plan->entry, 1, ELF_EXECUTE));
    }
    if (plan->dynamic.len != 0) {
        REQUIRE(segments_hold(plan, plan->dynamic.vaddr, plan->dynamic.len, 0));
        REQUIRE(plan->dynamic.vaddr % 8 == 0);
    }
    if (plan->relro.len != 0) {
        REQUIRE(segments_hold(plan, plan->relro.vaddr, plan->relro.len, ELF_WRITE));
        REQUIRE(plan->relro.vaddr % elf_page_len == 0 && plan->relro.len % elf_page_len == 0);
    }
    if (plan->has_tls) {
        REQUIRE(plan->tls.len <= plan->tls_len);
        REQUIRE(plan->tls.len == 0 || segments_hold(plan, plan->tls.vaddr, plan->tls.len, 0));
        REQUIRE(plan->tls_align != 0 && (plan->tls_align & (plan->tls_align - 1)) == 0);
    }
    if (plan->headers_vaddr != 0) {
        REQUIRE(segments_hold(plan, plan->headers_vaddr, plan->header_count * 56u, 0));
    }
    REQUIRE(plan->interp_len <= elf_interp_len_max);
    for (uint32_t i = 0; i <= plan->interp_len; i++) {
        REQUIRE((plan->interp[i] == '\0') == (i == plan->interp_len));
    }
    REQUIRE(rules->allow_exec_stack || !plan->exec_stack);
    return nullptr;
}

const char* plan_violation(const struct elf_plan* plan, const struct elf_rules* rules,
                           uint64_t file_len) {
    REQUIRE(plan->segment_count > 0 && plan->segment_count <= elf_segment_count_max);
    REQUIRE(plan->align >= elf_page_len && (plan->align & (plan->align - 1)) == 0);
    REQUIRE(plan->base % plan->align == 0);
    REQUIRE(!plan->fixed || (rules->allow_fixed && plan->base >= rules->address_min / 4096 * 4096));
    wide_t at = plan->base;
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        const struct elf_segment* s = &plan->segments[i];
        REQUIRE(s->vaddr >= at);
        const char* violation = segment_violation(s, rules, file_len);
        if (violation != nullptr) {
            return violation;
        }
        at = (wide_t)s->vaddr + s->file_len + s->anon_len;
    }
    REQUIRE(at == (wide_t)plan->base + plan->span_len);
    return single_violation(plan, rules);
}
