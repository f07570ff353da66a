"""What a .fidl file says, after names were resolved: declarations, types, and their layout (wire format v2).

The layout of a type on the wire is the layout of its C structure, so sizes and offsets are computed
once, here, and asserted by the generated header.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

NO_LIMIT = 0xFFFFFFFF


class FidlError(Exception):
    """A mistake in a .fidl file; says where."""


SCALARS = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4,
    "int64": 8, "uint64": 8, "float32": 4, "float64": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Scalar:
    name: str

    @property
    def is_signed(self) -> bool:
        return self.name.startswith("int")

    @property
    def bits(self) -> int:
        return SCALARS[self.name] * 8


@dataclass(frozen=True)
class String:
    limit: int = NO_LIMIT
    optional: bool = False


@dataclass(frozen=True)
class Vector:
    element: Type
    limit: int = NO_LIMIT
    optional: bool = False


@dataclass(frozen=True)
class Array:
    element: Type
    count: int


@dataclass(frozen=True)
class Handle:
    object: str = "NONE"  # ZX_OBJ_TYPE_ without its prefix
    rights: int | None = None  # None: as it comes
    optional: bool = False


@dataclass(frozen=True)
class Ref:
    """A declared type, by its library and name."""

    library: str
    name: str
    optional: bool = False


@dataclass(frozen=True)
class Box:
    element: Ref


Type = Scalar | String | Vector | Array | Handle | Ref | Box


@dataclass
class Member:
    """Of a struct (type), table or union (ordinal, type), enum or bits (value)."""

    name: str
    type: Type | None = None
    ordinal: int = 0
    value: int = 0
    docs: list[str] = field(default_factory=list)


@dataclass
class Layout:
    """A declared type."""

    kind: str  # struct, table, union, enum, bits
    library: str
    name: str
    members: list[Member] = field(default_factory=list)
    strict: bool = False
    resource: bool = False
    base: Scalar = Scalar("uint32")  # of enum and bits
    generated: bool = False  # the result of a method
    docs: list[str] = field(default_factory=list)


@dataclass
class Const:
    name: str
    type: Type
    value: int | str | bool | float
    docs: list[str] = field(default_factory=list)


@dataclass
class Method:
    name: str
    ordinal: int
    kind: str  # one_way, two_way, event
    strict: bool
    request: Ref | None = None  # the body of a call, or of an event
    response: Ref | None = None  # the body of the answer, a result union included
    docs: list[str] = field(default_factory=list)


@dataclass
class Protocol:
    name: str
    openness: str
    methods: list[Method] = field(default_factory=list)
    docs: list[str] = field(default_factory=list)


@dataclass
class Library:
    name: str
    uses: list[str] = field(default_factory=list)
    consts: list[Const] = field(default_factory=list)
    layouts: dict[str, Layout] = field(default_factory=dict)
    protocols: list[Protocol] = field(default_factory=list)
    docs: list[str] = field(default_factory=list)


def ordinal_of(selector: str) -> int:
    """The first eight bytes of the hash of `library/Protocol.Method`, without the top bit."""
    digest = hashlib.sha256(selector.encode()).digest()
    return int.from_bytes(digest[:8], "little") & ~(1 << 63)


def padded(size: int, alignment: int) -> int:
    return (size + alignment - 1) // alignment * alignment


class Universe:
    """All libraries of a compilation."""

    def __init__(self) -> None:
        self.libraries: dict[str, Library] = {}
        self._sizes: dict[tuple[str, str], tuple[int, int]] = {}
        self._open: list[tuple[str, str]] = []

    def layout(self, ref: Ref) -> Layout:
        return self.libraries[ref.library].layouts[ref.name]

    def size_and_alignment(self, type_: Type) -> tuple[int, int]:
        """In place, that is without what lies behind pointers."""
        match type_:
            case Scalar(name):
                return SCALARS[name], SCALARS[name]
            case String() | Vector():
                return 16, 8
            case Handle():
                return 4, 4
            case Box():
                return 8, 8
            case Array(element, count):
                size, alignment = self.size_and_alignment(element)
                return size * count, alignment
            case Ref():
                return self._declared(type_)
        raise AssertionError(type_)

    def _declared(self, ref: Ref) -> tuple[int, int]:
        layout = self.layout(ref)
        if layout.kind in ("table", "union"):
            return 16, 8
        if layout.kind in ("enum", "bits"):
            return self.size_and_alignment(layout.base)
        key = (ref.library, ref.name)
        if key not in self._sizes:
            if key in self._open:
                raise FidlError(f"{ref.library}/{ref.name} contains itself: use box, vector or table")
            self._open.append(key)
            self._sizes[key] = self._struct(layout)
            self._open.pop()
        return self._sizes[key]

    def _struct(self, layout: Layout) -> tuple[int, int]:
        if not layout.members:
            return 1, 1
        end, widest = 0, 1
        for member in layout.members:
            size, alignment = self.size_and_alignment(member_type(member))
            end = padded(end, alignment) + size
            widest = max(widest, alignment)
        return padded(end, widest), widest

    def fields(self, layout: Layout) -> list[tuple[Member, int, int]]:
        """(member, offset, padding behind it) of a struct."""
        total, _ = self._struct(layout)
        ends: list[tuple[Member, int, int]] = []
        end = 0
        for member in layout.members:
            size, alignment = self.size_and_alignment(member_type(member))
            offset = padded(end, alignment)
            end = offset + size
            ends.append((member, offset, end))
        following = [offset for _, offset, _ in ends[1:]] + [total]
        return [(m, offset, after - end) for (m, offset, end), after in zip(ends, following)]

    def holds_handles(self, type_: Type, seen: frozenset[tuple[str, str]] = frozenset()) -> bool:
        match type_:
            case Handle():
                return True
            case Vector(element) | Array(element) | Box(element):
                return self.holds_handles(element, seen)
            case Ref():
                key = (type_.library, type_.name)
                if key in seen:
                    return False
                members = self.layout(type_).members
                return any(
                    m.type is not None and self.holds_handles(m.type, seen | {key}) for m in members)
        return False


def member_type(member: Member) -> Type:
    assert member.type is not None
    return member.type
