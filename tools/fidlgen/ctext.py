"""How types are called in C."""

from __future__ import annotations

from fidlgen import names
from fidlgen.model import (
    Array, Box, Handle, Layout, Library, Ref, Scalar, String, Type, Universe, Vector)

WIDTH = 100

_SCALARS = {"bool": "bool", "float32": "float", "float64": "double"}


def scalar(type_: Scalar) -> str:
    return _SCALARS.get(type_.name, type_.name + "_t")


def prefix(library: str) -> str:
    return library.replace(".", "_")


def tag(ref: Ref | Layout) -> str:
    return f"{prefix(ref.library)}_{names.snake(ref.name)}"


def comment(docs: list[str], indent: str = "") -> str:
    return "".join(f"{indent}// {line}".rstrip() + "\n" for line in docs)


def wrapped(head: str, items: list[str], tail: str) -> str:
    """`head(items)tail`, broken as the formatter would."""
    line = f"{head}({', '.join(items)}){tail}"
    if len(line) <= WIDTH:
        return line
    inner = len(head) - len(head.lstrip()) + 4
    indent = len(head) + 1
    start = ""
    if indent + max(len(item) + len(tail) + 1 for item in items) > WIDTH:
        indent, start = inner, "\n" + " " * inner
    if len(head) >= WIDTH:  # the name gets a line of its own
        before, _, name = head.rpartition(" ")
        return f"{before}\n" + wrapped(name, items, tail)
    lines = [""]
    for position, item in enumerate(items):
        piece = item + (f"){tail}" if position == len(items) - 1 else ",")
        if lines[-1] and indent + len(lines[-1]) + 1 + len(piece) > WIDTH:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + piece
    return f"{head}(" + start + ("\n" + " " * indent).join(lines)


class Naming:
    """Of one library's generated code."""

    def __init__(self, universe: Universe, library: Library) -> None:
        self.universe = universe
        self.library = library

    def mangled(self, type_: Type) -> str:
        """A word for the C type, whatever its limits."""
        match type_:
            case Scalar(name):
                return name
            case String():
                return "string"
            case Handle():
                return "handle"
            case Vector(element):
                return f"vector_of_{self.mangled(element)}"
            case Array(element, count):
                return f"array_{count}_of_{self.mangled(element)}"
            case Box(element):
                return f"box_of_{self.mangled(element)}"
            case Ref():
                own = type_.library == self.library.name
                return names.snake(type_.name) if own else tag(type_)
        raise AssertionError(type_)

    def vector_tag(self, vector: Vector) -> str:
        shared = isinstance(vector.element, Scalar | String | Handle)
        owner = "fidl" if shared else prefix(self.library.name)
        return f"{owner}_vector_of_{self.mangled(vector.element)}"

    def base(self, type_: Type) -> str:
        """The C type; of an array, that of its elements."""
        match type_:
            case Scalar():
                return scalar(type_)
            case String():
                return "struct fidl_string"
            case Handle():
                return "zx_handle_t"
            case Vector():
                return f"struct {self.vector_tag(type_)}"
            case Array(element, _):
                return self.base(element)
            case Box(element):
                return f"struct {tag(element)}*"
            case Ref():
                if self.universe.layout(type_).kind in ("enum", "bits"):
                    return f"{tag(type_)}_t"
                return f"struct {tag(type_)}"
        raise AssertionError(type_)

    def declared(self, type_: Type, name: str) -> str:
        """`uint8_t name[4]`."""
        while isinstance(type_, Array):
            name += f"[{type_.count}]"
            type_ = type_.element
        return f"{self.base(type_)} {name}"

    def pointer(self, type_: Type, name: str) -> str:
        """`uint8_t (*name)[4]`, `struct point* name`."""
        if isinstance(type_, Array):
            return self.declared(type_, f"(*{name})")
        return f"{self.base(type_)}* {name}"

    def is_simple(self, type_: Type) -> bool:
        """Passed by value."""
        if isinstance(type_, Ref):
            return self.universe.layout(type_).kind in ("enum", "bits")
        return isinstance(type_, Scalar | Handle)
