// The table of children and groups.
#include <spawn/children.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct children table;
static struct child child[4];
static struct child_group group[2];

// Children 10 and 11 in group 10, 12 in group 12, 13 in this process's own, 5.
static int setup(void**) {
    memset(&table, 0, sizeof(table));
    memset(child, 0, sizeof(child));
    memset(group, 0, sizeof(group));
    const int groups[] = {10, 10, 12, 5};
    group[0].id = 10;
    group[1].id = 12;
    children_add_group(&table, &group[0]);
    children_add_group(&table, &group[1]);
    for (int i = 0; i < 4; i++) {
        child[i].pid = 10 + i;
        child[i].group_id = groups[i];
        child[i].group = children_group(&table, groups[i]);
        children_add(&table, &child[i]);
    }
    return 0;
}

static int count(int pid) {
    struct child_filter filter = child_filter_of(pid, 5);
    int n = 0;
    for (struct child* c = children_next(&table, nullptr, &filter); c != nullptr;
         c = children_next(&table, c, &filter)) {
        n++;
    }
    return n;
}

static void who_is_meant(void**) {
    assert_int_equal(count(-1), 4);
    assert_int_equal(count(0), 1);
    assert_int_equal(count(-5), 1);
    assert_int_equal(count(-10), 2);
    assert_int_equal(count(-12), 1);
    assert_int_equal(count(-13), 0);
    assert_int_equal(count(12), 1);
    assert_int_equal(count(5), 0);
    assert_ptr_equal(children_find(&table, 13), &child[3]);
    assert_null(children_find(&table, 14));
}

static void a_group_goes_with_its_last_child(void**) {
    assert_null(children_group(&table, 5));
    assert_ptr_equal(children_group(&table, 10), &group[0]);
    assert_null(children_remove(&table, &child[0])); // the first one of the group
    assert_ptr_equal(children_group(&table, 10), &group[0]);
    assert_ptr_equal(children_remove(&table, &child[1]), &group[0]);
    assert_null(children_group(&table, 10));
    assert_null(children_remove(&table, &child[3]));
    assert_ptr_equal(children_remove(&table, &child[2]), &group[1]);
    assert_int_equal(count(-1), 0);
    assert_null(table.first);
    assert_null(table.groups);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_is_meant, setup),
        cmocka_unit_test_setup(a_group_goes_with_its_last_child, setup),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
