"""Reads definitions (syscall/defs/README.md has the notation) and checks that they make sense."""

from __future__ import annotations

import re
from pathlib import Path

from syscallgen.model import (
    Argument, Buffer, Call, Case, DefinitionError, Direction, FlagRule, Futex, Group, Handle,
    Interface, Kind, ObjectType, OutHandle, Requirement, Resource, Resume, Scalar, Struct)

FLAGS = frozenset({"vdso", "internal", "blocking", "noreturn", "const", "extension", "undo", "hot"})
MAX_ARGS = 8

# Types that fit a register. Sizes in bytes, negative if signed.
SCALARS = {
    "uint16_t": 2, "uint32_t": 4, "int32_t": -4, "uint64_t": 8, "int64_t": -8, "size_t": 8,
    "uintptr_t": 8, "zx_handle_t": 4, "zx_rights_t": 4, "zx_signals_t": 4, "zx_clock_t": 4,
    "zx_vm_option_t": 4, "zx_stream_seek_origin_t": 4, "zx_futex_storage_t": -4, "zx_koid_t": 8,
    "zx_time_t": -8, "zx_duration_t": -8, "zx_duration_mono_t": -8, "zx_ticks_t": -8,
    "zx_instant_mono_t": -8, "zx_instant_boot_t": -8, "zx_instant_mono_ticks_t": -8,
    "zx_instant_boot_ticks_t": -8, "zx_vaddr_t": 8, "zx_paddr_t": 8, "zx_off_t": 8,
    "zx_status_t": -4, "zx_string_view_t": 16, "void": 0,
}

_CALL = re.compile(r"call (\w+)(?: -> (\w+))?(?: \[([\w ]+)\])?$")
_ARG = re.compile(r"(\w+): (.+)$")
_BUFFER = re.compile(r"(\w+)(?:\[([\w* ]+)\])?$")
_CASE = re.compile(r"case (\w+) ([\w ]+): (\w+) (.+)$")
_FLAG = re.compile(r"flag (\w+) (\w+): (\w+) (.+)$")


class _Reader:
    """One file, line by line; every complaint names the line."""

    def __init__(self, path: Path, types: dict[str, ObjectType]) -> None:
        self.path = path
        self.types = types
        self.line_number = 0

    def fail(self, text: str) -> DefinitionError:
        return DefinitionError(f"{self.path}:{self.line_number}: {text}")

    def read(self) -> Group:
        group: Group | None = None
        call: Call | None = None
        for self.line_number, raw in enumerate(self.path.read_text().splitlines(), 1):
            is_prose = raw.lstrip().startswith("|")
            line = (raw if is_prose else raw.split("#", 1)[0]).rstrip()
            text = line.strip()
            if not text:
                continue
            if text.startswith("group "):
                if group is not None:
                    raise self.fail("a file has one group")
                group = Group(text.removeprefix("group "))
            elif group is None:
                raise self.fail("the first line must be `group NAME`")
            elif text.startswith("|"):
                (call.prose if call else group.prose).append(text.removeprefix("|").strip())
            elif text.startswith("call "):
                call = self._call(text, group)
                group.calls.append(call)
            elif call is None or not line.startswith("    "):
                raise self.fail(f"not understood: {text}")
            else:
                self._clause(call, text)
        if group is None:
            raise self.fail("empty")
        for c in group.calls:
            self._check(c)
        return group

    def _call(self, text: str, group: Group) -> Call:
        match = _CALL.match(text)
        if match is None:
            raise self.fail("expected `call NAME [-> TYPE] [[FLAGS]]`")
        flags = frozenset((match[3] or "").split())
        if flags - FLAGS:
            raise self.fail(f"unknown flags: {' '.join(sorted(flags - FLAGS))}")
        returns = match[2] or "zx_status_t"
        if returns not in SCALARS:
            raise self.fail(f"unknown type {returns}")
        return Call(name=match[1], group=group.name, returns=returns, flags=flags)

    def _clause(self, call: Call, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word == "case":
            match = _CASE.match(text)
            if match is None:
                raise self.fail("expected `case ARG VALUES: HANDLE TYPES RIGHTS`")
            words = match[4].split()
            quiet = "quiet" in words
            need = self._requirement([w for w in words if w != "quiet"])
            call.cases.append(Case(match[1], tuple(match[2].split()), match[3], need, quiet))
        elif word == "flag":
            match = _FLAG.match(text)
            if match is None:
                raise self.fail("expected `flag ARG BIT: HANDLE RIGHTS`")
            call.flag_rules.append(
                FlagRule(match[1], match[2], match[3], self._rights(match[4].split())))
        elif word == "otherwise":
            selector, status = rest.split()
            call.otherwise[selector] = status
        elif word == "resume":
            words = rest.split()
            if len(words) not in (1, 3):
                raise self.fail("expected `resume CALL` or `resume CALL ARG BITS`")
            call.resume = Resume(words[0], *words[1:2], *(int(w, 0) for w in words[2:]))
        elif word == "policy":
            call.policy = rest
        elif word == "errors":
            call.errors += rest.split()
        elif word == "includes":
            call.includes.append(rest)
        else:
            match = _ARG.match(text)
            if match is None:
                raise self.fail(f"not understood: {text}")
            if len(call.args) == MAX_ARGS:
                raise self.fail(f"more than {MAX_ARGS} arguments")
            if any(a.name == match[1] for a in call.args):
                raise self.fail(f"two arguments named {match[1]}")
            call.args.append(Argument(match[1], self._kind(match[2])))

    def _kind(self, text: str) -> Kind:
        words = text.split()
        if words[0] == "handle":
            return self._handle(words[1:])
        if words[0] == "resource":
            optional = "optional" in words
            names = [w for w in words[1:] if w != "optional"]
            if len(names) not in (1, 2):
                raise self.fail("expected `resource KIND [BASE]`")
            return Resource(names[0], names[1] if len(names) == 2 else "", optional)
        if words == ["futex"]:
            return Futex()
        if words[:2] == ["out", "handle"] and len(words) == 3:
            self._known(words[2])
            return OutHandle(words[2])
        if words[0] in ("in", "out", "inout"):
            return self._memory(Direction(words[0]), text.partition(" ")[2])
        if len(words) == 1 and words[0] in SCALARS:
            return Scalar(words[0])
        raise self.fail(f"unknown kind of argument: {text}")

    def _known(self, name: str) -> None:
        if name != "any" and name not in self.types:
            raise self.fail(f"unknown object type {name}")

    def _rights(self, words: list[str]) -> tuple[str, ...]:
        for word in words:
            if not re.fullmatch(r"\+[A-Z_]+", word):
                raise self.fail(f"expected a right, +NAME, not {word}")
        return tuple(word[1:] for word in words)

    def _requirement(self, words: list[str]) -> Requirement:
        names = words[0].split("|")
        for name in names:
            self._known(name)
        types = () if names == ["any"] else tuple(names)
        return Requirement(types, self._rights(words[1:]))

    def _handle(self, words: list[str]) -> Handle:
        modifiers = {"optional", "take", "raw", "identity", "rights"}
        chosen = [w for w in words if w in modifiers]
        need = self._requirement([w for w in words if w not in modifiers])
        return Handle(need, **{name: True for name in chosen})

    def _memory(self, direction: Direction, text: str) -> Kind:
        head, _, tail = text.partition("]") if "[" in text else text.partition(" ")
        match = _BUFFER.match(head + "]" if "[" in text else head)
        if match is None:
            raise self.fail(f"expected a type or TYPE[COUNT]: {text}")
        words = tail.split()
        element, count = match[1], match[2]
        consumed = "consumed" in words
        if count is not None or element == "bytes":
            if set(words) - {"consumed"}:
                raise self.fail(f"not for buffers: {tail}")
            names = tuple(n.strip() for n in (count or "").split("*") if n.strip())
            return Buffer(direction, element, names, consumed)
        also: tuple[str, ...] = ()
        if "also" in words:
            at = words.index("also")
            words, also = words[:at], tuple(words[at + 1:])
        if set(words) - {"optional", "self", "consumed"}:
            raise self.fail(f"not understood: {tail}")
        return Struct(direction, element, "optional" in words, "self" in words, consumed, also)

    def _check(self, call: Call) -> None:
        names = {a.name for a in call.args}

        def need(name: str, where: str) -> None:
            if name not in names:
                raise DefinitionError(
                    f"{self.path}: {call.name}: {where} names no argument: {name}")

        for argument in call.args:
            if isinstance(argument.kind, Buffer):
                for name in argument.kind.count:
                    need(name, argument.name)
        for rule in call.cases + call.flag_rules:
            need(rule.selector, "a rule")
            need(rule.handle, "a rule")
            if not isinstance(call.arg(rule.handle).kind, Handle):
                raise DefinitionError(f"{self.path}: {call.name}: {rule.handle} is no handle")
        if call.resume and call.resume.arg:
            need(call.resume.arg, "resume")
        if call.resume and "blocking" not in call.flags:
            raise DefinitionError(f"{self.path}: {call.name}: only blocking calls are resumed")
        if "blocking" in call.flags and len(call.args) > 6:
            raise DefinitionError(f"{self.path}: {call.name}: blocking, and more than 6 arguments")
        if not call.prose:
            raise DefinitionError(f"{self.path}: {call.name}: no prose")
        if "noreturn" in call.flags and call.returns != "void":
            raise DefinitionError(f"{self.path}: {call.name}: noreturn returns void")
        if "blocking" in call.flags and call.returns != "zx_status_t":
            raise DefinitionError(f"{self.path}: {call.name}: blocking calls return a status")


def parse_types(path: Path) -> dict[str, ObjectType]:
    types: dict[str, ObjectType] = {}
    for line_number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 5 or words[0] != "type" or words[1] in types:
            raise DefinitionError(
                f"{path}:{line_number}: expected a new `type NAME CONSTANT STRUCT FUNCTION`")
        embedded = words[4] == "embedded"
        convert = "" if words[4] == "-" or embedded else words[4]
        types[words[1]] = ObjectType(words[1], words[2], words[3], convert, embedded)
    return types


def parse(types_path: Path, group_paths: list[Path]) -> Interface:
    """Reads the files and numbers the calls by name: the order of files does not matter."""
    types = parse_types(types_path)
    groups = [_Reader(path, types).read() for path in sorted(group_paths)]
    interface = Interface(types, groups)
    seen: set[str] = set()
    for call in interface.calls:
        if call.name in seen:
            raise DefinitionError(f"{call.name} is defined twice")
        seen.add(call.name)
    for call in interface.calls:
        if call.resume and call.resume.call not in seen:
            raise DefinitionError(f"{call.name} is resumed by an unknown call {call.resume.call}")
    numbered = sorted((c for c in interface.calls if c.has_number), key=lambda c: c.name)
    for number, call in enumerate(numbered):
        call.number = number
    return interface
