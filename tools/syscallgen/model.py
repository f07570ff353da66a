"""What a definition says, as data. Parsed by `parser`, read by every emitter."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class DefinitionError(Exception):
    """A definition is wrong; the message names file and line."""


@dataclass(frozen=True)
class ObjectType:
    """A kernel object type: its name in definitions, its ZX_OBJ_TYPE_ constant, the C structure that
    an implementation receives, and the function that finds it in a struct object (none: it is the
    object). `embedded`: the structure begins with its struct object, so that a handle's object of
    this type needs only a cast."""

    name: str
    constant: str
    struct: str
    convert: str
    embedded: bool


class Direction(enum.Enum):
    IN = "in"
    OUT = "out"
    INOUT = "inout"


@dataclass(frozen=True)
class Requirement:
    """Which objects a handle may name, and what it must allow. No types: any."""

    types: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scalar:
    ctype: str


@dataclass(frozen=True)
class Handle:
    need: Requirement
    optional: bool = False
    take: bool = False
    raw: bool = False
    identity: bool = False
    rights: bool = False


@dataclass(frozen=True)
class Resource:
    kind: str
    base: str = ""
    optional: bool = False


@dataclass(frozen=True)
class OutHandle:
    type: str


@dataclass(frozen=True)
class Futex:
    pass


@dataclass(frozen=True)
class Struct:
    """One value of a fixed size, which the wrapper copies (unless `self_copied`)."""

    direction: Direction
    ctype: str
    optional: bool = False
    self_copied: bool = False
    consumed: bool = False
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Buffer:
    """Memory that the implementation copies. `count`: the names of the arguments whose product
    counts its elements; none when the size follows from the options."""

    direction: Direction
    element: str
    count: tuple[str, ...] = ()
    consumed: bool = False


Kind = Scalar | Handle | Resource | OutHandle | Futex | Struct | Buffer


@dataclass(frozen=True)
class Argument:
    name: str
    kind: Kind


@dataclass(frozen=True)
class Case:
    """With one of `values` in the argument `selector`, `handle` has this requirement instead."""

    selector: str
    values: tuple[str, ...]
    handle: str
    need: Requirement
    quiet: bool = False


@dataclass(frozen=True)
class FlagRule:
    """With the bit `flag` set in `selector`, `handle` needs these rights as well."""

    selector: str
    flag: str
    handle: str
    rights: tuple[str, ...]


@dataclass(frozen=True)
class Resume:
    """How an interrupted call goes on: as `call`, with `bits` set in the argument `arg`, if any."""

    call: str
    arg: str = ""
    bits: int = 0


@dataclass
class Call:
    name: str
    group: str
    returns: str = "zx_status_t"
    flags: frozenset[str] = frozenset()
    args: list[Argument] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    otherwise: dict[str, str] = field(default_factory=dict)
    flag_rules: list[FlagRule] = field(default_factory=list)
    resume: Resume | None = None
    policy: str = ""
    errors: list[str] = field(default_factory=list)
    includes: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    number: int = -1

    @property
    def has_number(self) -> bool:
        return "vdso" not in self.flags

    @property
    def is_public(self) -> bool:
        return "internal" not in self.flags

    def arg(self, name: str) -> Argument:
        return next(a for a in self.args if a.name == name)


@dataclass
class Group:
    name: str
    prose: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass
class Interface:
    """Everything: groups in the order of their names, calls in the order of the files."""

    types: dict[str, ObjectType]
    groups: list[Group]

    @property
    def calls(self) -> list[Call]:
        return [call for group in self.groups for call in group.calls]

    @property
    def numbered(self) -> list[Call]:
        return sorted((c for c in self.calls if c.has_number), key=lambda c: c.number)
