"""Tests of the language: what is understood, what is refused and how that is said, and the layout."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fidlgen.model import (  # noqa: E402
    NO_LIMIT, Array, FidlError, Handle, Library, Ref, Scalar, String, Universe, Vector, ordinal_of)
from fidlgen.resolve import resolve  # noqa: E402
from fidlgen.syntax import parse  # noqa: E402


def compiled(text: str, head: str = "library t; using zx;") -> tuple[Universe, Library]:
    universe = Universe()
    return universe, resolve(universe, [parse("t.fidl", head + text)])


def size_of(text: str, name: str = "S") -> int:
    universe, _ = compiled(text)
    return universe.size_and_alignment(Ref("t", name))[0]


class LayoutTest(unittest.TestCase):
    """Wire format specification, "Types" and "Structures": the figures of its own examples."""

    def test_structs_of_the_specification(self) -> None:
        self.assertEqual(size_of("type S = struct { a int32; b int8; };"), 8)
        self.assertEqual(size_of("type S = struct { a bool; b string; };"), 24)
        self.assertEqual(size_of("type S = struct { a bool; b uint8; c uint8; };"), 3)
        self.assertEqual(size_of("type S = struct {};"), 1)

    def test_the_circle_of_the_specification(self) -> None:
        shapes = """
            type Color = struct { r float32; g float32; b float32; };
            type Point = struct { x float32; y float32; };
        """
        self.assertEqual(size_of(shapes, "Color"), 12)
        circle = "filled bool; center Point; radius float32; color box<Color>; dashed bool;"
        self.assertEqual(size_of(shapes + f"type S = struct {{ {circle} }};"), 32)
        circle = "filled bool; dashed bool; center Point; radius float32; color box<Color>;"
        self.assertEqual(size_of(shapes + f"type S = struct {{ {circle} }};"), 24)

    def test_kinds(self) -> None:
        for text, size in (
            ("vector<uint8>", 16), ("string:<8, optional>", 16), ("array<uint16, 5>", 10),
            ("T", 16), ("U", 16), ("U:optional", 16), ("zx.Handle", 4), ("E", 8), ("B", 4),
        ):  # fmt: skip
            declared = f"""
                type T = table {{ 1: a bool; }}; type U = resource union {{ 1: a bool; }};
                type E = enum : uint64 {{ A = 1; }}; type B = bits {{ A = 1; }};
                type S = resource struct {{ m {text}; }};
            """
            self.assertEqual(size_of(declared), size, text)

    def test_fields_and_padding(self) -> None:
        universe, library = compiled("type S = struct { a uint8; b uint32; c uint16; };")
        fields = [(m.name, at, gap) for m, at, gap in universe.fields(library.layouts["S"])]
        self.assertEqual(fields, [("a", 0, 3), ("b", 4, 0), ("c", 8, 2)])


class OrdinalTest(unittest.TestCase):
    def test_published_ordinals(self) -> None:
        self.assertEqual(ordinal_of("fuchsia.process/Launcher.Launch"), 0x11335A9928AFBFA4)

    def test_selectors(self) -> None:
        _, library = compiled("""
            closed protocol P {
                strict A();
                @selector("Old") strict B();
                @selector("other.library/Q.C") strict C();
            };
        """)
        ordinals = [m.ordinal for m in library.protocols[0].methods]
        self.assertEqual(ordinals, [ordinal_of("t/P.A"), ordinal_of("t/P.Old"),
                                    ordinal_of("other.library/Q.C")])


class TypeTest(unittest.TestCase):
    def member(self, text: str) -> object:
        _, library = compiled(f"const N uint32 = 3; type S = resource struct {{ m {text}; }};")
        return library.layouts["S"].members[0].type

    def test_types(self) -> None:
        self.assertEqual(self.member("string"), String())
        self.assertEqual(self.member("string:N"), String(3))
        self.assertEqual(self.member("vector<string:2>:<N, optional>"), Vector(String(2), 3, True))
        self.assertEqual(self.member("vector<uint8>:MAX"), Vector(Scalar("uint8"), NO_LIMIT))
        self.assertEqual(self.member("array<bool, N>"), Array(Scalar("bool"), 3))
        self.assertEqual(self.member("zx.Handle:VMO"), Handle("VMO"))
        self.assertEqual(self.member("zx.Handle:<VMO, zx.Rights.READ | zx.Rights.MAP, optional>"),
                         Handle("VMO", 0x24, True))
        self.assertEqual(self.member("server_end:P"), Handle("CHANNEL"))
        self.assertEqual(self.member("zx.Status"), Scalar("int32"))

    def test_recursion_behind_a_pointer(self) -> None:
        universe, _ = compiled("type S = struct { next box<S>; all vector<S>; };")
        self.assertEqual(universe.size_and_alignment(Ref("t", "S"))[0], 24)

    def test_other_libraries(self) -> None:
        universe, _ = compiled("const C uint32 = 7; type S = struct { a uint64; };")
        text = "library u; using t as other; type T = struct { s other.S; v string:other.C; };"
        library = resolve(universe, [parse("u.fidl", text)])
        self.assertEqual(library.layouts["T"].members[0].type, Ref("t", "S"))
        self.assertEqual(library.layouts["T"].members[1].type, String(7))
        self.assertEqual(library.uses, ["t"])


class MethodTest(unittest.TestCase):
    def test_answers(self) -> None:
        _, library = compiled("""
            open protocol P {
                strict A() -> ();
                strict B() -> (struct { x uint32; });
                strict C() -> () error int32;
                flexible D() -> (struct { x uint32; });
                flexible E(struct { x uint32; });
                -> F(struct { x uint32; });
            };
        """)
        a, b, c, d, e, f = library.protocols[0].methods
        self.assertIsNone(a.response)
        self.assertEqual(b.response, Ref("t", "PBResponse"))
        self.assertEqual(c.response, Ref("t", "PCResult"))
        ordinals = [m.ordinal for m in library.layouts["PCResult"].members]
        self.assertEqual(ordinals, [1, 2])
        ordinals = [m.ordinal for m in library.layouts["PDResult"].members]
        self.assertEqual(ordinals, [1, 3])
        self.assertEqual((e.kind, e.strict, e.request), ("one_way", False, Ref("t", "PERequest")))
        self.assertEqual((f.kind, f.request), ("event", Ref("t", "PFEvent")))
        self.assertEqual(d.kind, "two_way")

    def test_composed_methods_keep_their_ordinals(self) -> None:
        _, library = compiled("closed protocol A { strict M(); };"
                              "closed protocol B { compose A; strict N(); };")
        ordinals = {m.ordinal for m in library.protocols[1].methods}
        self.assertEqual(ordinals, {ordinal_of("t/A.M"), ordinal_of("t/B.N")})


class RefusalTest(unittest.TestCase):
    """Each mistake is named."""

    def refused(self, text: str, message: str) -> None:
        with self.assertRaisesRegex(FidlError, message):
            compiled(text)

    def test_mistakes(self) -> None:
        for text, message in (
            ("type S = struct { a Missing; };", "t.fidl:1: no type is named Missing"),
            ("type S = struct { a S; };", "contains itself"),
            ("type A = struct { b B; }; type B = struct { a A; };", "contains itself"),
            ("type S = struct { a uint8; a uint8; };", "there twice"),
            ("type S = struct { aB uint8; a_b uint8; };", "there twice"),
            ("type S = struct {}; type S = struct {};", "declared twice"),
            ("type AB = struct {}; type Ab = struct {};", "two types are named"),
            ("type S = struct { t struct {}; }; type T = struct {};", "two types are named"),
            ("type S = struct { h zx.Handle; };", "write resource"),
            ("type S = struct { h vector<R>; }; type R = resource table { 1: h zx.Handle; };",
             "write resource"),
            ("type T = table { 1: a bool; 1: b bool; };", "ordinals"),
            ("type T = table { 0: a bool; };", "ordinals"),
            ("type T = table { 1: a string:optional; };", "not optional"),
            ("type U = union {};", "without members"),
            ("type E = strict enum {};", "without members"),
            ("type E = enum : uint8 { A = 256; };", "256 is no uint8"),
            ("type E = enum { A = 1; B = 1; };", "one value"),
            ("type B = bits { A = 3; };", "one bit"),
            ("type B = bits : int32 { A = 1; };", "unsigned"),
            ("type S = strict struct {};", "neither strict"),
            ("type S = struct { a box<uint8>; };", "box is for structs"),
            ("type S = struct { a array<uint8, 0>; };", "has elements"),
            ("type S = struct { a S2:optional; }; type S2 = struct {};", "box<T>"),
            ("const A uint8 = 300;", "300 is no uint8"),
            ("const A uint32 = B; const B uint32 = A;", "defined by itself"),
            ("type S = resource struct { h zx.Handle:NOTHING; };", "no object type"),
            ("closed protocol P { A(); };", "say strict"),
            ("closed protocol P { strict GetX(); strict Get_x(); };", "one name in C"),
            ("type POps = struct {}; closed protocol P { strict A(); };", "operations in C"),
            ("ajar protocol P { flexible A() -> (); };", "ajar"),
            ("closed protocol P { strict A(uint32); };", "a message is"),
            ("closed protocol P { strict A() -> () error string; };", "an error is"),
            ("type S = struct { a uint8 };", "expected ';'"),
            ("type S = struct { a $; };", "not understood"),
            ("type S = struct { a vector<uint8; };", "expected , or >"),
            ("nonsense;", "expected const, type, alias or protocol"),
            ("type S = struct {", "the end"),
        ):  # fmt: skip
            with self.subTest(text):
                self.refused(text, message)

    def test_unknown_libraries(self) -> None:
        with self.assertRaisesRegex(FidlError, "library x is not given"):
            compiled("", "library t; using x;")


if __name__ == "__main__":
    unittest.main()
