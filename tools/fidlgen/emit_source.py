"""The source: descriptions of all types, for the runtime's encoder and decoder."""

from __future__ import annotations

from fidlgen.ctext import Naming, tag
from fidlgen.emit_protocol import definitions
from fidlgen.model import (
    NO_LIMIT, Array, Box, Handle, Layout, Library, Ref, Scalar, String, Type, Universe, Vector,
    member_type)


class _Descriptions:
    """Types without a name get one here, `vector_of_string_max_8`; each is written once."""

    def __init__(self, universe: Universe, library: Library) -> None:
        self.universe = universe
        self.library = library
        self.naming = Naming(universe, library)
        self.done: set[str] = set()
        self._open: set[str] = set()
        self.cyclic: set[str] = set()  # named before they are defined
        self.text = ""

    def name(self, type_: Type) -> str:
        match type_:
            case Scalar(name):
                return "fidl_bool_type" if name == "bool" else f"fidl_scalar{type_.bits}_type"
            case Ref(optional=False):
                return f"{tag(type_)}_type"
        return self._word(type_)

    def _word(self, type_: Type) -> str:
        match type_:
            case String(limit, optional):
                return "string" + _suffix(limit, optional)
            case Vector(element, limit, optional):
                return f"vector_of_{self._word(element)}{_suffix(limit, optional)}"
            case Array(element, count):
                return f"array_{count}_of_{self._word(element)}"
            case Handle(object_, rights, optional):
                word = "handle" + ("" if object_ == "NONE" else f"_{object_.lower()}")
                word += "" if rights is None else f"_rights_{rights:x}"
                return word + ("_optional" if optional else "")
            case Ref(optional=True):
                return f"{self.naming.mangled(type_)}_optional"
        return self.naming.mangled(type_)

    def describe(self, type_: Type) -> None:
        """Writes what a type without a name needs, parts first."""
        name = self.name(type_)
        if isinstance(type_, Scalar) or (isinstance(type_, Ref) and not type_.optional):
            return
        if name in self._open:
            self.cyclic.add(name)
        if name in self.done:
            return
        self.done.add(name)
        self._open.add(name)
        size, _ = self.universe.size_and_alignment(type_)
        values: list[str] = [f".size = {size}"]
        match type_:
            case String(limit, optional):
                values = [".kind = FIDL_STRING", *values, f".limit = {limit:#x}"]
                values += [".optional = true"] if optional else []
            case Vector(element, limit, optional):
                self.describe(element)
                values = [".kind = FIDL_VECTOR", *values, f".limit = {limit:#x}",
                          f".element = &{self.name(element)}"]
                values += [".optional = true"] if optional else []
            case Array(element, count):
                self.describe(element)
                values = [".kind = FIDL_ARRAY", *values, f".count = {count}",
                          f".element = &{self.name(element)}"]
            case Box(element):
                values = [".kind = FIDL_BOX", *values, f".element = &{self.name(element)}"]
            case Handle(object_, rights, optional):
                kept = "ZX_RIGHT_SAME_RIGHTS" if rights is None else f"{rights:#x}"
                values = [".kind = FIDL_HANDLE", *values, f".object = ZX_OBJ_TYPE_{object_}",
                          f".rights = {kept}"]
                values += [".optional = true"] if optional else []
            case Ref():
                values = self._layout_values(self.universe.layout(type_), name) + [
                    ".optional = true"]
        self._open.discard(name)
        self._write(f"static const struct fidl_type {name}", values)

    def layout(self, layout: Layout) -> None:
        self._write(f"const struct fidl_type {tag(layout)}_type",
                    self._layout_values(layout, tag(layout)))

    def _write(self, head: str, values: list[str]) -> None:
        lines = "".join(f"    {value},\n" for value in values)
        self.text += f"{head} = {{\n{lines}}};\n\n"

    def _array(self, name: str, kind: str, entries: list[str]) -> None:
        lines = "".join(f"    {entry},\n" for entry in entries)
        self.text += f"static const {kind} {name}[] = {{\n{lines}}};\n\n"

    def _layout_values(self, layout: Layout, name: str) -> list[str]:
        size, _ = self.universe.size_and_alignment(Ref(layout.library, layout.name))
        values = [f".kind = FIDL_{layout.kind.upper()}", f".size = {size}"]
        values += [".strict = true"] if layout.strict else []
        if layout.kind in ("table", "union") and layout.resource:
            values.append(".resource = true")
        if layout.kind == "bits":
            return values + [f".mask = {sum(m.value for m in layout.members):#x}"]
        if not layout.members:
            return values
        values.append(f".count = {len(layout.members)}")
        if layout.kind == "enum":
            mask = (1 << layout.base.bits) - 1
            self._array(f"{name}_values", "uint64_t",
                        [f"{m.value & mask:#x}" for m in layout.members])
            return values + [f".values = {name}_values"]
        for m in layout.members:
            self.describe(member_type(m))
        if layout.kind == "struct":
            self._array(
                f"{name}_fields", "struct fidl_field",
                [f"{{&{self.name(member_type(m))}, {offset}, {padding}}}"
                 for m, offset, padding in self.universe.fields(layout)])
            return values + [f".fields = {name}_fields"]
        self._array(f"{name}_members", "struct fidl_member",
                    [f"{{{m.ordinal}, &{self.name(member_type(m))}}}" for m in layout.members])
        return values + [f".members = {name}_members"]


def _suffix(limit: int, optional: bool) -> str:
    return ("" if limit == NO_LIMIT else f"_max_{limit}") + ("_optional" if optional else "")


def source(universe: Universe, library: Library) -> str:
    descriptions = _Descriptions(universe, library)
    for layout in library.layouts.values():
        descriptions.layout(layout)
    text = (f"// FIDL library {library.name}: descriptions of its types, methods and servers.\n"
            "// Generated by tools/fidlgen. Do not edit.\n"
            f"#include <fidl/{library.name}.h>\n\n#include <stdint.h>\n\n"
            "#include <fidl/types.h>\n#include <zircon/rights.h>\n#include <zircon/types.h>\n\n")
    for name in sorted(descriptions.cyclic):
        text += f"static const struct fidl_type {name};\n"
    text += "\n" if descriptions.cyclic else ""
    text += descriptions.text
    text += "".join(definitions(library, protocol) for protocol in library.protocols)
    return text.rstrip("\n") + "\n"
