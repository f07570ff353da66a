"""Tests of what is generated, where a golden shows too much to see the point."""

import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from syscallgen import emit_docs, emit_kernel, emit_tables, emit_user, emit_vdso  # noqa: E402
from syscallgen.main import files  # noqa: E402
from syscallgen.parser import parse  # noqa: E402

HERE = Path(__file__).resolve().parent
DEFS = HERE.parent.parent / "syscall" / "defs"
SAMPLE = parse(DEFS / "types.def", [HERE / "testdata" / "sample.def"])
REAL = parse(DEFS / "types.def", [p for p in DEFS.glob("*.def") if p.name != "types.def"])


def body(text: str, name: str) -> str:
    """The wrapper of a call."""
    start = text.index(f"syscall_wrap_{name}(")
    return text[start:text.index("\n}\n", start)]


class WrapperTest(unittest.TestCase):
    """Order and completeness of the checks."""

    def setUp(self) -> None:
        self.text = emit_kernel.wrappers(SAMPLE)

    def test_policy_comes_after_handles_and_before_copies(self) -> None:
        text = body(emit_kernel.wrappers(REAL), "profile_create")
        steps = ["syscall_resource_get", "policy_check", "arch_copy_from_user",
                 "sys_profile_create", "user_out_handle_give"]
        places = [text.index(step) for step in steps]
        self.assertEqual(places, sorted(places))

    def test_all_values_are_copied_before_any_handle_is_published(self) -> None:
        text = body(self.text, "sample_create")
        self.assertLess(text.rindex("user_out_handle_copy"), text.index("user_out_handle_publish"))

    def test_consumed_handles_are_guarded_before_the_first_look_up(self) -> None:
        for name in ("sample_send", "sample_send_etc", "sample_call"):
            text = body(self.text, name)
            self.assertLess(text.index("SYSCALL_CONSUMED"), text.index("syscall_handle_find"), name)
            self.assertLess(text.index("consumed.count = 0"), text.index(f"= sys_{name}("), name)

    def test_every_failure_after_success_is_undone(self) -> None:
        text = body(self.text, "sample_map")
        self.assertEqual(text.count("sys_sample_map_undo"), 1)
        self.assertEqual(body(emit_kernel.wrappers(REAL), "vmar_allocate").count("_undo("), 2)

    def test_copied_structures_are_not_cleared_first(self) -> None:
        for line in emit_kernel.wrappers(REAL).splitlines():
            if re.match(r" +zx_\w+_t \w+;", line):
                self.fail(f"a copy target without UNINITIALIZED: {line}")

    def test_the_table_holds_every_number(self) -> None:
        text = emit_kernel.wrappers(REAL)
        for call in REAL.numbered:
            self.assertIn(f"    [ZX_SYS_{call.name}] = syscall_wrap_{call.name},", text)


class StubTest(unittest.TestCase):
    """The vDSO's assembly."""

    def test_one_instruction_for_each_number(self) -> None:
        text = emit_vdso.stubs(REAL)
        self.assertEqual(text.count("    syscall\n"), len(REAL.numbered))
        for call in REAL.numbered:
            self.assertEqual(len(re.findall(rf"^syscall_return_{call.name}:$", text, re.M)), 1)

    def test_only_blocking_calls_retry(self) -> None:
        text = emit_vdso.stubs(REAL)
        blocking = [c for c in REAL.numbered if "blocking" in c.flags]
        self.assertEqual(text.count("cmp $-6, %eax"), len(blocking))

    def test_a_resumed_call_moves_its_arguments(self) -> None:
        text = emit_vdso.stubs(SAMPLE)
        part = text[text.index("zx_sample_call:"):]
        self.assertIn("    mov %rsi, %rdi\n    mov %rdx, %rsi\n    mov %r10, %rdx\n3:", part)
        self.assertIn("    or $256, %esi\n    jmp 1b", text)


class UserTest(unittest.TestCase):
    """What programs and people read."""

    def test_internal_calls_are_not_public(self) -> None:
        self.assertNotIn("via_kernel", emit_user.header(REAL))
        self.assertNotIn("via_kernel", "".join(emit_docs.page(g) for g in REAL.groups))

    def test_noreturn_and_const_reach_the_compiler(self) -> None:
        text = emit_user.header(SAMPLE)
        self.assertIn("extern __NO_RETURN __LEAF_FN void zx_sample_exit(int64_t code);", text)
        self.assertIn("extern __CONST __LEAF_FN zx_ticks_t zx_sample_ticks(void);", text)

    def test_pages_name_every_right_that_is_checked(self) -> None:
        page = emit_docs.page(SAMPLE.groups[0])
        for text in ("`channel` with `ZX_RIGHT_READ`, `ZX_RIGHT_WRITE`",
                     "options with `ZX_VM_PERM_WRITE`: `region` also needs `ZX_RIGHT_WRITE`",
                     "topic `2`, `3`: `handle` is `process` with `ZX_RIGHT_INSPECT`",
                     "`ZX_POL_NEW_CHANNEL`"):
            self.assertIn(text, page)

    def test_matrix_has_a_row_for_each_case_and_flag(self) -> None:
        text = emit_tables.matrix(SAMPLE)
        self.assertEqual(len(re.findall(r"^ROW\(sample_topic,", text, re.M)), 4)
        self.assertEqual(len(re.findall(r"^ROW\(sample_map, 0,", text, re.M)), 3)
        self.assertIn("ROW(sample_map, 0, (uint64_t)1 << ZX_OBJ_TYPE_VMAR, ZX_RIGHT_EXECUTE, 1, "
                      "ZX_VM_PERM_EXECUTE)", text)

    def test_output_does_not_depend_on_the_order_of_the_files(self) -> None:
        paths = sorted(p for p in DEFS.glob("*.def") if p.name != "types.def")
        again = parse(DEFS / "types.def", list(reversed(paths)))
        self.assertEqual(files(REAL), files(again))


if __name__ == "__main__":
    unittest.main()
