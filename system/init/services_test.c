#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <init/services.h>
#include <zircon/syscalls/resource.h>

static struct services s;
static struct services_error error;
static char text[SERVICES_TEXT_MAX + 2];

static bool read_text(const char* source) {
    size_t len = strlen(source);
    assert_true(len <= SERVICES_TEXT_MAX);
    memcpy(text, source, len);
    memset(&error, 0, sizeof(error));
    return services_read(&s, text, len, &error);
}

static void good(const char* source) {
    if (!read_text(source)) {
        fail_msg("line %u: %s", error.line, error.text);
    }
}

static void bad(const char* source, uint32_t line, const char* message) {
    assert_false(read_text(source));
    assert_string_equal(error.text, message);
    assert_int_equal(error.line, line);
}

// ---- the file of the system ----

static const char system_file[] = {
#embed "../etc/services"
    , '\0'};

static void test_the_file_of_the_system(void**) {
    good(system_file);
    uint32_t shell = services_find(&s, "shell");
    assert_int_not_equal(shell, SERVICES_NONE);
    assert_null(s.paragraphs[shell].words[SERVICES_RESOURCE]);
    assert_null(s.paragraphs[shell].words[SERVICES_TASKS]);
    assert_true(s.rule_count > 0);
    uint32_t test = services_for_program(&s, "test/channel");
    assert_true(services_has(&s.paragraphs[test], SERVICES_RESOURCE, "mmio"));
    uint32_t hello = services_for_program(&s, "bin/hello");
    assert_null(s.paragraphs[hello].words[SERVICES_RESOURCE]);
}

// The rules that protect what matters most must be there, and must bite.
static void test_the_file_refuses_hardware_for_the_shell(void**) {
    char* changed = malloc(sizeof(system_file) + 100);
    assert_non_null(changed);
    const char* at = strstr(system_file, "service shell\n");
    assert_non_null(at);
    at += strlen("service shell\n");
    (void)snprintf(changed, sizeof(system_file) + 100, "%.*s  resource ioport\n%s",
                   (int)(at - system_file), system_file, at);
    assert_false(read_text(changed));
    assert_non_null(strstr(error.text, "'never shell resource:*', but line"));
    free(changed);
}

// What the operator's shell may do is no service's.
static void test_the_file_keeps_the_tools_from_services(void**) {
    static const char* const wrong[][2] = {
        {"service crash\n", "  uses jacinth.system.Power\n"},
        {"service resolver\n", "  uses jacinth.system.Tasks\n"},
        {"service tasks\n", "  resource system/debug\n"},
        {"service shell\n", "  tasks programs\n"},
        {"programs *\n", "  uses jacinth.system.Kernel\n"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t size = sizeof(system_file) + 100;
        char* changed = malloc(size);
        assert_non_null(changed);
        const char* at = strstr(system_file, wrong[i][0]);
        assert_non_null(at);
        at += strlen(wrong[i][0]);
        (void)snprintf(changed, size, "%.*s%s%s", (int)(at - system_file), system_file, wrong[i][1],
                       at);
        assert_false(read_text(changed));
        assert_non_null(strstr(error.text, "'never "));
        free(changed);
    }
}

static void test_prompts(void**) {
    good("service a\n program p\n fallback init:prompt\n"
         "service b\n program init:prompt\n"
         "service c\n program p\n at-end power-off\n"
         "service d\n program p\n");
    assert_true(services_is_prompt(&s.paragraphs[0]));
    assert_true(services_is_prompt(&s.paragraphs[1]));
    assert_true(services_is_prompt(&s.paragraphs[2]));
    assert_false(services_is_prompt(&s.paragraphs[3]));
    bad("service a\n program p\n fallback q\n", 3, "'fallback' is no 'q'; there is: init:prompt");
    bad("programs bin/*\n fallback init:prompt\n", 2,
        "'fallback' is for services, not for programs");
}

// ---- reading ----

static void test_words(void**) {
    good("# nothing\n"
         "\r\n"
         "service a   # a comment\r\n"
         "  program \"/boot/svc/a b\" --x \"\" c#d\n"
         "\tenvironment A=1 \"B=x y\"\n"
         "  environment C=\n"
         "service b\n"
         "  program /boot/b");
    assert_int_equal(s.paragraph_count, 2);
    const struct services_word* w = s.paragraphs[0].words[SERVICES_PROGRAM];
    assert_string_equal(w->text, "/boot/svc/a b");
    assert_string_equal(w->next->text, "--x");
    assert_string_equal(w->next->next->text, "");
    assert_string_equal(w->next->next->next->text, "c#d");
    assert_null(w->next->next->next->next);
    w = s.paragraphs[0].words[SERVICES_ENVIRONMENT];
    assert_string_equal(w->next->text, "B=x y");
    assert_string_equal(w->next->next->text, "C=");
    assert_int_equal(w->next->next->line, 6);
}

static void test_an_empty_file(void**) {
    good("");
    good("\n\n# only this");
    assert_int_equal(s.paragraph_count, 0);
}

static void test_what_is_wrong_is_said_with_its_line(void**) {
    bad("program /boot/a\n", 1, "'program' stands before the first paragraph");
    bad("service\n", 1, "'service' wants one name");
    bad("service a b\n", 1, "'service' wants one name");
    bad("service \"\"\n", 1, "a name is 1 to 63 letters, digits and signs");
    bad("service \"a b\"\n", 1, "a name is 1 to 63 letters, digits and signs");
    bad("service a\n", 1, "service 'a' has no program");
    bad("service a\n program p\n\nservice a\n program p\n", 4,
        "a second 'a' (the first is in line 1)");
    bad("service a\n program p\n program q\n", 3, "a second 'program' (the first is in line 2)");
    bad("service a\n progam p\n", 2, "unknown word 'progam' (did you mean 'program'?)");
    bad("servce a\n", 1, "unknown word 'servce' (did you mean 'service'?)");
    bad("service a\n quux p\n", 2, "unknown word 'quux'");
    bad("service a\n program \"p\n", 2, "a quotation mark is not closed");
    bad("service a\n program \"p\"q\n", 2, "no blank after \"p\"");
    bad("service a\n program p\n offers\n", 3, "'offers' of what?");
    bad("service a\n program p\n restart sometimes\n", 3,
        "'restart' is no 'sometimes'; there is: always on-failure never");
    bad("service a\n program p\n restart on\n", 3,
        "'restart' is no 'on'; there is: always on-failure never");
    bad("service a\n program p\n start at-boot on-demand\n", 3,
        "'start' wants one word of: at-boot on-demand");
    bad("programs bin/*\n offers x\n", 2, "'offers' is for services, not for programs");
    bad("service a\n program p\n environment A\n", 3, "'A' is not NAME=VALUE");
    bad("service a\n program p\n environment =A\n", 3, "'=A' is not NAME=VALUE");
    bad("never a\n", 1, "'never' wants two words: who, and what");
    bad("never a b c\n", 1, "'never' wants two words: who, and what");
}

static void test_a_zero_byte(void**) {
    memcpy(text, "\nservice a\0b\n", 13);
    assert_false(services_read(&s, text, 13, &error));
    assert_int_equal(error.line, 2);
    assert_string_equal(error.text, "not text: it contains a zero byte");
}

static void test_names_must_exist(void**) {
    bad("service a\n program p\n needs b\n", 3, "'needs b': there is no such service");
    bad("service a\n program p\n uses x.Y\n", 3, "'uses x.Y': no service offers it");
    bad("service a\n program p\n sees /tmp\n", 3, "'sees /tmp': no service mounts it");
    bad("service a\n program p\n reaches console\n", 3, "'reaches console': no service serves it");
    bad("service a\n program p\n sees tmp\n", 3, "'tmp' is no prefix: /NAME is");
    bad("service a\n program p\n sees /tmp/\n", 3, "'/tmp/' is no prefix: /NAME is");
    bad("service a\n program p\n offers x/y\n", 3, "'x/y' is no name");
    good("service a\n program p\n offers x.Y\n mounts /tmp\n devices console\n"
         "programs *\n uses x.Y jacinth.system.Services\n sees /tmp /boot /svc\n"
         " reaches console null\n terminal console\n");
    good("service a\n program p\n mounts / /tmp\nprograms *\n sees / /tmp\n");
    assert_int_equal(services_server(&s, SERVICES_MOUNTS, "/"), 0);
    assert_string_equal(services_entry_of("/"), "@root");
    assert_string_equal(services_entry_of("/a/b"), "a/b");
    good("service a\n program p\n offers x.Y\n mounts /tmp\n devices console\n"
         "programs *\n uses x.Y jacinth.system.Services\n sees /tmp /boot /svc\n"
         " reaches console null\n terminal console\n");
    assert_int_equal(services_server(&s, SERVICES_OFFERS, "x.Y"), 0);
    assert_int_equal(services_server(&s, SERVICES_OFFERS, "x.Z"), SERVICES_NONE);
}

static void test_one_server_for_each_name(void**) {
    bad("service a\n program p\n offers x\nservice b\n program p\n offers x\n", 6,
        "'x': 'a' offers it already");
    bad("service a\n program p\n mounts /boot\n", 3, "'/boot' is init's own");
    bad("service a\n program p\n devices null\n", 3, "'null' is init's own");
}

// ---- order ----

static void test_order(void**) {
    good("service c\n program p\n needs b a\n"
         "service b\n program p\n needs a\n"
         "programs x\n"
         "service a\n program p\n");
    uint32_t order[SERVICES_PARAGRAPHS_MAX];
    assert_int_equal(services_order(&s, order), 3);
    assert_int_equal(order[0], 3);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 0);
    bad("service a\n program p\n needs b\nservice b\n program p\n needs a\n", 3,
        "'a' needs 'b', which needs it in turn");
    bad("service a\n program p\n needs a\n", 3, "'a' needs 'a', which needs it in turn");
}

// ---- rules ----

static void test_rules(void**) {
    bad("service a\n program p\n resource ioport/0x60+5\nnever a resource:*\n", 4,
        "'never a resource:*', but line 3 gives 'resource:ioport/0x60+5' to a");
    bad("programs bin/x\n tasks root\nnever bin/* tasks:root\n", 3,
        "'never bin/* tasks:root', but line 2 gives 'tasks:root' to bin/x");
    bad("programs bin/x*\n tasks root\nnever bin/xyz tasks:*\n", 3,
        "'never bin/xyz tasks:*', but line 2 gives 'tasks:root' to bin/x*");
    good("programs bin/a\nprograms bin/*\n tasks root\nnever bin/a tasks:*\n");
    bad("never nobody *\n", 1,
        "a rule about 'nobody': there is no such service, and no such programs");
}

static void test_rules_through_services(void**) {
    static const char file[] = "service disk\n program p\n offers d\n resource mmio\n"
                               "service files\n program p\n uses d\n mounts /data\n"
                               "service web\n program p\n sees /data\n";
    char all[500];
    (void)snprintf(all, sizeof(all), "%snever web resource:*\n", file);
    good(all);
    (void)snprintf(all, sizeof(all), "%snever-through web resource:*\n", file);
    bad(all, 12, "'never-through web resource:*', but web reaches 'resource:mmio' by disk");
}

static void test_patterns(void**) {
    assert_true(services_fits("*", ""));
    assert_true(services_fits("a*c", "abbc"));
    assert_true(services_fits("*b*c*", "abcbd"
                                       "c"));
    assert_false(services_fits("a*c", "abbcd"));
    assert_false(services_fits("", "a"));
    assert_false(services_fits("ab", "a"));
    assert_true(services_fits("a**", "a"));
}

// ---- resources ----

static void test_resources(void**) {
    struct services_resource r;
    assert_true(services_parse_resource("ioport/0x60+5", &r));
    assert_int_equal(r.kind, ZX_RSRC_KIND_IOPORT);
    assert_false(r.whole);
    assert_int_equal(r.base, 0x60);
    assert_int_equal(r.size, 5);
    assert_true(services_parse_resource("irq/1", &r));
    assert_int_equal(r.size, 1);
    assert_true(services_parse_resource("system/debug", &r));
    assert_int_equal(r.base, ZX_RSRC_SYSTEM_DEBUG_BASE);
    assert_true(services_parse_resource("framebuffer", &r));
    assert_true(r.screen);
    assert_true(services_parse_resource("mmio", &r));
    assert_true(r.whole);
    assert_true(services_parse_resource("mmio/0xffffffffffffffff+1", &r));
    static const char* const wrong[] = {"",
                                        "disk",
                                        "mmio/",
                                        "mmio/x",
                                        "mmio/1+",
                                        "mmio/1x",
                                        "mmio/1+0",
                                        "irqs",
                                        "system/",
                                        "system/x",
                                        "irq/-1",
                                        "irq/1+2+3",
                                        "ioport/0x",
                                        "mmio/0xffffffffffffffff+2",
                                        "mmio/0x10000000000000000",
                                        "mmio/18446744073709551616"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(services_parse_resource(wrong[i], &r));
    }
}

// ---- limits ----

static void test_limits(void**) {
    size_t at = 0;
    for (uint32_t i = 0; i <= SERVICES_PARAGRAPHS_MAX; i++) {
        at += (size_t)sprintf(text + at, "programs p%u\n", i);
    }
    assert_false(services_read(&s, text, at, &error));
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "more than %u paragraphs", SERVICES_PARAGRAPHS_MAX);
    assert_string_equal(error.text, expected);
    at = (size_t)sprintf(text, "service a\n program");
    for (uint32_t i = 0; i <= SERVICES_WORDS_MAX; i++) {
        at += (size_t)sprintf(text + at, " x");
    }
    assert_false(services_read(&s, text, at, &error));
    assert_string_equal(error.text, "more than 1024 words");
    for (at = 0; at < SERVICES_RULES_MAX * 10;) {
        at += (size_t)sprintf(text + at, "never a b\n");
    }
    at += (size_t)sprintf(text + at, "never a b\n");
    assert_false(services_read(&s, text, at, &error));
    assert_string_equal(error.text, "more than 64 rules");
    memset(text, ' ', SERVICES_TEXT_MAX + 1);
    assert_true(services_read(&s, text, SERVICES_TEXT_MAX, &error));
    memset(text, ' ', SERVICES_TEXT_MAX + 1);
    assert_false(services_read(&s, text, SERVICES_TEXT_MAX + 1, &error));
}

// ---- the graph ----

static char drawn[1 << 17];

static void collect(void*, const char* part) {
    assert_true(strlen(drawn) + strlen(part) < sizeof(drawn));
    strcat(drawn, part);
}

static const char graph_file[] = "service disk\n program p\n offers d\n resource mmio\n"
                                 "service files\n program p\n uses d\n mounts /data\n"
                                 "programs bin/\"<x>\n sees /data /boot\n";

static void test_dot(void**) {
    good(graph_file);
    drawn[0] = '\0';
    services_write_dot(&s, collect, nullptr);
    assert_string_equal(drawn, "digraph authority {\n"
                               "  rankdir=LR;\n"
                               "  node [shape=box];\n"
                               "  p0 [label=\"disk\"];\n"
                               "  p1 [label=\"files\"];\n"
                               "  p2 [label=\"bin/\\\"<x>\", style=rounded];\n"
                               "  t0 [label=\"resource mmio\", shape=ellipse];\n"
                               "  p0 -> t0;\n"
                               "  p1 -> p0 [label=\"d\"];\n"
                               "  p2 -> p1 [label=\"/data\"];\n"
                               "}\n");
}

static void test_svg(void**) {
    good(graph_file);
    drawn[0] = '\0';
    services_write_svg(&s, collect, nullptr);
    assert_non_null(strstr(drawn, "<svg "));
    assert_non_null(strstr(drawn, ">bin/&quot;&lt;x&gt;</text>"));
    assert_non_null(strstr(drawn, ">resource mmio</text>"));
    assert_non_null(strstr(drawn, "<title>namespace:/data</title>"));
    assert_null(strstr(drawn, "/boot"));
    assert_string_equal(drawn + strlen(drawn) - 7, "</svg>\n");
}

static void test_graphs_of_circles_end(void**) {
    good("service a\n program p\n offers x\n uses y\nservice b\n program p\n offers y\n uses x\n");
    drawn[0] = '\0';
    services_write_svg(&s, collect, nullptr);
    assert_non_null(strstr(drawn, "<title>service:x</title>"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_file_of_the_system),
        cmocka_unit_test(test_the_file_refuses_hardware_for_the_shell),
        cmocka_unit_test(test_the_file_keeps_the_tools_from_services),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_an_empty_file),
        cmocka_unit_test(test_what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(test_a_zero_byte),
        cmocka_unit_test(test_names_must_exist),
        cmocka_unit_test(test_one_server_for_each_name),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_rules_through_services),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_svg),
        cmocka_unit_test(test_graphs_of_circles_end),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
