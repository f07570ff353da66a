"""Pages of the FIDL protocols, as Markdown: one for each protocol, one for each library, an index."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fidlgen import names
from fidlgen.model import (
    NO_LIMIT, Array, Box, FidlError, Handle, Layout, Library, Member, Method, Protocol, Ref, Scalar,
    String, Type, Universe, Vector, member_type)
from fidlgen.resolve import resolve
from fidlgen.syntax import File, parse

FOLDER = "docs/fidl"
_KINDS = {"one_way": "one way", "two_way": "with an answer", "event": "event"}


def universe(paths: Iterable[Path]) -> Universe:
    """Compiles all files; libraries may use each other in any order of files."""
    waiting: dict[str, list[File]] = {}
    for path in paths:
        file = parse(path.name, path.read_text())
        waiting.setdefault(file.library, []).append(file)
    result = Universe()
    while waiting:
        ready = [
            library for library, files in waiting.items()
            if not any(use in waiting for file in files for use in file.uses.values())
        ]  # fmt: skip
        if not ready:
            raise FidlError(f"libraries use each other: {', '.join(sorted(waiting))}")
        for library in ready:
            resolve(result, waiting.pop(library))
    return result


def library_path(library: str) -> str:
    return f"{FOLDER}/{library}.md"


def protocol_path(library: str, protocol: str) -> str:
    return f"{FOLDER}/{library}.{protocol}.md"


def _anchor(name: str) -> str:
    return name.lower()


def _bound(limit: int, optional: bool) -> str:
    parts = [] if limit == NO_LIMIT else [f"{limit:,}"]
    parts += ["optional"] if optional else []
    return f": {', '.join(parts)}" if parts else ""


def _rights(rights: int) -> str:
    bits = names.ZX_RIGHTS.items()
    known = [name for name, bit in bits if rights & bit and bit.bit_count() == 1]
    return ", ".join(known) or "no rights"


class _Writer:
    """Pages of one library; links to types of other libraries lead to those."""

    def __init__(self, universe_: Universe, library: Library) -> None:
        self._universe = universe_
        self._library = library

    # ---- types ----

    def _type(self, type_: Type) -> str:
        match type_:
            case Scalar(name):
                return name
            case String(limit, optional):
                return f"string{_bound(limit, optional)}"
            case Vector(element, limit, optional):
                return f"vector of {self._type(element)}{_bound(limit, optional)}"
            case Array(element, count):
                return f"array of {count:,} {self._type(element)}"
            case Box(element):
                return f"box of {self._type(element)}"
            case Handle(object_, rights, optional):
                text = "handle" if object_ == "NONE" else f"handle of `{object_}`"
                text += f" ({_rights(rights)})" if rights is not None else ""
                return text + (", optional" if optional else "")
            case Ref(library, name, optional):
                page = "" if library == self._library.name else f"{library}.md"
                known = library in self._universe.libraries
                text = f"[{name}]({page}#{_anchor(name)})" if known else name
                return text + (", optional" if optional else "")
        raise AssertionError(type_)

    def _row(self, layout: Layout, member: Member, place: str) -> str:
        docs = " ".join(member.docs).replace("|", "\\|")
        if layout.kind in ("enum", "bits"):
            value = f"{member.value:#x}" if layout.kind == "bits" else str(member.value)
            return f"| `{member.name}` | {value} | {docs} |"
        return f"| {place} | `{member.name}` | {self._type(member_type(member))} | {docs} |"

    def _members(self, layout: Layout) -> list[str]:
        if not layout.members:
            return ["Empty.", ""]
        if layout.kind in ("enum", "bits"):
            lines = ["| member | value | |", "|---|---|---|"]
            return lines + [self._row(layout, member, "") for member in layout.members] + [""]
        if layout.kind == "struct":
            places = [(m, str(offset)) for m, offset, _ in self._universe.fields(layout)]
            lines = ["| offset | member | type | |", "|---|---|---|---|"]
        else:
            places = [(m, str(m.ordinal)) for m in layout.members]
            lines = ["| ordinal | member | type | |", "|---|---|---|---|"]
        return lines + [self._row(layout, member, place) for member, place in places] + [""]

    def _layout(self, layout: Layout) -> list[str]:
        words = ["resource"] if layout.resource else []
        words += ["strict"] if layout.strict else []
        words.append(layout.kind)
        if layout.kind in ("enum", "bits"):
            words.append(f"of {layout.base.name}")
        size, _ = self._universe.size_and_alignment(Ref(layout.library, layout.name))
        lines = [f"### {layout.name}", "", f"{' '.join(words)}, {size} bytes", ""]
        return lines + ([*layout.docs, ""] if layout.docs else []) + self._members(layout)

    def _layouts(self, layouts: Iterable[Layout]) -> list[str]:
        lines = ["## Types", ""]
        for layout in layouts:
            lines += self._layout(layout)
        return lines

    def _reached(self, start: list[Ref]) -> list[Layout]:
        """Layouts of this library, in the order of the file, that the types in `start` lead to."""
        seen: set[str] = set()
        todo: list[Type] = [*start]
        while todo:
            match todo.pop():
                case Vector(element) | Array(element) | Box(element):
                    todo.append(element)
                case Ref(library, name) if library == self._library.name and name not in seen:
                    seen.add(name)
                    members = self._library.layouts[name].members
                    todo += [m.type for m in members if m.type is not None]
        return [layout for layout in self._library.layouts.values() if layout.name in seen]

    # ---- pages ----

    def _method(self, method: Method) -> list[str]:
        strict = "strict" if method.strict else "flexible"
        lines = [f"### {method.name}", "", *method.docs, ""]
        lines += ["| | |", "|---|---|", f"| kind | {_KINDS[method.kind]}, {strict} |",
                  f"| ordinal | `{method.ordinal:#018x}` |"]
        says = "says" if method.kind == "event" else "request"
        lines.append(f"| {says} | {self._type(method.request) if method.request else 'empty'} |")
        if method.kind == "two_way":
            answer = self._type(method.response) if method.response else "empty"
            lines.append(f"| answer | {answer} |")
        return lines + [""]

    def protocol(self, protocol: Protocol) -> str:
        library = self._library.name
        lines = [f"# {library}/{protocol.name}", "", *protocol.docs, ""]
        lines += [f"A protocol ({protocol.openness}) of the library [{library}]({library}.md);"
                  f" in C `<fidl/{library}.h>`.", "", "## Methods", ""]
        for method in protocol.methods:
            lines += self._method(method)
        bodies = [r for m in protocol.methods for r in (m.request, m.response) if r is not None]
        return "\n".join(lines + self._layouts(self._reached(bodies))) + "\n"

    def library(self) -> str:
        lines = [f"# Library {self._library.name}", "", *self._library.docs, ""]
        for protocol in self._library.protocols:
            name = protocol.name
            methods = ", ".join(method.name for method in protocol.methods)
            lines.append(f"- protocol [{name}]({self._library.name}.{name}.md): {methods}")
        lines += [f"- uses [{use}]({use}.md)" for use in self._library.uses]
        lines.append("")
        if self._library.consts:
            lines += ["## Constants", "", "| name | type | value | |", "|---|---|---|---|"]
            for const in self._library.consts:
                docs = " ".join(const.docs)
                lines.append(
                    f"| `{const.name}` | {self._type(const.type)} | {const.value} | {docs} |")
            lines.append("")
        return "\n".join(lines + self._layouts(self._library.layouts.values())) + "\n"


def pages(universe_: Universe) -> dict[str, str]:
    """Path -> Markdown."""
    rows = []
    out: dict[str, str] = {}
    for name, library in sorted(universe_.libraries.items()):
        writer = _Writer(universe_, library)
        out[library_path(name)] = writer.library()
        for protocol in library.protocols:
            out[protocol_path(name, protocol.name)] = writer.protocol(protocol)
        protocols = ", ".join(f"[{p.name}]({name}.{p.name}.md)" for p in library.protocols)
        rows.append(f"| [{name}]({name}.md) | {protocols} |")
    index = ["# Protocols", "", "Messages between programs, in FIDL; compiled to C by"
             " [fidlgen](../../tools/fidlgen/README.md).", "", "| library | protocols |", "|---|---|"]
    out[f"{FOLDER}/index.md"] = "\n".join(index + rows) + "\n"
    return out


def parents(universe_: Universe) -> dict[str, str]:
    """Page of a protocol -> page of its library."""
    return {protocol_path(name, protocol.name): library_path(name)
            for name, library in universe_.libraries.items() for protocol in library.protocols}
