"""Tests of what is generated, where a golden shows too much to see the point."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fidlgen import names  # noqa: E402
from fidlgen.main import files  # noqa: E402
from fidlgen.model import Universe  # noqa: E402
from fidlgen.resolve import resolve  # noqa: E402
from fidlgen.syntax import parse  # noqa: E402


def generated(text: str) -> tuple[str, str]:
    """(header, source)"""
    universe = Universe()
    library = resolve(universe, [parse("t.fidl", "library a.b; using zx;" + text)])
    out = files(universe, library)
    return out["include/fidl/a.b.h"], out["a.b.c"]


class HeaderTest(unittest.TestCase):
    def test_structures_come_after_what_they_contain(self) -> None:
        header, _ = generated("type A = struct { b array<B, 2>; }; type B = struct { x uint8; };")
        self.assertLess(header.index("struct a_b_b {"), header.index("struct a_b_a {"))

    def test_layout_is_asserted(self) -> None:
        header, _ = generated("type A = struct { x uint8; y uint64; };")
        self.assertIn("static_assert(sizeof(struct a_b_a) == 16);", header)
        self.assertIn("static_assert(offsetof(struct a_b_a, y) == 8);", header)

    def test_words_of_c_are_no_members(self) -> None:
        header, _ = generated("type A = struct { default uint8; };")
        self.assertIn("uint8_t default_;", header)

    def test_constants(self) -> None:
        header, _ = generated('const A int64 = -5; const B string = "x"; const C bool = true;')
        self.assertIn("constexpr int64_t A_B_A = -5ll;", header)
        self.assertIn('#define A_B_B "x"', header)
        self.assertIn("constexpr bool A_B_C = true;", header)

    def test_lines_fit(self) -> None:
        header, _ = generated("closed protocol LongNames { strict MethodWithALongName"
                              "(struct { x uint8; }) -> (struct { x uint8; }) error int32; };")
        self.assertLessEqual(max(len(line) for line in header.splitlines()), 100)


class SourceTest(unittest.TestCase):
    def test_each_description_is_written_once(self) -> None:
        _, source = generated("type A = struct { a string:4; b string:4; c vector<string:4>; };")
        self.assertEqual(source.count("fidl_type string_max_4 = {"), 1)

    def test_what_is_recursive_is_declared_first(self) -> None:
        _, source = generated("type U = union { 1: all vector<U:optional>; };")
        name = "vector_of_u_optional"
        self.assertIn(f"static const struct fidl_type {name};", source)
        self.assertLess(source.index(f"{name};"), source.index(f"&{name}}}"))

    def test_negative_values_are_extended_with_zeros(self) -> None:
        _, source = generated("type E = strict enum : int16 { A = -1; };")
        self.assertIn("    0xffff,\n", source)

    def test_rights(self) -> None:
        _, source = generated("type S = resource struct { a zx.Handle; b zx.Handle:<JOB, 4>; };")
        self.assertIn(".rights = ZX_RIGHT_SAME_RIGHTS", source)
        self.assertIn(".rights = 0x4", source)


class NameTest(unittest.TestCase):
    def test_snake(self) -> None:
        for name, want in (("LaunchInfo", "launch_info"), ("HTTPServer", "http_server"),
                           ("GetV2Info", "get_v2_info"), ("plain", "plain")):
            self.assertEqual(names.snake(name), want)


if __name__ == "__main__":
    unittest.main()
