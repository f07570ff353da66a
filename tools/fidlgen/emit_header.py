"""The header: constants, structures with their layout asserted, accessors, messages."""

from __future__ import annotations

from fidlgen import names
from fidlgen.ctext import Naming, comment, prefix, scalar, tag, wrapped
from fidlgen.emit_protocol import Glue, operations
from fidlgen.model import (
    Array, Const, Layout, Library, Member, Method, Protocol, Ref, Scalar, Type, Universe,
    Vector, member_type)


def literal(value: int | float | str | bool, type_: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if type_.name.startswith("float"):
        return repr(float(value)) + ("f" if type_.name == "float32" else "")
    number = int(value)
    if number == -(1 << 63):
        return "INT64_MIN"
    text = hex(number) if number > 9999 else str(number)
    return text + {"uint32": "u", "uint64": "ull", "int64": "ll"}.get(type_.name, "")


def _const(library: Library, const: Const) -> str:
    name = f"{prefix(library.name)}_{names.snake(const.name)}".upper()
    if isinstance(const.type, Scalar):
        text = f"constexpr {scalar(const.type)} {name} = {literal(const.value, const.type)};\n"
    else:
        text = f'#define {name} "{const.value}"\n'
    return comment(const.docs) + text


def _enum(layout: Layout) -> str:
    name, base = tag(layout), scalar(layout.base)
    text = comment(layout.docs)
    if layout.kind == "bits" or not layout.members:
        text += f"typedef {base} {name}_t;\n"
        for m in layout.members:
            value = literal(m.value, layout.base)
            text += comment(m.docs)
            text += f"constexpr {name}_t {name.upper()}_{names.snake(m.name).upper()} = {value};\n"
        return text
    text += f"typedef enum {name} : {base} {{\n"
    for m in layout.members:
        value = literal(m.value, layout.base)
        text += comment(m.docs, "    ")
        text += f"    {name.upper()}_{names.snake(m.name).upper()} = {value},\n"
    return text + f"}} {name}_t;\n"


class _Structures:
    """Definitions, each after those that it contains."""

    def __init__(self, universe: Universe, library: Library) -> None:
        self.universe = universe
        self.library = library
        self.naming = Naming(universe, library)
        self.done: dict[str, str] = {}  # tag -> definition, in order

    def collect(self) -> None:
        for layout in self.library.layouts.values():
            for m in layout.members:
                if m.type is not None:
                    self._vectors(m.type)
            if layout.kind in ("struct", "table", "union"):
                self._layout(layout)

    def _layout(self, layout: Layout) -> None:
        name = tag(layout)
        if name in self.done:
            return
        if layout.kind == "struct":
            for m in layout.members:
                self._needed(member_type(m))
            self.done[name] = self._struct(layout)
        else:
            self.done[name] = (f"{comment(layout.docs)}struct {name} {{\n"
                               f"    struct fidl_{layout.kind} fidl;\n}};\n"
                               f"static_assert(sizeof(struct {name}) == 16);\n")

    def _needed(self, type_: Type) -> None:
        match type_:
            case Array(element, _):
                self._needed(element)
            case Vector():
                self._vectors(type_)
            case Ref():
                layout = self.universe.layout(type_)
                if type_.library == self.library.name and layout.kind not in ("enum", "bits"):
                    self._layout(layout)

    def _vectors(self, type_: Type) -> None:
        match type_:
            case Vector(element):
                self._vectors(element)
                name = self.naming.vector_tag(type_)
                if not name.startswith("fidl_vector_of_") and name not in self.done:
                    if isinstance(element, Array):
                        self._needed(element)
                    self.done[name] = (
                        f"struct {name} {{\n    uint64_t count;\n"
                        f"    {self.naming.pointer(element, 'data')};\n}};\n")
            case Array(element, _):
                self._vectors(element)

    def _struct(self, layout: Layout) -> str:
        name = tag(layout)
        size, _ = self.universe.size_and_alignment(Ref(layout.library, layout.name))
        text = f"{comment(layout.docs)}struct {name} {{\n"
        asserts = f"static_assert(sizeof(struct {name}) == {size});\n"
        if not layout.members:
            text += "    uint8_t zero; // a struct without fields is a zero byte\n"
        for m, offset, _ in self.universe.fields(layout) if layout.members else []:
            text += comment(m.docs, "    ")
            text += f"    {self.naming.declared(member_type(m), names.member(m.name))};\n"
            asserts += f"static_assert(offsetof(struct {name}, {names.member(m.name)}) == {offset});\n"
        return text + "};\n" + asserts


def _accessors(universe: Universe, naming: Naming, layout: Layout) -> str:
    """Of a table or union."""
    name = tag(layout)
    text = f"// ---- {layout.kind} {layout.name} ----\n\n"
    if layout.kind == "table":
        most = layout.members[-1].ordinal if layout.members else 0
        text += f"// Envelopes that all members need.\nconstexpr uint32_t {name.upper()}_MEMBERS = {most};\n"
    else:
        for m in layout.members:
            ordinal = f"{name}_{names.snake(m.name)}".upper()
            text += f"{comment(m.docs)}constexpr uint64_t {ordinal} = {m.ordinal};\n"
    for m in layout.members:
        text += "\n" + _accessor_pair(universe, naming, layout, m)
    return text


def _accessor_pair(universe: Universe, naming: Naming, layout: Layout, m: Member) -> str:
    name, member = tag(layout), names.snake(m.name)
    type_ = member_type(m)
    size, _ = universe.size_and_alignment(type_)
    kind = layout.kind
    result = "void*" if isinstance(type_, Array) else naming.base(type_) + "*"
    text = comment(m.docs) if kind == "table" else ""
    text += f"// Null: {'absent' if kind == 'table' else 'another member'}.\n"
    text += wrapped(f"static inline {result} {name}_get_{member}", [f"struct {name}* object"], " {")
    text += f"\n    return fidl_{kind}_get(&object->fidl, {m.ordinal}, {size});\n}}\n\n"
    if naming.is_simple(type_) and size <= 4:
        argument, address = naming.declared(type_, "value"), "&value"
    else:
        argument, address = naming.pointer(type_, "value"), "value"
        if size > 4:
            text += "// Keeps the pointer.\n"
    text += wrapped(f"static inline void {name}_set_{member}", [f"struct {name}* object", argument], " {")
    text += f"\n    fidl_{kind}_set(&object->fidl, {m.ordinal}, {address}, {size});\n}}\n"
    return text


def _message(method: Method, base: str, role: str, body: Ref | None) -> str:
    """Encoding and decoding of a request, response or event."""
    flags = "0" if method.strict else "FIDL_FLEXIBLE"
    ordinal = f"{base.upper()}_ORDINAL"
    descriptor = f"&{tag(body)}_type" if body else "nullptr"
    arguments = ["struct fidl_encoder* e"]
    if method.kind == "two_way":
        arguments.append("uint32_t txid")
    if body:
        arguments.append(f"struct {tag(body)}* {role}")
    text = wrapped(f"static inline fidl_error_t {base}_{role}_encode", arguments, " {") + "\n"
    txid = "txid" if method.kind == "two_way" else "0"
    text += wrapped("    return fidl_encode_message",
                    ["e", txid, ordinal, flags, descriptor, role if body else "nullptr"], ";")
    text += "\n}\n\n"
    arguments = ["struct fidl_message* m"] + ([f"struct {tag(body)}** out"] if body else [])
    text += wrapped(f"static inline fidl_error_t {base}_{role}_decode", arguments, " {") + "\n"
    result = "fidl_error_t error =" if body else "return"
    text += wrapped(f"    {result} fidl_decode_message", ["m", ordinal, descriptor], ";") + "\n"
    return text + ("    *out = m->body;\n    return error;\n" if body else "") + "}\n\n"


def _protocol(universe: Universe, library: Library, protocol: Protocol) -> str:
    base = f"{prefix(library.name)}_{names.snake(protocol.name)}"
    text = f"// ---- {protocol.openness} protocol {protocol.name} ----\n"
    text += ("//\n" + comment(protocol.docs) if protocol.docs else "") + "\n"
    for method in protocol.methods:
        name = f"{base}_{names.snake(method.name)}"
        text += comment(method.docs)
        text += f"constexpr uint64_t {name.upper()}_ORDINAL = {method.ordinal:#018x};\n"
        text += f"extern const struct fidl_method {name}_method;\n\n"
        role = "event" if method.kind == "event" else "request"
        text += _message(method, name, role, method.request)
        if method.kind == "two_way":
            text += _message(method, name, "response", method.response)
        glue = Glue(universe, method, name)
        text += glue.call() + glue.replies() if method.kind == "two_way" else glue.send()
    return text + operations(universe, base, protocol)


def header(universe: Universe, library: Library) -> str:
    naming = Naming(universe, library)
    structures = _Structures(universe, library)
    structures.collect()
    text = (f"// FIDL library {library.name}: structures with the layout of the wire, and its messages.\n"
            "// Generated by tools/fidlgen. Do not edit.\n#pragma once\n\n"
            "#include <stddef.h>\n#include <stdint.h>\n\n#include <fidl/channel.h>\n"
            "#include <fidl/message.h>\n")
    text += "".join(f"#include <fidl/{use}.h>\n" for use in library.uses)
    text += "#include <fidl/types.h>\n#include <zircon/types.h>\n\n"
    text += "".join(_const(library, const) for const in library.consts) + "\n"
    layouts = library.layouts.values()
    text += "".join(_enum(x) + "\n" for x in layouts if x.kind in ("enum", "bits"))
    text += "".join(f"struct {name};\n" for name in structures.done) + "\n"
    text += "\n".join(structures.done.values()) + "\n"
    text += "".join(f"extern const struct fidl_type {tag(x)}_type;\n" for x in layouts) + "\n"
    for layout in layouts:
        if layout.kind in ("table", "union"):
            text += _accessors(universe, naming, layout) + "\n"
    text += "".join(_protocol(universe, library, protocol) for protocol in library.protocols)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip("\n") + "\n"
