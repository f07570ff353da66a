"""Tests of the notation: what is understood, and what is refused with the line's number."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from syscallgen.model import (  # noqa: E402
    Buffer, DefinitionError, Direction, Handle, Interface, OutHandle, Requirement, Resource, Scalar,
    Struct)
from syscallgen.parser import parse  # noqa: E402

TYPES = "type event EVENT object -\ntype channel CHANNEL channel channel_from_object\n"
HERE = Path(__file__).resolve().parent
DEFS = HERE.parent.parent / "syscall" / "defs"


def parse_text(*groups: str) -> Interface:
    with tempfile.TemporaryDirectory() as folder:
        types = Path(folder) / "types.def"
        types.write_text(TYPES)
        paths = []
        for number, text in enumerate(groups):
            paths.append(Path(folder) / f"g{number}.def")
            paths[-1].write_text(text)
        return parse(types, paths)


def parse_call(*lines: str) -> Interface:
    body = "\n".join(f"    {line}" for line in lines)
    return parse_text(f"group g\n| About g.\n\ncall c\n{body}\n    | Does it.\n")


class NotationTest(unittest.TestCase):
    """Good definitions."""

    def test_every_kind_of_argument(self) -> None:
        call = parse_call(
            "handle: handle channel +READ +WRITE identity", "count: uint32_t",
            "data: in bytes[count * size]", "size: size_t", "info: out zx_port_packet_t optional",
            "power: resource SYSTEM POWER optional", "made: out handle event",
            "seen: out zx_signals_t also TIMED_OUT CANCELED").calls[0]
        kinds = [a.kind for a in call.args]
        self.assertEqual(
            kinds[0], Handle(Requirement(("channel",), ("READ", "WRITE")), identity=True))
        self.assertEqual(kinds[1], Scalar("uint32_t"))
        self.assertEqual(kinds[2], Buffer(Direction.IN, "bytes", ("count", "size")))
        self.assertEqual(kinds[4], Struct(Direction.OUT, "zx_port_packet_t", optional=True))
        self.assertEqual(kinds[5], Resource("SYSTEM", "POWER", True))
        self.assertEqual(kinds[6], OutHandle("event"))
        self.assertEqual(
            kinds[7], Struct(Direction.OUT, "zx_signals_t", also=("TIMED_OUT", "CANCELED")))

    def test_any_and_several_types(self) -> None:
        call = parse_call("a: handle any +WAIT", "b: handle event|channel").calls[0]
        self.assertEqual(call.args[0].kind, Handle(Requirement((), ("WAIT",))))
        self.assertEqual(call.args[1].kind, Handle(Requirement(("event", "channel"))))

    def test_clauses(self) -> None:
        call = parse_call(
            "handle: handle any", "topic: uint32_t", "case topic A B: handle event +READ quiet",
            "otherwise topic NOT_SUPPORTED", "flag topic F: handle +WRITE", "policy NEW_EVENT",
            "errors NO_MEMORY BAD_STATE", "errors TIMED_OUT").calls[0]
        self.assertEqual(call.cases[0].values, ("A", "B"))
        self.assertEqual(call.cases[0].need, Requirement(("event",), ("READ",)))
        self.assertTrue(call.cases[0].quiet)
        self.assertEqual(call.otherwise, {"topic": "NOT_SUPPORTED"})
        self.assertEqual(call.flag_rules[0].rights, ("WRITE",))
        self.assertEqual(call.policy, "NEW_EVENT")
        self.assertEqual(call.errors, ["NO_MEMORY", "BAD_STATE", "TIMED_OUT"])

    def test_numbers_follow_names_and_skip_the_vdso(self) -> None:
        interface = parse_text(
            "group a\ncall zz\n    | Text.\ncall mm [vdso]\n    | Text.\n",
            "group b\ncall bb -> void [noreturn]\n    | Text.\n")
        self.assertEqual({c.name: c.number for c in interface.calls}, {"zz": 1, "mm": -1, "bb": 0})
        self.assertEqual([c.name for c in interface.numbered], ["bb", "zz"])

    def test_prose_keeps_paragraphs_and_hashes(self) -> None:
        call = parse_text("group g\ncall c\n    | One # two.\n    |\n    | Three.\n").calls[0]
        self.assertEqual(call.prose, ["One # two.", "", "Three."])


class RefusalTest(unittest.TestCase):
    """Bad definitions name the place."""

    def refuse(self, pattern: str, *lines: str) -> None:
        with self.assertRaisesRegex(DefinitionError, pattern):
            parse_call(*lines)

    def test_refused_with_the_line(self) -> None:
        self.refuse(r"g0.def:5: unknown kind", "a: int32")
        self.refuse(r"g0.def:5: unknown object type", "a: handle gadget")
        self.refuse(r"g0.def:5: expected a right", "a: handle event READ")
        self.refuse(r"g0.def:6: two arguments", "a: uint32_t", "a: uint64_t")
        self.refuse(r"g0.def:5: not understood", "what is this")
        self.refuse(r"g0.def:5: expected `resume", "resume a b")
        self.refuse(r"g0.def:13: more than 8", *[f"a{i}: uint32_t" for i in range(9)])

    def test_refused_as_a_whole(self) -> None:
        self.refuse("names no argument: n", "a: in bytes[n]")
        self.refuse("names no argument: t", "h: handle any", "case t X: h event")
        self.refuse("is no handle", "h: uint32_t", "t: uint32_t", "case t X: h event")
        self.refuse("only blocking", "resume c")

    def test_refused_files(self) -> None:
        for pattern, text in (
                ("first line", "call c\n"), ("one group", "group a\ngroup b\n"), ("empty", ""),
                ("unknown flags", "group a\ncall c [fast]\n    | T.\n"),
                ("no prose", "group a\ncall c\n"),
                ("noreturn returns", "group a\ncall c [noreturn]\n    | T.\n"),
                ("unknown type", "group a\ncall c -> float\n    | T.\n"),
                ("defined twice", "group a\ncall c\n    | T.\ncall c\n    | T.\n"),
                ("unknown call", "group a\ncall c [blocking]\n    resume d\n    | T.\n")):
            with self.subTest(pattern), self.assertRaisesRegex(DefinitionError, pattern):
                parse_text(text)


class RealDefinitionsTest(unittest.TestCase):
    """The definitions of the tree keep rules that the notation cannot express."""

    def setUp(self) -> None:
        groups = [p for p in DEFS.glob("*.def") if p.name != "types.def"]
        self.interface = parse(DEFS / "types.def", groups)

    def test_pointers_to_structures_have_a_name_for_their_type(self) -> None:
        for call in self.interface.calls:
            for a in call.args:
                if isinstance(a.kind, Struct):
                    self.assertTrue(a.kind.ctype.endswith("_t"), f"{call.name}.{a.name}")

    def test_creating_calls_can_run_out_of_memory(self) -> None:
        for call in self.interface.calls:
            if call.name.endswith("_create"):
                self.assertIn("NO_MEMORY", call.errors, call.name)

    def test_deadlines_block(self) -> None:
        for call in self.interface.calls:
            # These wait for the console, or a device, for as long as it takes.
            if call.name in ("debug_read", "interrupt_wait"):
                self.assertIn("blocking", call.flags)
                continue
            waits = any(a.name == "deadline" for a in call.args) and call.name != "timer_set"
            self.assertEqual(waits, "blocking" in call.flags, call.name)

    def test_channels_are_never_duplicated_or_shared(self) -> None:
        # A channel's DUPLICATE right cannot be demanded: no handle has it.
        for call in self.interface.calls:
            for a in call.args:
                if isinstance(a.kind, Handle) and a.kind.need.types == ("channel",):
                    self.assertNotIn("DUPLICATE", a.kind.need.rights)


if __name__ == "__main__":
    unittest.main()
